import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.protocol.heartbeat.MessageModel;

/** Three instances of an application have a cache each; a change is broadcast, and all of them drop the entry. */
public final class CacheSync {
    public static void main(String[] args) throws Exception {
        String topic = "Changes-" + System.currentTimeMillis();
        DefaultMQProducer editor = new DefaultMQProducer("editor");
        editor.setNamesrvAddr(args[0]);
        editor.start();
        List<Map<String, String>> caches = new ArrayList<>();
        List<DefaultMQPushConsumer> instances = new ArrayList<>();
        editor.send(new Message(topic, "changed", "none", "none".getBytes()));
        for (int i = 0; i < 3; i++) {
            Map<String, String> cache = new ConcurrentHashMap<>(Map.of("price", "10"));
            caches.add(cache);
            DefaultMQPushConsumer instance = new DefaultMQPushConsumer("caches-" + topic);
            instance.setNamesrvAddr(args[0]);
            instance.setInstanceName("cache-" + i);
            instance.setMessageModel(MessageModel.BROADCASTING);
            instance.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
            instance.subscribe(topic, "changed");
            instance.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                messages.forEach(message -> cache.remove(message.getKeys()));
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
            instance.start();
            instances.add(instance);
        }
        editor.send(new Message(topic, "changed", "price", "price".getBytes()));
        boolean dropped = false;
        for (long end = System.currentTimeMillis() + 60_000; !dropped && System.currentTimeMillis() < end; ) {
            Thread.sleep(20);
            dropped = caches.stream().allMatch(Map::isEmpty);
        }
        System.out.println(dropped ? "all three have dropped it" : "an instance has the old price");
        instances.forEach(DefaultMQPushConsumer::shutdown);
        editor.shutdown();
        System.exit(dropped ? 0 : 1);
    }
}
