import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** A consumer that cannot consume: messages come back, and in the end rest among the dead letters. */
final class Retries {
    private static final int MESSAGES = 20;

    /** Half of them fail whenever they come; the others succeed the first time. Two retries are allowed. */
    static String untilDead(Clients clients) throws Exception {
        Ledger ledger = new Ledger()
                .allowing("REAL_TOPIC", "REAL_QID", "DELAY", "RETRY_TOPIC", "ORIGIN_MESSAGE_ID", "MAX_RECONSUME_TIMES", "RECONSUME_TIME");
        Ledger dead = new Ledger();
        String topic = clients.name("topic");
        String group = clients.name("group");
        DefaultMQProducer producer = clients.producer();
        producer.send(ledger.message(topic, "good", "first".getBytes()));
        // A group's first heartbeat makes its retry topic, whose route this client would ask for half a minute later.
        DefaultMQPushConsumer first = clients.pushConsumer(group, topic, "good", ledger);
        clients.queues("%RETRY%" + group);
        ledger.await(40);
        first.shutdown();
        for (int i = 0; i < MESSAGES; i++) {
            producer.send(ledger.message(topic, i % 2 == 0 ? "good" : "bad", ("message " + i).getBytes()));
        }
        Map<String, List<String>> attempts = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = clients.newPushConsumer(group, topic, "*");
        consumer.setMaxReconsumeTimes(2);
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            MessageExt message = messages.get(0);
            long age = System.currentTimeMillis() - message.getStoreTimestamp();
            attempts.computeIfAbsent(Ledger.key(message), key -> new CopyOnWriteArrayList<>())
                    .add(message.getTopic() + " " + message.getReconsumeTimes() + (age < 0 ? " early" : ""));
            if ("bad".equals(message.getTags())) {
                context.setDelayLevelWhenNextConsume(1);
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            ledger.received(message, "good");
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        ledger.await(40, "good"::equals);

        String deadTopic = "%DLQ%" + group;
        Set<MessageQueue> queues = clients.queues(deadTopic);
        DefaultMQPullConsumer reader = clients.reader();
        MessageQueue only = queues.iterator().next();
        Clients.require(queues.size() == 1, "dead letters have the queues " + queues);
        Clients.until("end of " + MESSAGES / 2 + " dead letters", 30, () -> reader.maxOffset(only) >= MESSAGES / 2 ? only : null);
        Clients.readQueue(reader, only, 0, reader.maxOffset(only), dead);
        Clients.require(dead.arrivals().size() == MESSAGES / 2, "there are " + dead.arrivals().size() + " dead letters");
        for (Ledger.Received letter : dead.arrivals()) {
            MessageExt message = letter.message;
            String key = Ledger.key(message);
            Clients.require("bad".equals(message.getTags()), key + " is dead although it was consumed");
            Clients.require(topic.equals(message.getProperty("RETRY_TOPIC")), key + " comes from " + message.getProperty("RETRY_TOPIC"));
            Clients.require(message.getProperty("ORIGIN_MESSAGE_ID") != null, key + " does not say which message it was");
            Clients.require(new String(message.getBody()).startsWith("message "), key + " has another body");
            List<String> times = attempts.get(key);
            // The client shows a retried message under its first topic.
            List<String> wanted = java.util.Arrays.asList(topic + " 0", topic + " 1", topic + " 2");
            Clients.require(wanted.equals(times), key + " was tried as " + times);
        }
        // The first consumer may stop before it has told that the first message is consumed.
        ledger.compareAtLeastOnce("good"::equals);
        Clients.require(ledger.arrivals().size() <= MESSAGES / 2 + 2, "consumed messages came again");
        return MESSAGES / 2 + 1 + " consumed at once, " + MESSAGES / 2 + " tried three times and dead";
    }

    private Retries() {}
}
