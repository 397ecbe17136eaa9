import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * A load that goes on while the broker is killed and started again, and the count afterwards: KillLoad NAMESRV
 *
 * <p>Two loads run at once, each with a push consumer of its own. In the first nothing is ever sent twice: every
 * acknowledged message must be there exactly once, where its answer said, and those of each thread in its order. In
 * the second every message is sent until it is acknowledged: each must be there, and copies share their UNIQ_KEY. Beside
 * them {@link KillOrders} consumes the first load in order, and {@link KillWaits} has messages that come later.
 *
 * <p>The driver writes commands: {@code await N} is answered by {@code AWAITED} when N more messages have been
 * acknowledged in each load since it was read; {@code finish} stops the loads, checks, and prints PASS and FAIL lines.
 */
public final class KillLoad {
    private static final int THREADS = 4;
    private static final int AWAIT_SECONDS = 60;
    /** A consumer is known to a restarted broker at its next heartbeat, 30 s after the last at most. */
    private static final int CONSUMER_SECONDS = 120;

    private interface Check {
        String run() throws Exception;
    }

    /** Whatever goes wrong ends the program: the threads of loads and clients would keep it, silent, for ever. */
    public static void main(String[] args) {
        try {
            System.exit(run(args[0]) ? 0 : 1);
        } catch (Throwable e) {
            e.printStackTrace();
            System.exit(1);
        }
    }

    private static boolean run(String nameServer) throws Exception {
        Clients clients = new Clients(nameServer, "kill");
        Load once = new Load(clients, "once", THREADS, false);
        Load again = new Load(clients, "again", THREADS, true);
        once.start();
        again.start();
        KillOrders orders = new KillOrders(clients, once.topic);
        orders.start();
        KillWaits waits = new KillWaits(clients);
        waits.start();
        BufferedReader driver = new BufferedReader(new InputStreamReader(System.in));
        for (String line = driver.readLine(); line != null && !line.equals("finish"); line = driver.readLine()) {
            int count = Integer.parseInt(line.substring("await ".length()));
            once.awaitMore(count, AWAIT_SECONDS);
            again.awaitMore(count, AWAIT_SECONDS);
            System.out.println("AWAITED");
        }
        once.stop();
        again.stop();
        waits.stop();
        boolean passed = scenario("kill-retries-off", () -> exactlyOnce(clients, once));
        passed &= scenario("kill-retries-on", () -> atLeastOnce(clients, again));
        passed &= scenario("kill-consumers-go-on", () -> consumed(once) + "; " + consumed(again));
        passed &= scenario("kill-order-holds", () -> orders.check(CONSUMER_SECONDS));
        passed &= scenario("kill-what-waits-comes", () -> waits.check(CONSUMER_SECONDS));
        return passed;
    }

    private static boolean scenario(String name, Check check) {
        long began = System.currentTimeMillis();
        try {
            System.out.printf("PASS %s (%s; %d ms)%n", name, check.run(), System.currentTimeMillis() - began);
            return true;
        } catch (Throwable e) {
            System.out.printf("FAIL %s %s%n", name, e.toString().replace('\n', ' '));
            e.printStackTrace();
            return false;
        }
    }

    private static String exactlyOnce(Clients clients, Load load) throws Exception {
        Map<String, Load.Place> stored = new HashMap<>();
        // In each queue a thread's acknowledged messages must be read in the order in which it sent them. (The very first message makes
        // the topic, so its queue is the client's choice.)
        Map<String, Integer> last = new HashMap<>();
        readAll(clients, load.topic, message -> {
            Load.Attempt attempt = load.attempt(message);
            Load.Place other = stored.put(attempt.key(), new Load.Place(message));
            Clients.require(other == null, "twice: at " + other + " and " + message);
            // One that was given up may still be on its way, on a connection of its own.
            if (attempt.acknowledged == null) {
                return;
            }
            Integer before = last.put(message.getQueueId() + "-" + attempt.thread, attempt.number);
            boolean inOrder = before == null || before < attempt.number;
            Clients.require(inOrder, "thread " + attempt.thread + " sent " + attempt.number + " after " + before + ": " + message);
        });
        int acknowledged = 0;
        for (Load.Attempt attempt : load.attempts()) {
            if (attempt.acknowledged == null) {
                continue;
            }
            acknowledged++;
            Load.Place place = stored.get(attempt.key());
            Clients.require(place != null, "lost: " + attempt.key() + " acknowledged at " + attempt.acknowledged);
            boolean inPlace = place.same(attempt.acknowledged);
            Clients.require(inPlace, attempt.key() + " was acknowledged at " + attempt.acknowledged + " and lies at " + place);
        }
        return acknowledged + " acknowledged, each there once; " + load.failures() + " sends failed, "
                + (stored.size() - acknowledged) + " of them are there";
    }

    private static String atLeastOnce(Clients clients, Load load) throws Exception {
        Map<String, String> uniqueIds = new HashMap<>();
        AtomicInteger copies = new AtomicInteger();
        readAll(clients, load.topic, message -> {
            String key = load.attempt(message).key();
            String before = uniqueIds.put(key, message.getMsgId());
            boolean same = before == null || before.equals(message.getMsgId());
            Clients.require(same, "copies of " + key + " have the unique ids " + before + " and " + message.getMsgId());
            copies.addAndGet(before == null ? 0 : 1);
        });
        for (Load.Attempt attempt : load.attempts()) {
            Load.Place place = attempt.acknowledged;
            boolean there = place == null || place.uniqueId.equals(uniqueIds.get(attempt.key()));
            Clients.require(there, "lost: " + attempt.key() + " acknowledged at " + place);
        }
        return uniqueIds.size() + " acknowledged, all there; " + copies + " copies; " + load.failures() + " sends were repeated";
    }

    /** The consumer that ran all the time has seen what is stored, whatever was acknowledged. */
    private static String consumed(Load load) throws Exception {
        return load.awaitConsumed(CONSUMER_SECONDS);
    }

    /** Shows every message of a topic, queue after queue; their queue offsets leave no gap. */
    private static void readAll(Clients clients, String topic, Consumer<MessageExt> each) throws Exception {
        DefaultMQPullConsumer reader = clients.reader();
        for (MessageQueue queue : clients.queues(topic)) {
            Clients.require(reader.minOffset(queue) == 0, queue + " begins at " + reader.minOffset(queue));
            long next = 0;
            PullResult result = reader.pull(queue, "*", next, 32);
            while (result.getPullStatus() == PullStatus.FOUND) {
                for (MessageExt message : result.getMsgFoundList()) {
                    Clients.require(message.getQueueOffset() == next, "offset " + next + " of " + queue + " is " + message);
                    next++;
                    each.accept(message);
                }
                result = reader.pull(queue, "*", next, 32);
            }
            Clients.require(result.getPullStatus() == PullStatus.NO_NEW_MSG, "at the end of " + queue + ": " + result);
        }
    }

    private KillLoad() {}
}
