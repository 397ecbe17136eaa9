import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.message.Message;

/** Every way of sending; what was sent is then read from all queues of the topic. */
final class Sending {
    private static final int MESSAGE_ILLEGAL = 13;

    static String sync(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        Map<Integer, Long> next = new HashMap<>();
        for (int i = 0; i < 100; i++) {
            Message message = ledger.message(topic, "body " + i);
            SendResult result = producer.send(message);
            ledger.answered(message, result);
            long expected = next.merge(result.getMessageQueue().getQueueId(), 1L, Long::sum) - 1;
            Clients.require(result.getQueueOffset() == expected, "expected queue offset " + expected + ", got " + result);
        }
        clients.readAll(topic, ledger);
        ledger.compare();
        return ledger.sentCount() + " messages in " + next.size() + " queues";
    }

    static String async(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        Message first = ledger.message(topic, "first");
        ledger.answered(first, producer.send(first));
        int count = 500;
        CountDownLatch answers = new CountDownLatch(count);
        ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
        for (int i = 0; i < count; i++) {
            Message message = ledger.message(topic, "body " + i);
            producer.send(message, new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    try {
                        ledger.answered(message, result);
                    } catch (Throwable e) {
                        failures.add(e);
                    }
                    answers.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    failures.add(e);
                    answers.countDown();
                }
            });
        }
        Clients.require(answers.await(30, TimeUnit.SECONDS), answers.getCount() + " sends were never answered");
        Clients.require(failures.isEmpty(), failures.size() + " sends failed: " + failures.peek());
        clients.readAll(topic, ledger);
        ledger.compare();
        return ledger.sentCount() + " messages";
    }

    static String oneway(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        Message first = ledger.message(topic, "first");
        ledger.answered(first, producer.send(first));
        for (int i = 0; i < 200; i++) {
            producer.sendOneway(ledger.message(topic, "body " + i));
        }
        clients.readAll(topic, ledger);
        ledger.compare();
        return ledger.sentCount() + " messages";
    }

    static String oneMebibyte(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.newProducer();
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.start();
        int[] sizes = {1 << 20, 1 << 20, (4 << 20) - (64 << 10), 1};
        for (int i = 0; i < sizes.length; i++) {
            byte[] body = new byte[sizes[i]];
            new Random(i).nextBytes(body);
            Message message = ledger.message(topic, null, body);
            ledger.answered(message, producer.send(message));
        }
        clients.readAll(topic, ledger);
        ledger.compare();
        return "bodies of " + Arrays.toString(sizes) + " bytes";
    }

    static String tooLargeIsRefused(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.newProducer();
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.setMaxMessageSize(16 << 20);
        producer.start();
        Message first = ledger.message(topic, "first");
        ledger.answered(first, producer.send(first));
        try {
            SendResult result = producer.send(new Message(topic, new byte[(4 << 20) + 100_000]));
            throw new AssertionError("a body above 4 MiB was accepted: " + result);
        } catch (MQBrokerException e) {
            Clients.require(e.getResponseCode() == MESSAGE_ILLEGAL, "a body above 4 MiB gave code " + e.getResponseCode());
        }
        // The same connection goes on.
        Message last = ledger.message(topic, "last");
        ledger.answered(last, producer.send(last));
        clients.readAll(topic, ledger);
        ledger.compare();
        return "code " + MESSAGE_ILLEGAL;
    }

    static String compressed(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        int size = 8 << 10;
        for (int i = 0; i < 10; i++) {
            String line = "line " + i + " of a text that repeats itself; ";
            String text = String.join("", Collections.nCopies(size / line.length() + 1, line)).substring(0, size);
            Message message = ledger.message(topic, text);
            ledger.answered(message, producer.send(message));
        }
        clients.readAll(topic, ledger);
        ledger.compare();
        for (Ledger.Received arrival : ledger.arrivals()) {
            // The flag that says so is still on the message in some releases only.
            int stored = arrival.message.getStoreSize();
            Clients.require(stored < size / 2, "not stored compressed, but in " + stored + " bytes");
        }
        return ledger.sentCount() + " bodies of " + size + " bytes";
    }

    static String properties(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        String wide = String.join("", Collections.nCopies(5000, "x"));
        String[] values = {"plain", "with spaces = and : and ;", "grüße", "日本語", "\uD83D\uDE80 beyond the BMP \uD835\uDD4F", wide};
        for (int i = 0; i < values.length; i++) {
            Message message = ledger.message(topic, "Tag" + i, values[i].getBytes(StandardCharsets.UTF_8));
            message.setKeys(Arrays.asList(Ledger.key(message), "second-" + i, "third-" + i));
            message.setFlag(i % 2 == 0 ? 7 : Integer.MIN_VALUE);
            message.setWaitStoreMsgOK(i % 3 != 0);
            message.setBuyerId("buyer " + i);
            message.putUserProperty("value", values[i]);
            message.putUserProperty("名前", "key in another script");
            ledger.note(message);
            ledger.answered(message, producer.send(message));
        }
        long began = System.currentTimeMillis();
        clients.readAll(topic, ledger);
        ledger.compare();
        for (Ledger.Received arrival : ledger.arrivals()) {
            long born = arrival.message.getBornTimestamp();
            long stored = arrival.message.getStoreTimestamp();
            boolean plausible = born <= stored && stored <= began && began - born < 60_000 && arrival.message.getReconsumeTimes() == 0
                    && arrival.message.getBornHostString() != null && arrival.message.getStoreHost() != null;
            Clients.require(plausible, "times, hosts or counts are wrong: " + arrival.message);
        }
        return ledger.sentCount() + " messages with keys, tags, flags and properties";
    }

    static String orderBySelector(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        Message first = ledger.message(topic, "first");
        ledger.answered(first, producer.send(first));
        clients.queues(topic);
        Map<Integer, List<String>> order = new HashMap<>();
        for (int i = 0; i < 100; i++) {
            Message message = ledger.message(topic, "step " + i);
            SendResult result = producer.send(message, new SelectMessageQueueByHash(), "account " + i % 7);
            ledger.answered(message, result);
            order.computeIfAbsent(result.getMessageQueue().getQueueId(), queue -> new ArrayList<>()).add(Ledger.key(message));
        }
        clients.readAll(topic, ledger);
        ledger.compare();
        Map<Integer, List<String>> read = new HashMap<>();
        for (Ledger.Received arrival : ledger.arrivals()) {
            if (!Ledger.key(arrival.message).equals(Ledger.key(first))) {
                read.computeIfAbsent(arrival.message.getQueueId(), queue -> new ArrayList<>()).add(Ledger.key(arrival.message));
            }
        }
        Clients.require(read.equals(order), "sent in the order " + order + ", read in the order " + read);
        return "7 accounts in " + order.size() + " queues";
    }

    static String topicOnFirstSend(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.newProducer();
        producer.setDefaultTopicQueueNums(3);
        producer.start();
        try {
            throw new AssertionError("the topic is there before the first send: " + producer.fetchPublishMessageQueues(topic));
        } catch (MQClientException expected) {
            Message message = ledger.message(topic, "the first message of this topic");
            ledger.answered(message, producer.send(message));
        }
        int queues = clients.queues(topic).size();
        Clients.require(queues == 3, "asked for 3 queues, got " + queues);
        clients.readAll(topic, ledger);
        ledger.compare();
        return queues + " queues";
    }

    private Sending() {}
}
