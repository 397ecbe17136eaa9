import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.impl.factory.MQClientInstance;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** A group that is sent back while its consumers run. */
final class Resets {
    /** To a time between two halves of the messages: the second half comes once more, and the first does not. */
    static String whileConsuming(Clients clients) throws Exception {
        Ledger first = new Ledger();
        String topic = clients.name("topic");
        String group = clients.name("group");
        DefaultMQProducer producer = clients.producer();
        Groups.sendTagged(producer, first, topic, new String[] {"first"}, 40);
        Set<MessageQueue> queues = clients.queues(topic);
        Thread.sleep(1100);
        long between = System.currentTimeMillis();
        Thread.sleep(100);
        Groups.sendTagged(producer, first, topic, new String[] {"second"}, 40);
        DefaultMQPushConsumer consumer = clients.pushConsumer(group, topic, "*", first);
        first.await(40);
        Groups.settle(clients, consumer, topic);
        MQClientInstance client = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory();
        String broker = client.findBrokerAddressInPublish(queues.iterator().next().getBrokerName());
        Map<MessageQueue, Long> table = client.getMQClientAPIImpl().invokeBrokerToResetOffset(broker, topic, group, between, true, 10_000);
        Clients.require(table.keySet().equals(queues), "the broker sent it back on " + table);
        long began = System.currentTimeMillis();
        Clients.until("second half once more", 40, () -> again(first, "second") == 40 ? true : null);
        long took = System.currentTimeMillis() - began;
        Groups.settle(clients, consumer, topic);
        Clients.require(again(first, "first") == 0, again(first, "first") + " of the first half came again");
        return "80 messages, 40 of them again " + took + " ms after the reset to " + table.values();
    }

    private static int again(Ledger ledger, String tag) {
        int again = 0;
        for (int i = 0; i < ledger.sentCount(); i++) {
            int times = ledger.arrivals("key-" + i).size();
            boolean fits = times > 0 && tag.equals(ledger.arrivals("key-" + i).get(0).message.getTags());
            again += fits ? times - 1 : 0;
        }
        return again;
    }

    private Resets() {}
}
