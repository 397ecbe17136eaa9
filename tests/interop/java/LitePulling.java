import java.util.Arrays;
import java.util.Collection;
import java.util.Set;
import java.util.function.Predicate;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The lite pull consumer of clients from 4.6 on; 5.x pulls with a code of its own, 361. */
final class LitePulling {
    /** Filtered by tag; what one has committed the next of its group does not get again. */
    static String bySubscription(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        String group = clients.name("group");
        DefaultMQProducer producer = clients.producer();
        String[] tags = {"TagA", "TagB", "TagC", null};
        Groups.sendTagged(producer, ledger, topic, tags, 100);
        Set<MessageQueue> queues = clients.queues(topic);
        DefaultLitePullConsumer first = start(clients, group, topic);
        poll(first, ledger, LitePulling::isWanted);
        for (MessageQueue queue : queues) {
            // A commit goes no further than what a poll has handed out, so one without the tag may lie behind it.
            last(producer, ledger, topic, queue);
        }
        poll(first, ledger, LitePulling::isWanted);
        for (MessageQueue queue : queues) {
            long end = clients.reader().maxOffset(queue);
            Clients.until("committed " + end + " of " + queue, 15, () -> {
                first.commitSync();
                return first.committed(queue) == end ? end : null;
            });
        }
        first.shutdown();

        Groups.sendTagged(producer, ledger, topic, tags, 100);
        for (MessageQueue queue : queues) {
            last(producer, ledger, topic, queue);
        }
        poll(start(clients, group, topic), ledger, LitePulling::isWanted);
        ledger.compare(LitePulling::isWanted);
        return ledger.arrivals().size() + " of " + ledger.sentCount() + " messages";
    }

    private static boolean isWanted(String tag) {
        return "TagA".equals(tag) || "TagC".equals(tag);
    }

    private static void last(DefaultMQProducer producer, Ledger ledger, String topic, MessageQueue queue) throws Exception {
        Message last = ledger.message(topic, "TagA", "last".getBytes());
        ledger.answered(last, producer.send(last, queue));
    }

    private static DefaultLitePullConsumer start(Clients clients, String group, String topic) throws Exception {
        DefaultLitePullConsumer consumer = clients.open(new DefaultLitePullConsumer(group), DefaultLitePullConsumer::shutdown);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(false);
        consumer.subscribe(topic, "TagA || TagC");
        consumer.start();
        return consumer;
    }

    private static void poll(DefaultLitePullConsumer consumer, Ledger ledger, Predicate<String> tags) throws Exception {
        poll(consumer, ledger, tags, 40);
    }

    private static void poll(DefaultLitePullConsumer consumer, Ledger ledger, Predicate<String> tags, int seconds) throws Exception {
        Clients.until("all messages wanted", seconds, () -> {
            for (MessageExt message : consumer.poll(100)) {
                ledger.received(message, "lite pull");
            }
            return ledger.hasCome(tags) ? true : null;
        });
    }

    /** Each queue read twice, by a consumer that shares with nobody and seeks. */
    static String overAssignedQueues(Clients clients) throws Exception {
        Ledger once = new Ledger();
        Ledger again = once.ofAnother();
        String topic = clients.name("topic");
        Groups.sendTagged(clients.producer(), once, topic, new String[] {null}, 300);
        clients.queues(topic);
        DefaultLitePullConsumer consumer = clients.open(new DefaultLitePullConsumer(clients.name("group")), DefaultLitePullConsumer::shutdown);
        consumer.setAutoCommit(false);
        consumer.start();
        Collection<MessageQueue> queues = consumer.fetchMessageQueues(topic);
        consumer.assign(queues);
        int repeated = 0;
        int lost = 0;
        for (Ledger ledger : Arrays.asList(once, again)) {
            lost += readFromTheBeginning(consumer, queues, ledger);
            // A pull that was under way when the client sought brings the same again.
            repeated += ledger.compareAtLeastOnce(tags -> true);
        }
        return once.sentCount() + " messages from " + queues.size() + " queues, twice; " + repeated + " came more often"
                + (lost == 0 ? "" : "; " + lost + " times the client lost a position sought");
    }

    /**
     * Seeks anew where not all have come, and returns how often that was. The client loses a position where its pull task of that queue is
     * about to begin: the task takes the position, then sees that it is cancelled, and the one that follows goes on where the last pull ended.
     */
    private static int readFromTheBeginning(DefaultLitePullConsumer consumer, Collection<MessageQueue> queues, Ledger ledger) throws Exception {
        for (int lost = 0; ; lost++) {
            for (MessageQueue queue : queues) {
                consumer.seekToBegin(queue);
            }
            try {
                poll(consumer, ledger, tags -> true, 10);
                return lost;
            } catch (AssertionError error) {
                if (lost == 3) {
                    throw error;
                }
            }
        }
    }

    private LitePulling() {}
}
