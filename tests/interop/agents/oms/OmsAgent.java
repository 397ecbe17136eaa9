import io.openmessaging.BytesMessage;
import io.openmessaging.KeyValue;
import io.openmessaging.Message;
import io.openmessaging.MessagingAccessPoint;
import io.openmessaging.OMS;
import io.openmessaging.OMSBuiltinKeys;
import io.openmessaging.consumer.PullConsumer;
import io.openmessaging.consumer.PushConsumer;
import io.openmessaging.producer.Producer;
import io.openmessaging.producer.SendResult;
import java.util.HashMap;
import java.util.Map;

/**
 * RocketMQ's module for OpenMessaging that does what agents/desk.py tells it: OmsAgent NAMESRV NAME. It has neither batches nor
 * tags, and keeps the queues to itself.
 */
final class OmsAgent extends Desk {
    private static final int POLL_MILLISECONDS = 1500;

    private final MessagingAccessPoint access;
    private final Map<String, Producer> producers = new HashMap<>();
    private final Map<String, Runnable> open = new HashMap<>();
    private final String name;
    private int pulls;

    private OmsAgent(String namesrv, String name) {
        access = OMS.getMessagingAccessPoint("oms:rocketmq://" + namesrv + "/default:default");
        access.startup();
        this.name = name;
    }

    public static void main(String[] args) throws Exception {
        new OmsAgent(args[0], args[1]).serve("sync async oneway large compresses pull push properties nul creates-topics");
    }

    @Override
    Map<String, String> work(Map<String, String> command) throws Exception {
        switch (command.get("do")) {
            case "producer":
                Producer producer = access.createProducer(keys("rmq.producer.group", command.get("group")).put(OMSBuiltinKeys.OPERATION_TIMEOUT, 10_000));
                producer.startup();
                producers.put(command.get("name"), producer);
                open.put(command.get("name"), producer::shutdown);
                return form();
            case "consumer":
                return startConsumer(command);
            case "stop":
                open.remove(command.get("name")).run();
                return form();
            case "send":
                return send(producers.get(command.get("by")), command);
            case "pull":
                return pull(command.get("topic"));
            default:
                throw new IllegalArgumentException("unknown command " + command);
        }
    }

    private static KeyValue keys(String key, String value) {
        return OMS.newKeyValue().put(key, value);
    }

    private Map<String, String> startConsumer(Map<String, String> command) {
        PushConsumer consumer = access.createPushConsumer(keys(OMSBuiltinKeys.CONSUMER_ID, command.get("group")));
        for (String topic : command.get("topics").split(",")) {
            consumer.attachQueue(topic, (message, context) -> {
                arrived(command.get("name"), message);
                context.ack();
            });
        }
        consumer.startup();
        open.put(command.get("name"), consumer::shutdown);
        return form();
    }

    private static void arrived(String consumer, Message message) {
        Map<String, String> line = form("got", consumer, "topic", message.sysHeaders().getString(Message.BuiltinKeys.DESTINATION),
                "body", text(message.getBody(byte[].class)));
        message.userHeaders().keySet().forEach(header -> line.put("p." + header, message.userHeaders().getString(header)));
        print(line);
    }

    private static Map<String, String> send(Producer producer, Map<String, String> command) {
        BytesMessage message = producer.createBytesMessage(command.get("topic"), bytes(command.get("body")));
        under("p.", command).forEach(message::putUserHeaders);
        switch (command.get("mode")) {
            case "sync":
                return form("id", producer.send(message).messageId());
            case "oneway":
                producer.sendOneway(message);
                return form();
            default:
                producer.sendAsync(message).addListener(future -> {
                    SendResult result = future.get();
                    if (future.getThrowable() != null) {
                        failed(command, future.getThrowable());
                    } else {
                        answer(command, form("id", result.messageId()));
                    }
                });
                return null;
        }
    }

    /** It gives one message after the other; when it gives none for a while there are no more. */
    private Map<String, String> pull(String topic) {
        PullConsumer consumer = access.createPullConsumer(keys(OMSBuiltinKeys.CONSUMER_ID, "readers-" + name + "-" + pulls++));
        consumer.attachQueue(topic);
        consumer.startup();
        try {
            KeyValue patience = OMS.newKeyValue().put(Message.BuiltinKeys.TIMEOUT, 10 * POLL_MILLISECONDS);
            for (Message message = consumer.receive(patience); message != null; message = consumer.receive(patience)) {
                arrived("pull", message);
                consumer.ack(message.sysHeaders().getString(Message.BuiltinKeys.MESSAGE_ID));
                patience.put(Message.BuiltinKeys.TIMEOUT, POLL_MILLISECONDS);
            }
        } finally {
            consumer.shutdown();
        }
        return form();
    }
}
