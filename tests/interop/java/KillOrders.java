import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Two consumers of a group that takes messages in order, while the broker is killed and started again: what a queue gives may
 * begin anew from further back, but nothing is passed over, and no two of them are at one queue at once.
 */
final class KillOrders {
    private final Clients clients;
    private final String topic;
    /** By queue, the offset that came last and the furthest one. */
    private final Map<MessageQueue, Long> furthest = new HashMap<>();
    private final Map<MessageQueue, String> atWork = new HashMap<>();
    private final List<String> wrong = new ArrayList<>();
    private int again;

    KillOrders(Clients clients, String topic) {
        this.clients = clients;
        this.topic = topic;
    }

    void start() throws Exception {
        for (int i = 0; i < 2; i++) {
            String name = "consumer " + i;
            DefaultMQPushConsumer consumer = clients.newPushConsumer(clients.name("ordered"), topic, "*");
            consumer.setConsumeMessageBatchMaxSize(1);
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                MessageQueue queue = context.getMessageQueue();
                begin(queue, name);
                messages.forEach(message -> take(queue, message));
                end(queue);
                return ConsumeOrderlyStatus.SUCCESS;
            });
            consumer.start();
        }
    }

    private synchronized void begin(MessageQueue queue, String consumer) {
        String other = atWork.put(queue, consumer);
        if (other != null) {
            wrong.add(consumer + " takes " + queue + " while " + other + " is at it");
        }
    }

    private synchronized void end(MessageQueue queue) {
        atWork.remove(queue);
    }

    private synchronized void take(MessageQueue queue, MessageExt message) {
        long before = furthest.getOrDefault(queue, -1L);
        long offset = message.getQueueOffset();
        if (offset > before + 1) {
            wrong.add("offset " + offset + " of " + queue + " came after " + before);
        }
        again += offset <= before ? 1 : 0;
        furthest.put(queue, Math.max(before, offset));
    }

    private synchronized long furthest(MessageQueue queue) {
        return furthest.getOrDefault(queue, -1L);
    }

    /** Waits until all that the topic holds has come. */
    String check(int seconds) throws Exception {
        DefaultMQPullConsumer reader = clients.reader();
        List<MessageQueue> queues = new ArrayList<>(clients.queues(topic));
        Collections.sort(queues);
        long all = 0;
        for (MessageQueue queue : queues) {
            long end = reader.maxOffset(queue);
            all += end;
            Clients.until("end of " + queue + " in order", seconds, () -> furthest(queue) + 1 >= end ? queue : null);
        }
        synchronized (this) {
            Clients.require(wrong.isEmpty(), wrong.size() + " are wrong: " + wrong.subList(0, Math.min(5, wrong.size())));
            return all + " in the order of their queues, " + again + " of them again";
        }
    }
}
