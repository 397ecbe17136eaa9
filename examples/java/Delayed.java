import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/** With each order goes a message to oneself for later: whoever has not paid by then loses the order. Level 2 is 5 s. */
public final class Delayed {
    public static void main(String[] args) throws Exception {
        String topic = "Deadlines-" + System.currentTimeMillis();
        DefaultMQProducer shop = new DefaultMQProducer("deadlines");
        shop.setNamesrvAddr(args[0]);
        shop.start();
        Message reminder = new Message(topic, "unpaid", "order-7", "order 7".getBytes());
        reminder.setDelayTimeLevel(2);
        long began = System.currentTimeMillis();
        shop.send(reminder);
        CountDownLatch reminded = new CountDownLatch(1);
        DefaultMQPushConsumer office = new DefaultMQPushConsumer("office-" + topic);
        office.setNamesrvAddr(args[0]);
        office.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        office.subscribe(topic, "*");
        office.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            System.out.println(messages.get(0).getKeys() + " is due after " + (System.currentTimeMillis() - began) + " ms");
            reminded.countDown();
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        office.start();
        boolean came = reminded.await(30, TimeUnit.SECONDS) && System.currentTimeMillis() - began >= 5_000;
        office.shutdown();
        shop.shutdown();
        System.exit(came ? 0 : 1);
    }
}
