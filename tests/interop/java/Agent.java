import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.impl.factory.MQClientInstance;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.constant.PermName;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.subscription.SubscriptionGroupConfig;

/** A Java client that does what agents/ tells it: Agent NAMESRV NAME. Compiled for every release. */
final class Agent extends Desk {
    private final String namesrv;
    private final String name;
    private final Map<String, Runnable> open = new HashMap<>();
    private final Map<String, DefaultMQProducer> producers = new HashMap<>();
    private final Extras extras = Extras.ofThisRelease();
    private DefaultMQPullConsumer reader;

    private Agent(String namesrv, String name) {
        this.namesrv = namesrv;
        this.name = name;
    }

    public static void main(String[] args) throws Exception {
        String abilities = "sync async oneway large compresses pull push tags keys properties nul creates-topics obeys delays refuses "
                + "refuses-one retries orders broadcasts";
        Agent agent = new Agent(args[0], args[1]);
        agent.serve(abilities + (hasBatches() ? " batch" : "") + (agent.extras == null ? "" : " transactions filters")
                + (Namespaces.areThere() ? " namespaces" : "") + (Replies.areThere() ? " requests" : ""));
    }

    private static boolean hasBatches() {
        try {
            return DefaultMQProducer.class.getMethod("send", Collection.class) != null;
        } catch (NoSuchMethodException e) {
            return false;
        }
    }

    @Override
    Map<String, String> work(Map<String, String> command) throws Exception {
        switch (command.get("do")) {
            case "producer":
                return startProducer(command, new DefaultMQProducer(command.get("group")));
            case "transactor":
                return startProducer(command, extras.transactor(command.get("group"), message -> arrived(command.get("name"), message)));
            case "consumer":
                return startConsumer(command);
            case "stop":
                open.remove(command.get("name")).run();
                return form();
            case "send":
                return send(producers.get(command.get("by")), command);
            case "batch":
                return sendBatch(producers.get(command.get("by")), command);
            case "request":
                Message reply = Replies.request(producers.get(command.get("by")), message(command.get("topic"), command));
                return form("reply", text(reply.getBody()));
            case "pull":
                return pull(command.get("topic"));
            case "query":
                return query(command.get("name"), command.get("topic"), command.get("key"), Integer.parseInt(command.get("count")));
            case "reset":
                return reset(command.get("topic"), command.get("group"), Long.parseLong(command.get("time")));
            case "info":
                return info(command.get("topic"), command.get("group"));
            case "allow":
                return allow(command.get("topic"), command.get("group"), Integer.parseInt(command.get("retries")));
            case "open":
                return letRead(command.get("by"), command.get("topic"));
            case "view":
                arrived(command.get("name"), reader().viewMessage(command.get("topic"), command.get("id")));
                return form();
            default:
                throw new IllegalArgumentException("unknown command " + command);
        }
    }

    /** Has a group sent elsewhere, as an administrator does; the answer has how many queues that were. */
    private Map<String, String> reset(String topic, String group, long time) throws Exception {
        Map<MessageQueue, Long> table = factory().getMQClientAPIImpl().invokeBrokerToResetOffset(broker(topic), topic, group, time, true, 10_000);
        return form("queues", table.size());
    }

    /** What the first client of a group says it runs. */
    private Map<String, String> info(String topic, String group) throws Exception {
        String client = factory().findConsumerIdList(topic, group).get(0);
        Object info = factory().getMQClientAPIImpl().getConsumerRunningInfo(broker(topic), group, client, false, 10_000);
        return form("client", client, "info", String.valueOf(info.getClass().getMethod("getProperties").invoke(info)));
    }

    /** Sets how often messages come again to a group, as an administrator does. */
    private Map<String, String> allow(String topic, String group, int retries) throws Exception {
        SubscriptionGroupConfig config = new SubscriptionGroupConfig();
        config.setGroupName(group);
        config.setRetryMaxTimes(retries);
        factory().getMQClientAPIImpl().createSubscriptionGroup(broker(topic), config, 10_000);
        return form();
    }

    /** Lets a topic be read that can only be written, as an administrator does; the answer has its permission before. */
    private Map<String, String> letRead(String by, String topic) throws Exception {
        int perm = factory().getMQClientAPIImpl().getTopicRouteInfoFromNameServer(topic, 10_000).getQueueDatas().get(0).getPerm();
        if (perm == PermName.PERM_WRITE) {
            TopicConfig config = new TopicConfig(topic, 1, 1, PermName.PERM_READ | PermName.PERM_WRITE);
            factory().getMQClientAPIImpl().createTopic(broker(by), by, config, 10_000);
        }
        return form("was", perm);
    }

    private MQClientInstance factory() throws Exception {
        return reader().getDefaultMQPullConsumerImpl().getRebalanceImpl().getmQClientFactory();
    }

    /** The address of a topic's broker, which the reader has once it has asked for the route. */
    private String broker(String topic) throws Exception {
        factory().updateTopicRouteInfoFromNameServer(topic);
        return factory().findBrokerAddressInPublish(reader().fetchSubscribeMessageQueues(topic).iterator().next().getBrokerName());
    }

    private void configure(ClientConfig client, String of) {
        client.setNamesrvAddr(namesrv);
        client.setClientIP("127.0.0.1");
        client.setInstanceName(name + "-" + of);
    }

    private Map<String, String> startProducer(Map<String, String> command, DefaultMQProducer producer) throws Exception {
        configure(producer, command.get("name"));
        Namespaces.enter(producer, command.get("namespace"));
        producer.setSendMsgTimeout(10_000);
        if (command.containsKey("queues")) {
            producer.setDefaultTopicQueueNums(Integer.parseInt(command.get("queues")));
        }
        producer.start();
        producers.put(command.get("name"), producer);
        open.put(command.get("name"), producer::shutdown);
        return form();
    }

    private Map<String, String> startConsumer(Map<String, String> command) throws Exception {
        String consumerName = command.get("name");
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(command.get("group"));
        configure(consumer, consumerName);
        Namespaces.enter(consumer, command.get("namespace"));
        DefaultMQProducer replier = command.containsKey("replies") ? startReplier(command) : null;
        Listening.prepare(consumer, command, extras, message -> {
            arrived(consumerName, message);
            if (replier != null) {
                Replies.reply(replier, message);
            }
        });
        consumer.start();
        open.put(consumerName, () -> {
            consumer.shutdown();
            if (replier != null) {
                replier.shutdown();
            }
        });
        return form();
    }

    private DefaultMQProducer startReplier(Map<String, String> command) throws Exception {
        DefaultMQProducer replier = new DefaultMQProducer(command.get("replies"));
        configure(replier, command.get("replies"));
        Namespaces.enter(replier, command.get("namespace"));
        replier.start();
        return replier;
    }

    private static void arrived(String consumer, MessageExt message) {
        Map<String, String> line = form("got", consumer, "topic", message.getTopic(), "tags", message.getTags(), "keys", message.getKeys(),
                "body", text(message.getBody()), "queue", message.getQueueId(), "offset", message.getQueueOffset(), "stored", message.getStoreSize(),
                "times", message.getReconsumeTimes(), "at", message.getStoreTimestamp());
        message.getProperties().forEach((property, value) -> line.put("p." + property, value));
        print(line);
    }

    private static Message message(String topic, Map<String, String> form) {
        Message message = new Message(topic, form.get("tags"), form.get("keys"), bytes(form.get("body")));
        under("p.", form).forEach(message::putUserProperty);
        if (form.containsKey("level")) {
            message.setDelayTimeLevel(Integer.parseInt(form.get("level")));
        }
        return message;
    }

    private static Map<String, String> result(SendResult result) {
        return form("status", result.getSendStatus(), "id", result.getMsgId(), "queue", result.getMessageQueue().getQueueId(),
                "offset", result.getQueueOffset());
    }

    private Map<String, String> send(DefaultMQProducer producer, Map<String, String> command) throws Exception {
        Message message = message(command.get("topic"), command);
        switch (command.get("mode")) {
            case "sync":
                return result(command.containsKey("lane") ? sendInLane(producer, message, command.get("lane")) : producer.send(message));
            case "transaction":
                // Where the half message is stored tells nothing: it is stored elsewhere when it is committed.
                return form("id", extras.sendInTransaction(producer, message).getMsgId());
            case "oneway":
                producer.sendOneway(message);
                return form();
            default:
                producer.send(message, new SendCallback() {
                    @Override
                    public void onSuccess(SendResult result) {
                        answer(command, result(result));
                    }

                    @Override
                    public void onException(Throwable e) {
                        failed(command, e);
                    }
                });
                return null;
        }
    }

    /** Messages with one lane go to one queue. */
    private static SendResult sendInLane(DefaultMQProducer producer, Message message, String lane) throws Exception {
        return producer.send(message, (queues, ignored, of) -> queues.get(Math.floorMod(of.hashCode(), queues.size())), lane);
    }

    /** By its name, since 3.5.8 has no such method. */
    private static Map<String, String> sendBatch(DefaultMQProducer producer, Map<String, String> command) throws Exception {
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < Integer.parseInt(command.get("count")); i++) {
            messages.add(message(command.get("topic"), under(i + ".", command)));
        }
        try {
            return result((SendResult) DefaultMQProducer.class.getMethod("send", Collection.class).invoke(producer, messages));
        } catch (InvocationTargetException e) {
            throw (Exception) e.getCause();
        }
    }

    /** All that the queues of a topic hold. */
    private Map<String, String> pull(String topic) throws Exception {
        for (MessageQueue queue : reader().fetchSubscribeMessageQueues(topic)) {
            long end = reader().maxOffset(queue);
            for (long next = reader().minOffset(queue); next < end; ) {
                PullResult result = reader().pull(queue, "*", next, 32);
                if (result.getPullStatus() != PullStatus.FOUND || result.getNextBeginOffset() <= next) {
                    throw new AssertionError("pull of " + queue + " at " + next + " of " + end + " gave " + result);
                }
                result.getMsgFoundList().forEach(message -> arrived("pull", message));
                next = result.getNextBeginOffset();
            }
        }
        return form();
    }

    private Map<String, String> query(String asker, String topic, String key, int count) throws Exception {
        List<MessageExt> found = Clients.until(count + " messages with key " + key, 15, () -> {
            try {
                List<MessageExt> messages = reader().queryMessage(topic, key, 64, 0, Long.MAX_VALUE).getMessageList();
                return messages.size() >= count ? messages : null;
            } catch (MQClientException nothingYet) {
                return null;
            }
        });
        found.forEach(message -> arrived(asker, message));
        return form();
    }

    private DefaultMQPullConsumer reader() throws MQClientException {
        if (reader == null) {
            reader = new DefaultMQPullConsumer(name + "-readers");
            configure(reader, "reader");
            reader.start();
        }
        return reader;
    }
}
