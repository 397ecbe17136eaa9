import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/** The broker looks at the messages' properties and brings those that the condition fits. */
public final class Filtered {
    public static void main(String[] args) throws Exception {
        String topic = "Offers-" + System.currentTimeMillis();
        DefaultMQProducer market = new DefaultMQProducer("market");
        market.setNamesrvAddr(args[0]);
        market.start();
        for (int price = 1; price <= 10; price++) {
            Message offer = new Message(topic, ("offer at " + price).getBytes());
            offer.putUserProperty("price", String.valueOf(price));
            offer.putUserProperty("city", price % 2 == 0 ? "Oslo" : "Rome");
            market.send(offer);
        }
        Set<Integer> prices = new ConcurrentSkipListSet<>();
        DefaultMQPushConsumer buyer = new DefaultMQPushConsumer("buyer-" + topic);
        buyer.setNamesrvAddr(args[0]);
        buyer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        buyer.subscribe(topic, MessageSelector.bySql("price < 7 AND city = 'Oslo'"));
        buyer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> prices.add(Integer.valueOf(message.getUserProperty("price"))));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        buyer.start();
        for (long end = System.currentTimeMillis() + 60_000; prices.size() < 3 && System.currentTimeMillis() < end; ) {
            Thread.sleep(20);
        }
        System.out.println("prices " + prices);
        buyer.shutdown();
        market.shutdown();
        System.exit(prices.equals(Set.of(2, 4, 6)) ? 0 : 1);
    }
}
