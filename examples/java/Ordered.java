import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/** All events of one order go to one queue, chosen by its number, and an ordered listener takes a queue one by one. */
public final class Ordered {
    private static final List<String> STEPS = List.of("created", "paid", "shipped");

    public static void main(String[] args) throws Exception {
        String topic = "Steps-" + System.currentTimeMillis();
        DefaultMQProducer shop = new DefaultMQProducer("steps");
        shop.setNamesrvAddr(args[0]);
        shop.start();
        for (String step : STEPS) {
            for (int order = 0; order < 6; order++) {
                Message message = new Message(topic, step, "order-" + order, step.getBytes());
                shop.send(message, (queues, sent, number) -> queues.get((Integer) number % queues.size()), order);
            }
        }
        Map<String, List<String>> seen = new ConcurrentHashMap<>();
        CountDownLatch left = new CountDownLatch(6 * STEPS.size());
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("warehouse-" + topic);
        consumer.setNamesrvAddr(args[0]);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            messages.forEach(message -> {
                seen.computeIfAbsent(message.getKeys(), key -> new ArrayList<>()).add(new String(message.getBody()));
                left.countDown();
            });
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        boolean all = left.await(60, TimeUnit.SECONDS);
        consumer.shutdown();
        shop.shutdown();
        seen.forEach((order, steps) -> System.out.println(order + ": " + steps));
        System.exit(all && seen.values().stream().allMatch(STEPS::equals) ? 0 : 1);
    }
}
