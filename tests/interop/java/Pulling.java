import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullCallback;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** The pull consumer, which keeps its offsets itself, and what it can ask about them. */
final class Pulling {
    static String overAllQueues(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        for (int i = 0; i < 300; i++) {
            Message message = ledger.message(topic, "body " + i);
            ledger.answered(message, producer.send(message));
        }
        DefaultMQPullConsumer consumer = clients.pullConsumer(clients.name("group"));
        int queues = 0;
        for (MessageQueue queue : clients.queues(topic)) {
            long next = 0;
            PullResult result = consumer.pull(queue, "*", next, 32);
            while (result.getPullStatus() == PullStatus.FOUND) {
                Clients.require(result.getMsgFoundList().size() <= 32, "more than asked for: " + result);
                result.getMsgFoundList().forEach(message -> ledger.received(message, "pull"));
                next = result.getNextBeginOffset();
                result = consumer.pull(queue, "*", next, 32);
            }
            Clients.require(result.getPullStatus() == PullStatus.NO_NEW_MSG, "the end of " + queue + " gave " + result);
            Clients.require(result.getMaxOffset() == next && result.getMinOffset() == 0, queue + " ends at " + next + ": " + result);
            PullResult beyond = consumer.pull(queue, "*", next + 1000, 32);
            // Releases differ in where they send such a client: to the first or behind the last message.
            boolean corrected = beyond.getPullStatus() == PullStatus.OFFSET_ILLEGAL
                    && (beyond.getNextBeginOffset() == next || beyond.getNextBeginOffset() == 0);
            Clients.require(corrected, "beyond the end of " + queue + " at " + next + ": " + beyond);
            queues++;
        }
        ledger.compare();
        return ledger.sentCount() + " messages from " + queues + " queues";
    }

    static String byTag(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        String[] tags = {"TagA", "TagB", "TagC", null};
        for (int i = 0; i < 200; i++) {
            Message message = ledger.message(topic, tags[i % 4], ("body " + i).getBytes());
            ledger.answered(message, producer.send(message));
        }
        DefaultMQPullConsumer consumer = clients.pullConsumer(clients.name("group"));
        for (MessageQueue queue : clients.queues(topic)) {
            long end = consumer.maxOffset(queue);
            long next = 0;
            while (next < end) {
                PullResult result = consumer.pull(queue, "TagB || TagC", next, 10);
                boolean goesOn = result.getNextBeginOffset() > next
                        && (result.getPullStatus() == PullStatus.FOUND || result.getPullStatus() == PullStatus.NO_MATCHED_MSG);
                Clients.require(goesOn, "pull by tag at " + next + " of " + end + ": " + result);
                if (result.getPullStatus() == PullStatus.FOUND) {
                    result.getMsgFoundList().forEach(message -> ledger.received(message, "pull"));
                }
                next = result.getNextBeginOffset();
            }
        }
        ledger.compare(tag -> "TagB".equals(tag) || "TagC".equals(tag));
        return ledger.arrivals().size() + " of " + ledger.sentCount() + " messages";
    }

    static String longPoll(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        Message first = ledger.message(topic, "first");
        SendResult sent = producer.send(first);
        ledger.answered(first, sent);
        MessageQueue queue = sent.getMessageQueue();
        clients.queues(topic);
        DefaultMQPullConsumer consumer = clients.pullConsumer(clients.name("group"));
        // The clock of the hold is the broker's, and Java's looks only every 5 s.
        consumer.setBrokerSuspendMaxTimeMillis(2000);
        long began = System.nanoTime();
        PullResult nothing = consumer.pullBlockIfNotFound(queue, "*", 1, 32);
        long held = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began);
        Clients.require(nothing.getPullStatus() == PullStatus.NO_NEW_MSG, "a hold without a message gave " + nothing);
        Clients.require(held >= 1900 && held < 12_000, "a hold of 2000 ms took " + held + " ms");

        consumer.setBrokerSuspendMaxTimeMillis(20_000);
        long worst = 0;
        for (int next = 1; next <= 20; next++) {
            CompletableFuture<PullResult> pulled = new CompletableFuture<>();
            consumer.pullBlockIfNotFound(queue, "*", next, 32, new PullCallback() {
                @Override
                public void onSuccess(PullResult result) {
                    pulled.complete(result);
                }

                @Override
                public void onException(Throwable e) {
                    pulled.completeExceptionally(e);
                }
            });
            // Every other one is with the broker before its message, as the answer to a later request of the same connection
            // shows; the rest race with their message, and must not lose it.
            if (next % 2 == 0) consumer.maxOffset(queue);
            Message message = ledger.message(topic, "body " + next);
            long before = System.nanoTime();
            ledger.answered(message, producer.send(message, queue));
            PullResult result = pulled.get(15, TimeUnit.SECONDS);
            worst = Math.max(worst, TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - before));
            Clients.require(result.getPullStatus() == PullStatus.FOUND, "a woken pull gave " + result);
            result.getMsgFoundList().forEach(found -> ledger.received(found, "pull"));
        }
        Clients.readQueue(consumer, queue, 0, 1, ledger);
        ledger.compare();
        Clients.require(worst < 2000, "a parked pull was woken only after " + worst + " ms");
        return "held " + held + " ms without a message, woken within " + worst + " ms";
    }

    static String offsets(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        Message first = ledger.message(topic, "number 0");
        SendResult sent = producer.send(first);
        ledger.answered(first, sent);
        MessageQueue queue = sent.getMessageQueue();
        List<Long> times = new ArrayList<>();
        for (int i = 1; i < 50; i++) {
            Message message = ledger.message(topic, "number " + i);
            ledger.answered(message, producer.send(message, queue));
        }
        clients.readAll(topic, ledger);
        ledger.compare();
        for (int i = 0; i < 50; i++) {
            times.add(ledger.arrivals("key-" + i).get(0).message.getStoreTimestamp());
        }
        String group = clients.name("group");
        DefaultMQPullConsumer consumer = clients.pullConsumer(group);
        Clients.require(consumer.minOffset(queue) == 0, "least offset " + consumer.minOffset(queue));
        Clients.require(consumer.maxOffset(queue) == 50, "greatest offset " + consumer.maxOffset(queue));
        long earliest = consumer.earliestMsgStoreTime(queue);
        Clients.require(earliest == times.get(0), "earliest message at " + earliest + " instead of " + times.get(0));
        // Among messages of one millisecond any is a right answer.
        for (int i = 0; i < 50; i += 7) {
            long found = consumer.searchOffset(queue, times.get(i));
            Clients.require(found >= 0 && found < 50 && times.get((int) found).equals(times.get(i)), "searched " + times.get(i) + ", found " + found);
        }
        long early = consumer.searchOffset(queue, times.get(0) - 3_600_000);
        Clients.require(early == 0, "an hour before the first message lies offset " + early);

        consumer.updateConsumeOffset(queue, 17);
        Clients.require(consumer.fetchConsumeOffset(queue, false) == 17, "the client forgot its offset");
        commit(consumer, queue, 17);
        consumer.shutdown();
        DefaultMQPullConsumer successor = clients.pullConsumer(group);
        Clients.require(successor.fetchConsumeOffset(queue, true) == 17, "another client of the group sees another offset");
        commit(successor, queue, 5);
        return "least 0, greatest 50, committed 17 and back to 5";
    }

    /** As clients do it now and then: oneway, so the broker is asked until it has it. */
    private static void commit(DefaultMQPullConsumer consumer, MessageQueue queue, long offset) throws Exception {
        consumer.updateConsumeOffset(queue, offset);
        consumer.getDefaultMQPullConsumerImpl().getOffsetStore().persist(queue);
        Clients.until("stored offset " + offset, 10, () -> consumer.fetchConsumeOffset(queue, true) == offset ? offset : null);
    }

    private Pulling() {}
}
