import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** A message that nobody can consume comes again once, a second later, and then rests in the group's dead-letter topic. */
@SuppressWarnings("deprecation")
public final class Retries {
    public static void main(String[] args) throws Exception {
        String topic = "Hard-" + System.currentTimeMillis();
        DefaultMQProducer producer = new DefaultMQProducer("hard");
        producer.setNamesrvAddr(args[0]);
        producer.start();
        producer.send(new Message(topic, "hard", "key", "hard to consume".getBytes()));
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("group-" + topic);
        consumer.setNamesrvAddr(args[0]);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setMaxReconsumeTimes(1);
        // A new group's retry topic is found with the next look at the routes.
        consumer.setPollNameServerInterval(1_000);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            System.out.println("try " + (messages.get(0).getReconsumeTimes() + 1) + " fails");
            context.setDelayLevelWhenNextConsume(1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        DefaultMQPullConsumer looker = new DefaultMQPullConsumer("looker");
        looker.setNamesrvAddr(args[0]);
        looker.start();
        String letter = null;
        for (long end = System.currentTimeMillis() + 90_000; letter == null && System.currentTimeMillis() < end; ) {
            Thread.sleep(200);
            letter = deadLetter(looker, "%DLQ%" + consumer.getConsumerGroup());
        }
        System.out.println("dead letter: " + letter);
        looker.shutdown();
        consumer.shutdown();
        producer.shutdown();
        System.exit("hard to consume".equals(letter) ? 0 : 1);
    }

    private static String deadLetter(DefaultMQPullConsumer looker, String topic) throws Exception {
        try {
            Set<MessageQueue> queues = looker.fetchSubscribeMessageQueues(topic);
            MessageQueue queue = queues.iterator().next();
            if (looker.maxOffset(queue) == 0) {
                return null;
            }
            return new String(looker.pull(queue, "*", 0, 1).getMsgFoundList().get(0).getBody());
        } catch (MQClientException e) {
            // There is no dead letter yet, and so no topic for it.
            return null;
        }
    }
}
