import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/** The shop tells that an order was placed. Stock and mail hear of it each in its own group; the shop knows neither. */
public final class Decoupling {
    public static void main(String[] args) throws Exception {
        String topic = "Orders-" + System.currentTimeMillis();
        DefaultMQProducer shop = new DefaultMQProducer("shop");
        shop.setNamesrvAddr(args[0]);
        shop.start();
        for (int order = 1; order <= 5; order++) {
            shop.send(new Message(topic, "placed", "order-" + order, ("order " + order).getBytes()));
        }
        CountDownLatch stock = new CountDownLatch(5);
        CountDownLatch mail = new CountDownLatch(5);
        DefaultMQPushConsumer first = consumer(args[0], "stock", topic, stock);
        DefaultMQPushConsumer second = consumer(args[0], "mail", topic, mail);
        boolean all = stock.await(60, TimeUnit.SECONDS) && mail.await(60, TimeUnit.SECONDS);
        first.shutdown();
        second.shutdown();
        shop.shutdown();
        System.out.println(all ? "both have all five" : "some are missing");
        System.exit(all ? 0 : 1);
    }

    private static DefaultMQPushConsumer consumer(String namesrv, String name, String topic, CountDownLatch left) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(name + "-" + topic);
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(name);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "placed");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> {
                System.out.println(name + " has " + new String(message.getBody()));
                left.countDown();
            });
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }
}
