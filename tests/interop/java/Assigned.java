import java.util.HashSet;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumers of release 5 that let the broker share out the queues. */
final class Assigned {
    static String byTheBroker(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        String group = clients.name("group");
        DefaultMQProducer producer = clients.producer();
        Groups.sendTagged(producer, ledger, topic, new String[] {null}, 8);
        Set<MessageQueue> all = clients.queues(topic);
        DefaultMQPushConsumer one = start(clients, group, topic, ledger);
        ledger.await(40);
        Groups.settle(clients, one, topic);
        DefaultMQPushConsumer other = start(clients, group, topic, ledger);
        Clients.until("half of the queues for each", 60, () -> has(one, topic, all.size() / 2) && has(other, topic, all.size() / 2) ? true : null);
        int before = ledger.sentCount();
        Groups.sendTagged(producer, ledger, topic, new String[] {null}, 100);
        ledger.await(40);
        ledger.compare();
        Set<Integer> ofOne = Groups.takenBy(ledger, one, before, 100);
        Set<Integer> ofOther = Groups.takenBy(ledger, other, before, 100);
        Set<Integer> both = new HashSet<>(ofOne);
        both.addAll(ofOther);
        Clients.require(both.size() == all.size() && ofOne.size() == 2 && ofOther.size() == 2, "one took " + ofOne + ", the other " + ofOther);
        return ledger.sentCount() + " messages, queues " + ofOne + " and " + ofOther;
    }

    private static DefaultMQPushConsumer start(Clients clients, String group, String topic, Ledger ledger) throws Exception {
        DefaultMQPushConsumer consumer = clients.newPushConsumer(group, topic, "*");
        consumer.setClientRebalance(false);
        return Clients.start(consumer, ledger);
    }

    /** Whether a consumer has so many queues. It has none where the broker gives it none. */
    private static boolean has(DefaultMQPushConsumer consumer, String topic, int count) {
        Set<MessageQueue> queues = consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet();
        return queues.stream().filter(queue -> queue.getTopic().equals(topic)).count() == count;
    }

    private Assigned() {}
}
