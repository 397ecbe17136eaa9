import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * A load that goes on while the broker is killed and started again, and the count afterwards: KillLoad NAMESRV
 *
 * <p>Two loads run at once, each with a push consumer of its own. In the first nothing is ever sent twice: every
 * acknowledged message must be there exactly once, where its answer said, and each thread's messages in its order. In
 * the second every message is sent until it is acknowledged: each must be there, and copies share their UNIQ_KEY.
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

    public static void main(String[] args) throws Exception {
        Clients clients = new Clients(args[0], "kill");
        Load once = new Load(clients, "once", THREADS, false);
        Load again = new Load(clients, "again", THREADS, true);
        once.start();
        again.start();
        BufferedReader driver = new BufferedReader(new InputStreamReader(System.in));
        for (String line = driver.readLine(); line != null && !line.equals("finish"); line = driver.readLine()) {
            int count = Integer.parseInt(line.substring("await ".length()));
            once.awaitMore(count, AWAIT_SECONDS);
            again.awaitMore(count, AWAIT_SECONDS);
            System.out.println("AWAITED");
        }
        once.stop();
        again.stop();
        boolean passed = scenario("kill-retries-off", () -> exactlyOnce(clients, once));
        passed &= scenario("kill-retries-on", () -> atLeastOnce(clients, again));
        passed &= scenario("kill-consumers-go-on", () -> consumed(once) + "; " + consumed(again));
        System.exit(passed ? 0 : 1);
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
        Map<String, MessageExt> stored = new HashMap<>();
        for (List<MessageExt> queue : readAll(clients, load.topic).values()) {
            Map<Integer, Integer> last = new HashMap<>();
            for (MessageExt message : queue) {
                Load.Attempt attempt = load.attempt(message);
                MessageExt other = stored.put(message.getKeys(), message);
                Clients.require(other == null, "twice: " + message + " and " + other);
                Integer before = last.put(attempt.thread, attempt.number);
                boolean inOrder = before == null || before < attempt.number;
                Clients.require(inOrder, "thread " + attempt.thread + " sent " + attempt.number + " after " + before + ": " + message);
            }
        }
        int acknowledged = 0;
        for (Load.Attempt attempt : load.attempts()) {
            if (attempt.result == null) {
                continue;
            }
            acknowledged++;
            MessageExt message = stored.get(attempt.key());
            Clients.require(message != null, "lost: " + attempt.key() + " acknowledged as " + attempt.result);
            boolean inPlace = message.getQueueId() == attempt.result.getMessageQueue().getQueueId()
                    && message.getQueueOffset() == attempt.result.getQueueOffset() && message.getMsgId().equals(attempt.result.getMsgId());
            Clients.require(inPlace, "acknowledged as " + attempt.result + ", stored as " + message);
        }
        return acknowledged + " acknowledged, each there once; " + load.failures() + " sends failed, "
                + (stored.size() - acknowledged) + " of them are there";
    }

    private static String atLeastOnce(Clients clients, Load load) throws Exception {
        Map<String, String> uniqueIds = new HashMap<>();
        int copies = 0;
        for (List<MessageExt> queue : readAll(clients, load.topic).values()) {
            for (MessageExt message : queue) {
                load.attempt(message);
                String before = uniqueIds.put(message.getKeys(), message.getMsgId());
                copies += before == null ? 0 : 1;
                boolean same = before == null || before.equals(message.getMsgId());
                Clients.require(same, "copies of " + message.getKeys() + " have the unique ids " + before + " and " + message.getMsgId());
            }
        }
        for (Load.Attempt attempt : load.attempts()) {
            boolean there = attempt.result == null || attempt.result.getMsgId().equals(uniqueIds.get(attempt.key()));
            Clients.require(there, "lost: " + attempt.key() + " acknowledged as " + attempt.result);
        }
        return uniqueIds.size() + " acknowledged, all there; " + copies + " copies; " + load.failures() + " sends were repeated";
    }

    /** The consumer that ran all the time has seen what is stored, whatever was acknowledged. */
    private static String consumed(Load load) throws Exception {
        return load.awaitConsumed(CONSUMER_SECONDS);
    }

    /** Every message of a topic by queue, with queue offsets that leave no gap. */
    private static Map<Integer, List<MessageExt>> readAll(Clients clients, String topic) throws Exception {
        Map<Integer, List<MessageExt>> all = new TreeMap<>();
        DefaultMQPullConsumer reader = clients.reader();
        for (MessageQueue queue : clients.queues(topic)) {
            List<MessageExt> messages = new ArrayList<>();
            Clients.require(reader.minOffset(queue) == 0, queue + " begins at " + reader.minOffset(queue));
            PullResult result = reader.pull(queue, "*", 0, 32);
            while (result.getPullStatus() == PullStatus.FOUND) {
                messages.addAll(result.getMsgFoundList());
                result = reader.pull(queue, "*", result.getNextBeginOffset(), 32);
            }
            Clients.require(result.getPullStatus() == PullStatus.NO_NEW_MSG, "at the end of " + queue + ": " + result);
            for (int i = 0; i < messages.size(); i++) {
                Clients.require(messages.get(i).getQueueOffset() == i, "offset " + i + " of " + queue + " is " + messages.get(i));
            }
            all.put(queue.getQueueId(), messages);
        }
        return all;
    }

    private KillLoad() {}
}
