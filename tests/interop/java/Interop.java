import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * What an application does with an unchanged Java client, scenario by scenario: Interop NAMESRV [SCENARIO...]
 *
 * <p>Prints one line for each: {@code PASS name (details)}, {@code FAIL name reason} or {@code SKIP name reason}. Every
 * scenario has topics and groups of its own, and compares what was sent with what came, message by message. The same
 * source compiles against 4.3.0 and 4.9.8, and against 3.5.8 and 5.3.3 once the packages are renamed that they call otherwise.
 *
 * <p>A scenario that needs a restart of the broker prints {@code RESTART} and waits for {@code DONE} or {@code NONE} on
 * standard input.
 */
public final class Interop {
    private static final int SCENARIO_SECONDS = 150;
    private static final int LONGEST_REASON = 500;

    /** A scenario returns what its line says in brackets. */
    interface Scenario {
        String play(Clients clients) throws Exception;
    }

    /** Thrown by a scenario that this run cannot play. */
    static final class Skipped extends Exception {
        Skipped(String reason) {
            super(reason);
        }
    }

    private static final Map<String, Scenario> SCENARIOS = new LinkedHashMap<>();
    private static final BufferedReader DRIVER = new BufferedReader(new InputStreamReader(System.in));

    private static void scenario(String name, Scenario scenario) {
        SCENARIOS.put(name, scenario);
    }

    /** A scenario in a class that is compiled for those releases alone that have what it uses. */
    private static Scenario ofSomeReleases(String type, String method) {
        return clients -> {
            Method scenario;
            try {
                scenario = Class.forName(type).getDeclaredMethod(method, Clients.class);
            } catch (ClassNotFoundException e) {
                throw new Skipped("left out for this release; java_sources in lib.sh says why");
            }
            try {
                return (String) scenario.invoke(null, clients);
            } catch (InvocationTargetException e) {
                if (e.getCause() instanceof Error) throw (Error) e.getCause();
                throw (Exception) e.getCause();
            }
        };
    }

    /** A scenario for a server whose queue locks end soon, and a client that renews them as often: `run` plays it as `groups`. */
    private static Scenario withShortLocks(Scenario scenario) {
        return clients -> {
            if (System.getProperty("lock.millis") == null) {
                throw new Skipped("played by `groups`, with a server of its own");
            }
            return scenario.play(clients);
        };
    }

    static {
        scenario("sync", Sending::sync);
        scenario("async", Sending::async);
        scenario("oneway", Sending::oneway);
        scenario("batch", ofSomeReleases("Batches", "inOneRun"));
        scenario("one-mebibyte", Sending::oneMebibyte);
        scenario("too-large-is-refused", Sending::tooLargeIsRefused);
        scenario("compressed", Sending::compressed);
        scenario("properties", Sending::properties);
        scenario("order-by-selector", Sending::orderBySelector);
        scenario("topic-on-first-send", Sending::topicOnFirstSend);
        scenario("default-pull-consumer-over-all-queues", Pulling::overAllQueues);
        scenario("pull-by-tag", Pulling::byTag);
        scenario("lite-pull-by-subscription", ofSomeReleases("LitePulling", "bySubscription"));
        scenario("lite-pull-over-assigned-queues", ofSomeReleases("LitePulling", "overAssignedQueues"));
        scenario("long-poll", Pulling::longPoll);
        scenario("offsets", Pulling::offsets);
        scenario("push-consumer-with-tags", Groups::pushConsumerWithTags);
        scenario("filter-by-sql", ofSomeReleases("Filters", "bySql"));
        scenario("push-wake-up", Groups::pushWakeUp);
        scenario("consumer-id-list", Groups::consumerIdList);
        scenario("two-consumers-share-a-group-and-one-leaves", Groups::shareAndLeave);
        scenario("broadcast-reaches-every-consumer", ofSomeReleases("Broadcasts", "reachEveryConsumer"));
        scenario("broadcast-resumes-from-its-local-offsets", ofSomeReleases("Broadcasts", "resumeFromLocalOffsets"));
        scenario("delay-levels", Delays::byLevel);
        scenario("delays-go-on-after-a-restart", Delays::afterRestart);
        scenario("timers", ofSomeReleases("Timers", "byTime"));
        scenario("retries-and-dead-letters", Retries::untilDead);
        scenario("transactions", ofSomeReleases("Transactions", "commitRollBackAndCheck"));
        scenario("query-by-key-and-by-id", Queries::byKeyAndById);
        scenario("request-and-reply", ofSomeReleases("Requests", "answered"));
        scenario("traces-are-found-by-id", ofSomeReleases("Traces", "foundById"));
        scenario("broker-assigns-queues", ofSomeReleases("Assigned", "byTheBroker"));
        scenario("resume-after-restart", Groups::resumeAfterRestart);
        scenario("name-servers-from-an-address-server", Interop::withoutNameServer);
        scenario("order-holds-in-one-queue", withShortLocks(ofSomeReleases("Ordered", "inOneQueue")));
        scenario("order-holds-while-queues-move", withShortLocks(ofSomeReleases("Ordered", "whileQueuesMove")));
        scenario("order-holds-when-the-holder-is-killed", withShortLocks(ofSomeReleases("Ordered", "theHolderIsKilled")));
        scenario("reset-by-time-while-consuming", withShortLocks(ofSomeReleases("Resets", "whileConsuming")));
    }

    /** {@code sync}, played by clients that are given no name server and ask an address server for one. */
    private static String withoutNameServer(Clients clients) throws Exception {
        String domain = System.getProperty("rocketmq.namesrv.domain");
        if (domain == null) {
            throw new Skipped("this broker is no address server");
        }
        if (System.getProperty("client.version", "").startsWith("3.")) {
            throw new Skipped("this release finds no address server at a port of its own");
        }
        try (Clients unknowing = new Clients(null, "address-server")) {
            return Sending.sync(unknowing) + ", by way of " + domain;
        }
    }

    public static void main(String[] args) {
        List<String> wanted = Arrays.asList(args).subList(1, args.length);
        for (String name : wanted) {
            if (!SCENARIOS.containsKey(name)) {
                System.out.println("FAIL " + name + " there is no such scenario; there are " + SCENARIOS.keySet());
                System.exit(1);
            }
        }
        boolean failed = false;
        for (Map.Entry<String, Scenario> entry : SCENARIOS.entrySet()) {
            if (wanted.isEmpty() || wanted.contains(entry.getKey())) {
                failed |= !played(entry.getKey(), entry.getValue(), args[0]);
            }
        }
        // Clients leave threads behind that are no daemons.
        System.exit(failed ? 1 : 0);
    }

    /** Plays one scenario, with a deadline, and prints its line. */
    private static boolean played(String name, Scenario scenario, String namesrv) {
        ExecutorService thread = Executors.newSingleThreadExecutor();
        long began = System.currentTimeMillis();
        try (Clients clients = new Clients(namesrv, name)) {
            Future<String> details = thread.submit(() -> scenario.play(clients));
            String text = details.get(SCENARIO_SECONDS, TimeUnit.SECONDS);
            System.out.printf("PASS %s (%s; %d ms)%n", name, text, System.currentTimeMillis() - began);
            return true;
        } catch (TimeoutException e) {
            System.out.printf("FAIL %s not done within %d s%n", name, SCENARIO_SECONDS);
            Thread.getAllStackTraces().forEach((t, frames) -> System.err.println(t + " " + Arrays.toString(frames)));
        } catch (ExecutionException e) {
            if (e.getCause() instanceof Skipped) {
                System.out.printf("SKIP %s %s%n", name, e.getCause().getMessage());
                return true;
            }
            String reason = e.getCause().toString().replace('\n', ' ');
            System.out.printf("FAIL %s %s%n", name, reason.substring(0, Math.min(reason.length(), LONGEST_REASON)));
            e.getCause().printStackTrace();
        } catch (Exception e) {
            System.out.printf("FAIL %s while it was cleared away: %s%n", name, e);
            e.printStackTrace();
        } finally {
            thread.shutdownNow();
        }
        return false;
    }

    /** Has the driver restart the broker in order, and returns when it serves again. */
    static void restartBroker() throws Exception {
        System.out.println("RESTART");
        String answer = DRIVER.readLine();
        if (!"DONE".equals(answer)) {
            throw new Skipped("this broker cannot be restarted from here");
        }
    }

    private Interop() {}
}
