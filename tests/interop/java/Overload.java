import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;

/**
 * A producer with default settings whose threads send and wait for the answer: Overload NAMESRV THREADS BATCH BYTES
 *
 * <p>The driver writes commands, and each is answered by a line that begins with {@code RATE}. {@code measure SECONDS} has
 * all threads send one after the other; the answer is how many sends were accepted in a second. {@code offer RATE SECONDS}
 * has them send at that rate, as far as they do not all wait for answers; the answer is how many sends were offered,
 * accepted and failed, and words.
 */
public final class Overload {
    private static final int WARM_UP_SECONDS = 3;
    private static final int BODIES = 16;
    /** Longer than any send takes with its retries. */
    private static final int SLOWEST_MS = 20_000;

    private final DefaultMQProducer producer;
    private final String topic;
    private final int threads;
    /** Messages in one send; more than one are sent as a batch, which the client does not compress. */
    private final int batch;
    private final byte[][] bodies;

    private Overload(String namesrv, int threads, int batch, int bytes) throws Exception {
        this.threads = threads;
        this.batch = batch;
        topic = "overload-" + Long.toString(System.currentTimeMillis(), 36);
        // Nothing is set but where the broker is.
        producer = new DefaultMQProducer("overload");
        producer.setNamesrvAddr(namesrv);
        producer.start();
        Random random = new Random(1);
        bodies = new byte[BODIES][bytes];
        for (byte[] body : bodies) {
            random.nextBytes(body);
        }
    }

    public static void main(String[] args) throws Exception {
        Overload overload = new Overload(args[0], Integer.parseInt(args[1]), Integer.parseInt(args[2]), Integer.parseInt(args[3]));
        BufferedReader driver = new BufferedReader(new InputStreamReader(System.in));
        for (String line = driver.readLine(); line != null && !line.equals("finish"); line = driver.readLine()) {
            String[] words = line.split(" ");
            if (words[0].equals("measure")) {
                overload.run(Long.MAX_VALUE, WARM_UP_SECONDS);
                int seconds = Integer.parseInt(words[1]);
                Outcome outcome = overload.run(Long.MAX_VALUE, seconds);
                System.out.println("RATE " + outcome.accepted.get() / seconds);
            } else {
                long rate = Long.parseLong(words[1]);
                int seconds = Integer.parseInt(words[2]);
                Outcome outcome = overload.run(rate, seconds);
                System.out.println("RATE " + rate * seconds + " " + outcome);
            }
        }
        System.exit(0);
    }

    /** What came of the sends that were begun in time. */
    private static final class Outcome {
        final AtomicLong next = new AtomicLong();
        final AtomicLong accepted = new AtomicLong();
        final AtomicIntegerArray milliseconds = new AtomicIntegerArray(SLOWEST_MS + 1);
        final Map<String, Integer> failures = new TreeMap<>();

        synchronized void failed(String how) {
            String alike = how.replace('\n', ' ').replaceAll("[0-9]+", "n").replaceAll(" *(BROKER:|See http|For more).*", "");
            failures.merge(alike, 1, Integer::sum);
        }

        void took(long nanos) {
            milliseconds.incrementAndGet((int) Math.min(SLOWEST_MS, nanos / 1_000_000));
        }

        private int within(double share) {
            long all = 0;
            for (int i = 0; i <= SLOWEST_MS; i++) {
                all += milliseconds.get(i);
            }
            long seen = 0;
            for (int i = 0; i <= SLOWEST_MS; i++) {
                seen += milliseconds.get(i);
                if (seen >= share * all) {
                    return i;
                }
            }
            return SLOWEST_MS;
        }

        @Override
        public synchronized String toString() {
            int failed = failures.values().stream().mapToInt(Integer::intValue).sum();
            return accepted + " " + failed + " a send took " + within(0.5) + " ms at the median, " + within(0.99)
                    + " ms at 99 %, " + within(1) + " ms at most; exceptions " + failures;
        }
    }

    private Outcome run(long rate, int seconds) throws InterruptedException {
        Outcome outcome = new Outcome();
        long began = System.nanoTime();
        long end = began + seconds * 1_000_000_000L;
        List<Thread> running = new ArrayList<>();
        for (int i = 0; i < threads; i++) {
            Thread thread = new Thread(() -> {
                while (true) {
                    long number = outcome.next.getAndIncrement();
                    long due = began + (long) (number * 1e9 / rate);
                    long now = System.nanoTime();
                    if (now >= end || due >= end) {
                        return;
                    }
                    while (now < due) {
                        LockSupport.parkNanos(due - now);
                        now = System.nanoTime();
                    }
                    send(outcome, number, end);
                }
            });
            thread.start();
            running.add(thread);
        }
        for (Thread thread : running) {
            thread.join();
        }
        return outcome;
    }

    private Message message(long number) {
        return new Message(topic, bodies[(int) (number % BODIES)]);
    }

    private List<Message> messages(long number) {
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < batch; i++) {
            messages.add(message(number + i));
        }
        return messages;
    }

    private void send(Outcome outcome, long number, long end) {
        long before = System.nanoTime();
        try {
            SendResult result = batch == 1 ? producer.send(message(number)) : producer.send(messages(number));
            if (result.getSendStatus() != SendStatus.SEND_OK) {
                outcome.failed(result.getSendStatus().toString());
            } else if (System.nanoTime() < end) {
                outcome.accepted.incrementAndGet();
            }
        } catch (Exception e) {
            outcome.failed(e.toString());
        }
        outcome.took(System.nanoTime() - before);
    }
}
