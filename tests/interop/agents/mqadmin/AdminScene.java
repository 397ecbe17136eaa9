import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.impl.consumer.DefaultMQPushConsumerImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.MixAll;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.RPCHook;

/** What the administrators' tools look at: messages, a group that has consumed them, and clients that are online. */
final class AdminScene {
    private static final String TOPIC = "AdminTopic";
    private static final String FILTERED = "FilterTopic";
    private static final int MESSAGES = 40;
    private static final int QUEUES = 4;

    private final String namesrv;
    private final AdminKeys keys;
    private String offsetId = "";
    private DefaultMQPushConsumer onlineConsumer;
    private DefaultMQProducer onlineProducer;
    private DefaultMQPushConsumer filtering;

    AdminScene(String namesrv, AdminKeys keys) {
        this.namesrv = namesrv;
        this.keys = keys;
    }

    /** The id by position of the first message that was sent last. */
    String offsetId() {
        return offsetId;
    }

    void step(String line) throws Exception {
        String[] words = line.split(" ");
        switch (words[0]) {
            case "fill": fill(); break;
            case "keys": keys(); break;
            case "consume": consume(); break;
            case "online": online(); break;
            case "offline": offline(); break;
            case "trace": trace(); break;
            case "filter": filter(); break;
            case "unfilter": filtering.shutdown(); break;
            default: throw new IllegalArgumentException("there is no step " + line);
        }
    }

    /** A client id that is the same in every run. */
    private static String unique(int number) {
        return String.format(Locale.ROOT, "7F00000100010000000100000000%04X", number);
    }

    private void fill() throws Exception {
        DefaultMQProducer producer = producer("fill");
        awaitRoute(producer, TOPIC);
        for (int i = 0; i < MESSAGES; i++) {
            Message message = new Message(TOPIC, "Tag" + i % 3, "key-" + i + " group-" + i % 5, body("body " + i));
            message.putUserProperty("number", Integer.toString(i));
            SendResult result = send(producer, message, i, i % QUEUES);
            if (i == 0) {
                offsetId = result.getOffsetMsgId();
            }
        }
        producer.shutdown();
    }

    private void keys() throws Exception {
        DefaultMQProducer producer = producer("keys");
        awaitRoute(producer, AdminKeys.TOPIC);
        keys.fill(producer, (message, number) -> send(producer, message, 1000 + number, number % QUEUES));
        producer.shutdown();
    }

    private static byte[] body(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private DefaultMQProducer producer(String group) throws MQClientException {
        DefaultMQProducer producer = new DefaultMQProducer(group);
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName(group);
        producer.setSendMsgTimeout(10_000);
        producer.start();
        return producer;
    }

    private static void awaitRoute(DefaultMQProducer producer, String topic) throws Exception {
        for (long end = System.currentTimeMillis() + 30_000;;) {
            try {
                if (producer.fetchPublishMessageQueues(topic).size() == QUEUES) {
                    return;
                }
            } catch (MQClientException notYet) {
                if (System.currentTimeMillis() > end) {
                    throw notYet;
                }
            }
            Thread.sleep(50);
        }
    }

    private static SendResult send(DefaultMQProducer producer, Message message, int number, int queueId) throws Exception {
        MessageAccessor.putProperty(message, MessageConst.PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX, unique(number));
        SendResult result = producer.send(message, new MessageQueue(message.getTopic(), "broker-a", queueId));
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            throw new IllegalStateException("a send gave " + result);
        }
        return result;
    }

    private DefaultMQPushConsumer consumer(String group, String tags, CountDownLatch left) throws MQClientException {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(group);
        consumer.setClientIP("127.0.0.1");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(TOPIC, tags);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> left.countDown());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    /** A group consumes everything and leaves, so that its offsets are committed. */
    private void consume() throws Exception {
        CountDownLatch left = new CountDownLatch(MESSAGES);
        DefaultMQPushConsumer consumer = consumer("AdminGroup", "*", left);
        awaitOffsets(consumer, left);
        consumer.shutdown();
    }

    private void online() throws Exception {
        CountDownLatch left = new CountDownLatch(MESSAGES);
        onlineConsumer = consumer("OnlineGroup", "Tag0 || Tag1 || Tag2", left);
        onlineProducer = new DefaultMQProducer("OnlineProducers");
        onlineProducer.setNamesrvAddr(namesrv);
        // The same instance as the consumer's, which knows the broker already and so tells it at once.
        onlineProducer.setInstanceName("OnlineGroup");
        onlineProducer.setClientIP("127.0.0.1");
        onlineProducer.start();
        awaitOffsets(onlineConsumer, left);
        // Its own timer does this every 5 s.
        onlineConsumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
    }

    /**
     * Until the client knows of all messages that they were consumed, which is a moment after the listener has returned, and
     * has its group's retry queue, of which it may have no route at first.
     */
    private static void awaitOffsets(DefaultMQPushConsumer consumer, CountDownLatch left) throws InterruptedException {
        DefaultMQPushConsumerImpl client = consumer.getDefaultMQPushConsumerImpl();
        String retry = MixAll.getRetryTopic(consumer.getConsumerGroup());
        long end = System.currentTimeMillis() + 30_000;
        while (left.getCount() > 0 || consumed(client, TOPIC) < MESSAGES
                || client.getOffsetStore().cloneOffsetTable(retry).isEmpty()) {
            if (System.currentTimeMillis() > end) {
                throw new IllegalStateException(left.getCount() + " messages were not consumed within 30 s, and the client has "
                        + client.getOffsetStore().cloneOffsetTable(TOPIC) + client.getOffsetStore().cloneOffsetTable(retry));
            }
            if (left.getCount() == 0) {
                client.getmQClientFactory().updateTopicRouteInfoFromNameServer(retry);
                client.getmQClientFactory().rebalanceImmediately();
            }
            Thread.sleep(50);
        }
    }

    private static long consumed(DefaultMQPushConsumerImpl client, String topic) {
        return client.getOffsetStore().cloneOffsetTable(topic).values().stream().mapToLong(Long::longValue).sum();
    }

    /** One message of a producer that tells its traces, where the release has such. */
    private void trace() throws Exception {
        DefaultMQProducer producer;
        try {
            producer = DefaultMQProducer.class.getConstructor(String.class, RPCHook.class, boolean.class, String.class)
                    .newInstance("TracedProducers", null, true, null);
        } catch (NoSuchMethodException noTraces) {
            return;
        }
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName("traced");
        producer.setClientIP("127.0.0.1");
        producer.start();
        Message message = new Message(TOPIC, null, body("traced"));
        send(producer, message, 900, 0);
        // What has not gone by then goes now.
        producer.shutdown();
    }

    /** A consumer that filters by a property, and messages that came when it was there, with and without tags. */
    private void filter() throws Exception {
        DefaultMQProducer producer = producer("filter");
        awaitRoute(producer, FILTERED);
        filtering = new DefaultMQPushConsumer("FilterGroup");
        filtering.setNamesrvAddr(namesrv);
        filtering.setInstanceName("FilterGroup");
        filtering.setClientIP("127.0.0.1");
        filtering.subscribe(FILTERED, MessageSelector.bySql("number > 1"));
        filtering.registerMessageListener(
                (MessageListenerConcurrently) (messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        // Its heartbeat is answered then, and its filter is known.
        filtering.start();
        // Our broker believes the bits of messages that came a second after the filter, Java's those of the next millisecond.
        Thread.sleep(1500);
        for (int i = 0; i < 4; i++) {
            Message message = new Message(FILTERED, i % 2 == 0 ? "Even" : "", body("body " + i));
            message.putUserProperty("number", Integer.toString(i));
            send(producer, message, 800 + i, 0);
        }
        producer.shutdown();
    }

    private void offline() {
        onlineProducer.shutdown();
        onlineConsumer.shutdown();
    }
}
