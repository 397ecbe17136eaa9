import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Callable;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.impl.factory.MQClientInstance;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Filters by properties (SQL92); releases before 4.1 have none. */
final class Filters {
    private static final String EXPRESSION =
            "number BETWEEN 20 AND 150 AND (color IN ('red', 'it''s blue') OR weight > 7.5) AND NOT (special = TRUE) AND missing IS NULL";
    private static final String[] COLORS = {"red", "green", "it's blue", null, "Red"};

    static String bySql(Clients clients) throws Exception {
        Ledger pushed = new Ledger();
        Ledger pulled = pushed.ofAnother();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        send(producer, pushed, topic, 0, 100);
        enable(producer, topic);
        DefaultMQPushConsumer consumer = clients.newPushConsumer(clients.name("group"), topic, "*");
        consumer.subscribe(topic, MessageSelector.bySql(EXPRESSION));
        Clients.start(consumer, pushed);
        pushed.await(40, "wanted"::equals);
        send(producer, pushed, topic, 100, 200);
        pushed.await(40, "wanted"::equals);
        // A wrong one would come before the last of its queue.
        for (MessageQueue queue : clients.queues(topic)) {
            Message last = message(pushed, topic, 25, "red", "1", "false");
            pushed.answered(last, producer.send(last, queue));
        }
        pushed.await(40, "wanted"::equals);
        pushed.compare("wanted"::equals);
        String ofPulls = pullAll(clients, topic, pulled);
        refused(clients, topic);
        return pushed.arrivals().size() + " of " + pushed.sentCount() + " messages pushed, " + ofPulls;
    }

    private static void send(DefaultMQProducer producer, Ledger ledger, String topic, int from, int end) throws Exception {
        for (int i = from; i < end; i++) {
            String weight = i % 7 == 0 ? null : String.valueOf(i % 10);
            Message message = message(ledger, topic, i, COLORS[i % COLORS.length], weight, i % 3 == 0 ? "true" : i % 11 == 0 ? null : "no");
            ledger.answered(message, producer.send(message));
        }
    }

    /** The tag is what Java's own operators make of the expression. A weight or a flag that is missing makes it unknown, unless the rest decides. */
    private static Message message(Ledger ledger, String topic, int number, String color, String weight, String special) {
        boolean isHeavy = weight != null && Double.parseDouble(weight) > 7.5;
        boolean isColored = "red".equals(color) || "it's blue".equals(color);
        boolean isNotSpecial = special != null && !Boolean.parseBoolean(special);
        boolean isWanted = number >= 20 && number <= 150 && (isColored || isHeavy) && isNotSpecial;
        Message message = ledger.message(topic, isWanted ? "wanted" : "other", ("number " + number).getBytes());
        message.putUserProperty("number", String.valueOf(number));
        if (color != null) message.putUserProperty("color", color);
        if (weight != null) message.putUserProperty("weight", weight);
        if (special != null) message.putUserProperty("special", special);
        return ledger.note(message);
    }

    /** Brokers take no filters by properties unless they are told to. */
    private static void enable(DefaultMQProducer producer, String topic) throws Exception {
        MQClientInstance factory = producer.getDefaultMQProducerImpl().getmQClientFactory();
        Properties properties = new Properties();
        properties.setProperty("enablePropertyFilter", "true");
        String broker = producer.fetchPublishMessageQueues(topic).get(0).getBrokerName();
        factory.getMQClientAPIImpl().updateBrokerConfig(factory.findBrokerAddressInPublish(broker), properties, 5000);
    }

    /** The pull consumer of 4.3 has no selectors. */
    private static String pullAll(Clients clients, String topic, Ledger ledger) throws Exception {
        Method pull;
        try {
            pull = DefaultMQPullConsumer.class.getMethod("pull", MessageQueue.class, MessageSelector.class, long.class, int.class);
        } catch (NoSuchMethodException e) {
            return "no pulls by selector in this release";
        }
        DefaultMQPullConsumer consumer = clients.pullConsumer(clients.name("pullers"));
        Set<MessageQueue> queues = clients.queues(topic);
        // It takes selectors for brokers alone whose version it knows, from the answer to a heartbeat.
        MessageQueue any = queues.iterator().next();
        consumer.maxOffset(any);
        MQClientInstance factory = consumer.getDefaultMQPullConsumerImpl().getRebalanceImpl().getmQClientFactory();
        Clients.until("broker that takes selectors", 15, () -> {
            factory.sendHeartbeatToAllBrokerWithLock();
            try {
                return pulled(() -> (PullResult) pull.invoke(consumer, any, MessageSelector.bySql(EXPRESSION), 0, 1));
            } catch (MQClientException e) {
                return null;
            }
        });
        for (MessageQueue queue : queues) {
            long end = consumer.maxOffset(queue);
            long next = 0;
            while (next < end) {
                long from = next;
                PullResult result = pulled(() -> (PullResult) pull.invoke(consumer, queue, MessageSelector.bySql(EXPRESSION), from, 10));
                boolean found = result.getPullStatus() == PullStatus.FOUND;
                boolean goesOn = result.getNextBeginOffset() > next && (found || result.getPullStatus() == PullStatus.NO_MATCHED_MSG);
                Clients.require(goesOn, "pull by selector at " + next + " of " + end + ": " + result);
                if (found) result.getMsgFoundList().forEach(message -> ledger.received(message, "pull"));
                next = result.getNextBeginOffset();
            }
        }
        ledger.compare("wanted"::equals);
        return ledger.arrivals().size() + " pulled";
    }

    private static PullResult pulled(Callable<PullResult> pull) throws Exception {
        try {
            return pull.call();
        } catch (InvocationTargetException e) {
            throw (Exception) e.getCause();
        }
    }

    /** A consumer whose expression is none does not start, and is told why. */
    private static void refused(Clients clients, String topic) throws Exception {
        DefaultMQPushConsumer consumer = clients.newPushConsumer(clients.name("wrong"), topic, "*");
        consumer.subscribe(topic, MessageSelector.bySql("number >"));
        try {
            Clients.start(consumer, new Ledger());
        } catch (MQClientException e) {
            boolean isTold = e.getResponseCode() == 23 && e.getMessage().contains("Encountered \"<EOF>\" at line 1, column 8.");
            Clients.require(isTold, "a wrong expression was refused with " + e);
            return;
        }
        throw new AssertionError("a consumer with a wrong expression started");
    }

    private Filters() {}
}
