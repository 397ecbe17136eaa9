import java.io.File;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.store.LocalFileOffsetStore;
import org.apache.rocketmq.client.impl.factory.MQClientInstance;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.protocol.header.QueryConsumerOffsetRequestHeader;
import org.apache.rocketmq.common.protocol.heartbeat.MessageModel;

/** Broadcasting consumers: each gets every message, and keeps its offsets in a file of its own. */
final class Broadcasts {
    /** Beside them a clustering group on the same topic, whose consumers share the messages out. */
    static String reachEveryConsumer(Clients clients) throws Exception {
        Ledger ofFirst = new Ledger();
        Ledger ofSecond = ofFirst.ofAnother();
        Ledger shared = ofFirst.ofAnother();
        String topic = clients.name("topic");
        String group = clients.name("broadcasting");
        String sharing = clients.name("sharing");
        DefaultMQProducer producer = clients.producer();
        Groups.sendTagged(producer, ofFirst, topic, new String[] {null}, 4);
        Set<MessageQueue> queues = clients.queues(topic);
        List<DefaultMQPushConsumer> pair = Groups.pair(clients, sharing, topic, shared);
        DefaultMQPushConsumer first = Clients.start(newConsumer(clients, group, topic), ofFirst);
        DefaultMQPushConsumer second = Clients.start(newConsumer(clients, group, topic), ofSecond);
        Groups.awaitMembers(first, topic, group, ids(first, second));
        Groups.awaitMembers(second, topic, sharing, ids(pair.get(0), pair.get(1)));

        Groups.sendTagged(producer, ofFirst, topic, new String[] {"TagA", "TagB", null}, 200);
        for (Ledger ledger : Arrays.asList(ofFirst, ofSecond, shared)) {
            ledger.await(40);
        }
        // A copy too many would come before these: an offset that is settled has nothing before it on its way.
        for (DefaultMQPushConsumer consumer : Arrays.asList(first, second, pair.get(0), pair.get(1))) {
            Groups.settle(clients, consumer, topic);
        }
        for (Ledger ledger : Arrays.asList(ofFirst, ofSecond, shared)) {
            ledger.compare();
        }
        Set<Integer> ofOne = Groups.takenBy(shared, pair.get(0), 4, 200);
        Set<Integer> ofOther = Groups.takenBy(shared, pair.get(1), 4, 200);
        boolean split = !ofOne.isEmpty() && !ofOther.isEmpty() && Collections.disjoint(ofOne, ofOther);
        Clients.require(split, "of the sharing group one took queues " + ofOne + ", the other " + ofOther);
        long atBroker = 0;
        for (MessageQueue queue : queues) {
            long ofSharing = offsetAtBroker(first, sharing, queue);
            Clients.require(ofSharing == clients.reader().maxOffset(queue), sharing + " is at " + ofSharing + " of " + queue);
            // What a young queue answers for a group that never committed.
            long ofBroadcasting = offsetAtBroker(first, group, queue);
            Clients.require(ofBroadcasting == 0, "the broker keeps offset " + ofBroadcasting + " of " + queue + " for " + group);
            atBroker += ofSharing;
        }
        Clients.require(offsets(first, group).isFile() && offsets(second, group).isFile(), "no file of local offsets");
        return ofFirst.sentCount() + " messages for each of two, none committed; shared out by queues " + ofOne + " and "
                + ofOther + " beside them, " + atBroker + " committed";
    }

    /** One stops and comes back under its name, another goes on meanwhile, and a third under a new name begins at the start. */
    static String resumeFromLocalOffsets(Clients clients) throws Exception {
        Ledger ofReturning = new Ledger();
        Ledger ofStaying = ofReturning.ofAnother();
        Ledger ofNew = ofReturning.ofAnother();
        String topic = clients.name("topic");
        String group = clients.name("broadcasting");
        DefaultMQProducer producer = clients.producer();
        Groups.sendTagged(producer, ofReturning, topic, new String[] {"before"}, 100);
        clients.queues(topic);
        DefaultMQPushConsumer stays = Clients.start(newConsumer(clients, group, topic), ofStaying);
        DefaultMQPushConsumer leaves = Clients.start(newConsumer(clients, group, topic), ofReturning);
        ofReturning.await(40);
        Groups.settle(clients, leaves, topic);
        leaves.shutdown();
        Groups.awaitMembers(stays, topic, group, ids(stays));
        Clients.require(offsets(leaves, group).isFile(), "no file " + offsets(leaves, group));

        Groups.sendTagged(producer, ofReturning, topic, new String[] {"away"}, 100);
        ofStaying.await(40);
        Clients.require(ofReturning.arrivals().size() == 100, "one that has stopped got " + ofReturning.arrivals().size());
        DefaultMQPushConsumer returns = newConsumer(clients, group, topic);
        returns.setInstanceName(leaves.getInstanceName());
        Clients.start(returns, ofReturning);
        DefaultMQPushConsumer isNew = Clients.start(newConsumer(clients, group, topic), ofNew);
        Groups.awaitMembers(stays, topic, group, ids(stays, returns, isNew));
        for (Ledger ledger : Arrays.asList(ofReturning, ofStaying, ofNew)) {
            ledger.await(40);
        }
        for (DefaultMQPushConsumer consumer : Arrays.asList(stays, returns, isNew)) {
            Groups.settle(clients, consumer, topic);
        }
        for (Ledger ledger : Arrays.asList(ofReturning, ofStaying, ofNew)) {
            ledger.compare();
        }
        return "200 messages, each once for one that was away for half of them, one that stayed, and one that came last";
    }

    private static DefaultMQPushConsumer newConsumer(Clients clients, String group, String topic) throws Exception {
        DefaultMQPushConsumer consumer = clients.newPushConsumer(group, topic, "*");
        consumer.setMessageModel(MessageModel.BROADCASTING);
        return consumer;
    }

    private static Set<String> ids(DefaultMQPushConsumer... consumers) {
        Set<String> ids = new TreeSet<>();
        for (DefaultMQPushConsumer consumer : consumers) {
            ids.add(consumer.buildMQClientId());
        }
        return ids;
    }

    /** What the broker itself answers, whichever store the asker uses. */
    private static long offsetAtBroker(DefaultMQPushConsumer asker, String group, MessageQueue queue) throws Exception {
        MQClientInstance client = asker.getDefaultMQPushConsumerImpl().getmQClientFactory();
        QueryConsumerOffsetRequestHeader header = new QueryConsumerOffsetRequestHeader();
        header.setConsumerGroup(group);
        header.setTopic(queue.getTopic());
        header.setQueueId(queue.getQueueId());
        String broker = client.findBrokerAddressInPublish(queue.getBrokerName());
        return client.getMQClientAPIImpl().queryConsumerOffset(broker, header, 5000);
    }

    private static File offsets(DefaultMQPushConsumer consumer, String group) {
        String directory = LocalFileOffsetStore.LOCAL_OFFSET_STORE_DIR;
        return new File(directory, consumer.buildMQClientId() + File.separator + group + File.separator + "offsets.json");
    }

    private Broadcasts() {}
}
