import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.protocol.heartbeat.MessageModel;

/** How a consumer of {@link Agent} takes what comes: in the ways that agents/desk.py names. */
final class Listening {
    private final Consumer<MessageExt> tell;
    private final String refuse;
    private final AtomicInteger left;
    private final long slow;
    private final int level;

    private Listening(Map<String, String> command, Consumer<MessageExt> tell) {
        this.tell = tell;
        refuse = command.get("refuse");
        left = new AtomicInteger(Integer.parseInt(command.getOrDefault("count", "0")));
        slow = Long.parseLong(command.getOrDefault("slow", "0"));
        level = Integer.parseInt(command.getOrDefault("level", "0"));
    }

    /** Prepares a consumer that is not started; `tell` gets each message that comes. */
    static void prepare(DefaultMQPushConsumer consumer, Map<String, String> command, Extras extras, Consumer<MessageExt> tell) throws Exception {
        Listening listening = new Listening(command, tell);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        if (command.containsKey("broadcast")) {
            consumer.setMessageModel(MessageModel.BROADCASTING);
        }
        if (command.containsKey("retries")) {
            consumer.setMaxReconsumeTimes(Integer.parseInt(command.get("retries")));
        }
        for (String topic : command.get("topics").split(",")) {
            if (command.containsKey("sql")) {
                extras.subscribe(consumer, topic, command.get("sql"));
            } else {
                consumer.subscribe(topic, command.get("tags"));
            }
        }
        if (command.containsKey("ordered")) {
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) ->
                    listening.takes(messages) ? ConsumeOrderlyStatus.SUCCESS : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT);
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                context.setDelayLevelWhenNextConsume(listening.level);
                return listening.takes(messages) ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS : ConsumeConcurrentlyStatus.RECONSUME_LATER;
            });
        }
    }

    private boolean takes(List<MessageExt> messages) {
        for (MessageExt message : messages) {
            try {
                Thread.sleep(slow);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return false;
            }
            tell.accept(message);
            if (refuse != null && refuse.equals(message.getTags()) && left.getAndDecrement() > 0) {
                return false;
            }
        }
        return true;
    }
}
