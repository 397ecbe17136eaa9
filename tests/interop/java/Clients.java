import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The producers and consumers of one scenario, under names that no other scenario uses; closing it stops them all. */
final class Clients implements AutoCloseable {
    private static final String RUN = Long.toString(System.currentTimeMillis(), 36);

    private final String namesrv;
    private final String scenario;
    private final List<Runnable> open = new ArrayList<>();
    private DefaultMQPullConsumer reader;
    private int instances;

    /** Those without name server ask the address server. */
    Clients(String namesrv, String scenario) {
        this.namesrv = namesrv;
        this.scenario = scenario;
    }

    /** A topic or group name of this scenario alone, also when the same broker is used again. */
    String name(String what) {
        return what + "-" + scenario + "-" + RUN;
    }

    private void configure(ClientConfig client) {
        if (namesrv != null) {
            client.setNamesrvAddr(namesrv);
        }
        client.setClientIP("127.0.0.1");
        client.setInstanceName(scenario + "-" + RUN + "-" + instances++);
    }

    /** Another kind of client, configured and stopped with the others. */
    <T extends ClientConfig> T open(T client, Consumer<T> shutdown) {
        configure(client);
        open.add(() -> shutdown.accept(client));
        return client;
    }

    /** A producer that is configured and not yet started. */
    DefaultMQProducer newProducer() {
        return newProducer("producers");
    }

    DefaultMQProducer newProducer(String group) {
        DefaultMQProducer producer = new DefaultMQProducer(name(group));
        configure(producer);
        producer.setSendMsgTimeout(10_000);
        open.add(producer::shutdown);
        return producer;
    }

    DefaultMQProducer producer() throws MQClientException {
        DefaultMQProducer producer = newProducer();
        producer.start();
        return producer;
    }

    DefaultMQPullConsumer pullConsumer(String group) throws MQClientException {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(group);
        configure(consumer);
        open.add(consumer::shutdown);
        consumer.start();
        return consumer;
    }

    /** A push consumer from the first message on, configured and not yet started. */
    DefaultMQPushConsumer newPushConsumer(String group, String topic, String tags) throws MQClientException {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        configure(consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, tags);
        open.add(consumer::shutdown);
        return consumer;
    }

    DefaultMQPushConsumer pushConsumer(String group, String topic, String tags, Ledger ledger) throws MQClientException {
        return start(newPushConsumer(group, topic, tags), ledger);
    }

    /** Starts a consumer that writes into the ledger, told apart from its group's others by its instance. */
    static DefaultMQPushConsumer start(DefaultMQPushConsumer consumer, Ledger ledger) throws MQClientException {
        String instance = consumer.getInstanceName();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> ledger.received(message, instance));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    /** Reads all queues of a topic into its ledger, once they together are as long as what was sent. */
    void readAll(String topic, Ledger ledger) throws Exception {
        DefaultMQPullConsumer reader = reader();
        Set<MessageQueue> queues = queues(topic);
        // A message may be answered, or sent oneway, before its queue shows it.
        until("end of " + ledger.sentCount() + " messages", 15, () -> {
            long stored = 0;
            for (MessageQueue queue : queues) {
                stored += reader.maxOffset(queue);
            }
            return stored >= ledger.sentCount() ? stored : null;
        });
        for (MessageQueue queue : queues) {
            readQueue(reader, queue, reader.minOffset(queue), reader.maxOffset(queue), ledger);
        }
    }

    static void readQueue(DefaultMQPullConsumer reader, MessageQueue queue, long from, long end, Ledger ledger) throws Exception {
        long next = from;
        while (next < end) {
            PullResult result = reader.pull(queue, "*", next, (int) Math.min(32, end - next));
            if (result.getPullStatus() != PullStatus.FOUND || result.getNextBeginOffset() <= next) {
                throw new AssertionError("pull of " + queue + " at " + next + " of " + end + " gave " + result);
            }
            for (MessageExt message : result.getMsgFoundList()) {
                if (message.getQueueId() != queue.getQueueId() || message.getQueueOffset() != next++) {
                    throw new AssertionError("expected offset " + (next - 1) + " of " + queue + ", got " + message);
                }
                ledger.received(message, "reader");
            }
        }
    }

    DefaultMQPullConsumer reader() throws MQClientException {
        if (reader == null) {
            reader = pullConsumer(name("readers"));
        }
        return reader;
    }

    /** The queues of a topic, once the name server knows it: a send may be answered before that. */
    Set<MessageQueue> queues(String topic) throws Exception {
        DefaultMQPullConsumer reader = reader();
        return until("a route of " + topic, 15, () -> {
            try {
                Set<MessageQueue> queues = reader.fetchSubscribeMessageQueues(topic);
                return queues.isEmpty() ? null : queues;
            } catch (MQClientException e) {
                return null;
            }
        });
    }

    /** Asks again until there is an answer; for what the client offers no event. */
    static <T> T until(String what, int seconds, Callable<T> answer) throws Exception {
        long deadline = System.nanoTime() + seconds * 1_000_000_000L;
        while (true) {
            T value = answer.call();
            if (value != null) {
                return value;
            }
            if (System.nanoTime() > deadline) {
                throw new AssertionError("no " + what + " within " + seconds + " s");
            }
            Thread.sleep(20);
        }
    }

    static void require(boolean condition, String otherwise) {
        if (!condition) {
            throw new AssertionError(otherwise);
        }
    }

    @Override
    public void close() {
        for (int i = open.size() - 1; i >= 0; i--) {
            open.get(i).run();
        }
    }
}
