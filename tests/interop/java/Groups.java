import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.store.OffsetStore;
import org.apache.rocketmq.client.consumer.store.ReadOffsetType;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Push consumers: filtered, sharing a group, leaving it, and going on after a restart of the broker. */
final class Groups {
    static String pushConsumerWithTags(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        String[] tags = {"TagA", "TagB", "TagC", null};
        sendTagged(producer, ledger, topic, tags, 100);
        clients.queues(topic);
        clients.pushConsumer(clients.name("group"), topic, "TagA || TagC", ledger);
        ledger.await(40, tag -> "TagA".equals(tag) || "TagC".equals(tag));
        sendTagged(producer, ledger, topic, tags, 100);
        ledger.await(40, tag -> "TagA".equals(tag) || "TagC".equals(tag));
        // A wrong one would come before the last of its queue.
        for (MessageQueue queue : clients.queues(topic)) {
            Message last = ledger.message(topic, "TagC", "last".getBytes());
            ledger.answered(last, producer.send(last, queue));
        }
        ledger.await(40, tag -> "TagA".equals(tag) || "TagC".equals(tag));
        ledger.compare(tag -> "TagA".equals(tag) || "TagC".equals(tag));
        return ledger.arrivals().size() + " of " + ledger.sentCount() + " messages";
    }

    static void sendTagged(DefaultMQProducer producer, Ledger ledger, String topic, String[] tags, int count) throws Exception {
        for (int i = 0; i < count; i++) {
            Message message = ledger.message(topic, tags[i % tags.length], ("body " + i).getBytes());
            ledger.answered(message, producer.send(message));
        }
    }

    /** An idle consumer gets each message soon: its parked pull is woken, not timed out. */
    static String pushWakeUp(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        sendTagged(producer, ledger, topic, new String[] {"TagA"}, 8);
        clients.queues(topic);
        clients.pushConsumer(clients.name("group"), topic, "*", ledger);
        ledger.await(40);
        List<Long> latencies = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            long before = System.nanoTime();
            sendTagged(producer, ledger, topic, new String[] {"TagB"}, 1);
            ledger.await(15);
            latencies.add((System.nanoTime() - before) / 1000);
        }
        ledger.compare();
        Collections.sort(latencies);
        long median = latencies.get(latencies.size() / 2);
        Clients.require(median < 200_000, "half of the messages took more than " + median + " us");
        return "median " + median + " us, worst " + latencies.get(latencies.size() - 1) + " us";
    }

    static String consumerIdList(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        String group = clients.name("group");
        sendTagged(clients.producer(), ledger, topic, new String[] {null}, 1);
        clients.queues(topic);
        DefaultMQPushConsumer first = clients.pushConsumer(group, topic, "*", ledger);
        DefaultMQPushConsumer second = clients.pushConsumer(group, topic, "*", ledger);
        Set<String> both = new TreeSet<>(Arrays.asList(first.buildMQClientId(), second.buildMQClientId()));
        awaitMembers(first, topic, group, both);
        second.shutdown();
        long began = System.currentTimeMillis();
        awaitMembers(first, topic, group, Collections.singleton(first.buildMQClientId()));
        return both.size() + " members, then one after " + (System.currentTimeMillis() - began) + " ms";
    }

    static void awaitMembers(DefaultMQPushConsumer asker, String topic, String group, Set<String> expected) throws Exception {
        Clients.until("group " + group + " of " + expected, 15, () -> {
            List<String> ids = asker.getDefaultMQPushConsumerImpl().getmQClientFactory().findConsumerIdList(topic, group);
            return ids != null && new TreeSet<>(ids).equals(expected) && ids.size() == expected.size() ? ids : null;
        });
    }

    static String shareAndLeave(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        String group = clients.name("group");
        DefaultMQProducer producer = clients.producer();
        sendTagged(producer, ledger, topic, new String[] {null}, 4);
        Set<MessageQueue> all = clients.queues(topic);
        List<DefaultMQPushConsumer> pair = pair(clients, group, topic, ledger);
        DefaultMQPushConsumer stays = pair.get(0);
        DefaultMQPushConsumer leaves = pair.get(1);

        int before = ledger.sentCount();
        sendTagged(producer, ledger, topic, new String[] {null}, 200);
        ledger.await(40);
        Set<Integer> ofStays = takenBy(ledger, stays, before, 200);
        Set<Integer> ofLeaves = takenBy(ledger, leaves, before, 200);
        boolean split = !ofStays.isEmpty() && !ofLeaves.isEmpty() && Collections.disjoint(ofStays, ofLeaves);
        Clients.require(split, "one took queues " + ofStays + ", the other " + ofLeaves);

        settle(clients, leaves, topic);
        leaves.shutdown();
        long began = System.currentTimeMillis();
        awaitQueues(topic, stays, all.size());
        long takenOver = System.currentTimeMillis() - began;
        before = ledger.sentCount();
        sendTagged(producer, ledger, topic, new String[] {null}, 200);
        ledger.await(40);
        Set<Integer> alone = takenBy(ledger, stays, before, 200);
        Clients.require(alone.size() == all.size(), "after the other left, one took only the queues " + alone);
        ledger.compare();
        return ledger.sentCount() + " messages; queues " + ofStays + " and " + ofLeaves + ", taken over after " + takenOver + " ms";
    }

    /** Two consumers of a group that took what was there and have shared the queues out between them. */
    static List<DefaultMQPushConsumer> pair(Clients clients, String group, String topic, Ledger ledger) throws Exception {
        Set<MessageQueue> all = clients.queues(topic);
        DefaultMQPushConsumer one = clients.pushConsumer(group, topic, "*", ledger);
        ledger.await(40);
        settle(clients, one, topic);
        DefaultMQPushConsumer other = clients.pushConsumer(group, topic, "*", ledger);
        awaitQueues(topic, one, all.size() / 2);
        awaitQueues(topic, other, all.size() / 2);
        Set<MessageQueue> shared = new HashSet<>(queuesOf(one, topic));
        shared.addAll(queuesOf(other, topic));
        Clients.require(shared.equals(all), "together the two have " + shared + " of " + all);
        return Arrays.asList(one, other);
    }

    /** The queues of the messages key-FROM to key-FROM+COUNT that this consumer took. */
    static Set<Integer> takenBy(Ledger ledger, DefaultMQPushConsumer consumer, int from, int count) {
        Set<Integer> queues = new TreeSet<>();
        for (int i = from; i < from + count; i++) {
            for (Ledger.Received arrival : ledger.arrivals("key-" + i)) {
                if (arrival.consumer.equals(consumer.getInstanceName())) {
                    queues.add(arrival.message.getQueueId());
                }
            }
        }
        return queues;
    }

    private static Set<MessageQueue> queuesOf(DefaultMQPushConsumer consumer, String topic) {
        Set<MessageQueue> queues = consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet();
        return queues.stream().filter(queue -> queue.getTopic().equals(topic)).collect(Collectors.toSet());
    }

    private static void awaitQueues(String topic, DefaultMQPushConsumer consumer, int count) throws Exception {
        Clients.until("share of " + count + " queues", 40, () -> queuesOf(consumer, topic).size() == count ? count : null);
    }

    /**
     * One consumer lives through the restart; another stops before it, with its offsets at the broker, and comes back
     * after it. Between them a producer goes on with its old connections.
     */
    static String resumeAfterRestart(Clients clients) throws Exception {
        Ledger lives = new Ledger();
        Ledger returns = new Ledger();
        String topic = clients.name("topic");
        String livingGroup = clients.name("living");
        String returningGroup = clients.name("returning");
        DefaultMQProducer producer = clients.producer();
        sendTagged(producer, lives, topic, new String[] {"before"}, 100);
        sendTagged(producer, returns, topic + "-2", new String[] {"before"}, 100);
        clients.queues(topic + "-2");
        clients.queues(topic);
        clients.pushConsumer(livingGroup, topic, "*", lives);
        DefaultMQPushConsumer before = clients.pushConsumer(returningGroup, topic + "-2", "*", returns);
        lives.await(40);
        returns.await(40);
        settle(clients, before, topic + "-2");
        before.shutdown();

        Interop.restartBroker();

        sendTagged(producer, lives, topic, new String[] {"after"}, 100);
        sendTagged(producer, returns, topic + "-2", new String[] {"after"}, 100);
        clients.pushConsumer(returningGroup, topic + "-2", "*", returns);
        returns.await(60);
        lives.await(90);
        // The one that stopped had committed everything, so nothing may come again; the other may see its last pulls twice.
        returns.compare();
        int repeated = lives.compareAtLeastOnce(tag -> true);
        Clients.require(repeated <= 100, repeated + " messages came again");
        return "200 messages for each group, " + repeated + " of them twice for the one that lived on";
    }

    /**
     * Returns when a consumer has nothing in hand and the broker knows it. Without that, messages may rightly come twice:
     * a client commits every few seconds, and one that stops does not wait for what its listener just returned.
     */
    static void settle(Clients clients, DefaultMQPushConsumer consumer, String topic) throws Exception {
        OffsetStore offsets = consumer.getDefaultMQPushConsumerImpl().getOffsetStore();
        for (ReadOffsetType where : Arrays.asList(ReadOffsetType.READ_FROM_MEMORY, ReadOffsetType.READ_FROM_STORE)) {
            for (MessageQueue queue : queuesOf(consumer, topic)) {
                long end = clients.reader().maxOffset(queue);
                Clients.until("consumed end " + end + " of " + queue, 15, () -> offsets.readOffset(queue, where) == end ? end : null);
            }
            consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        }
    }

    private Groups() {}
}
