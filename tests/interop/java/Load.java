import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Threads that send to a topic without end, and the consumer that runs beside them. Every message has a key of its own,
 * {@code thread-number}, from which its body follows, so that whoever reads it can check it.
 */
final class Load {
    private static final int SEND_TIMEOUT_MS = 3000;
    /** After a failure, so that a broker that is away does not cost a million attempts. */
    private static final int PAUSE_MS = 20;

    /** Where a message lies and its unique id: what an answer says, and what a reader finds. */
    static final class Place {
        private final int queueId;
        private final long queueOffset;
        final String uniqueId;

        Place(SendResult result) {
            queueId = result.getMessageQueue().getQueueId();
            queueOffset = result.getQueueOffset();
            uniqueId = result.getMsgId();
        }

        Place(MessageExt message) {
            queueId = message.getQueueId();
            queueOffset = message.getQueueOffset();
            uniqueId = message.getMsgId();
        }

        boolean same(Place other) {
            return queueId == other.queueId && queueOffset == other.queueOffset && uniqueId.equals(other.uniqueId);
        }

        @Override
        public String toString() {
            return "offset " + queueOffset + " of queue " + queueId + " as " + uniqueId;
        }
    }

    /** One message: sent, and acknowledged when it has a place. There are many, so they hold no more than that. */
    static final class Attempt {
        final int thread;
        final int number;
        volatile Place acknowledged;

        Attempt(int thread, int number) {
            this.thread = thread;
            this.number = number;
        }

        String key() {
            return thread + "-" + number;
        }

        /** Between 16 bytes and 3 KiB that no other attempt has. */
        byte[] body() {
            Random random = new Random((long) thread << 32 | number);
            byte[] body = new byte[16 + random.nextInt(3056)];
            random.nextBytes(body);
            return ByteBuffer.wrap(body).putInt(thread).putInt(number).array();
        }
    }

    final String topic;
    private final Clients clients;
    private final boolean repeats;
    private final String name;
    private final List<List<Attempt>> attempts = new ArrayList<>();
    private final List<Thread> threads = new ArrayList<>();
    private final AtomicInteger acknowledged = new AtomicInteger();
    private final AtomicInteger failed = new AtomicInteger();
    private final AtomicInteger arrivals = new AtomicInteger();
    private final Set<String> consumed = ConcurrentHashMap.newKeySet();
    private final ConcurrentLinkedQueue<Throwable> wrong = new ConcurrentLinkedQueue<>();
    private volatile boolean stopping;

    /** With {@code repeats} a message is sent until it is acknowledged, without it each is sent once. */
    Load(Clients clients, String name, int threadCount, boolean repeats) {
        this.clients = clients;
        this.name = name;
        this.repeats = repeats;
        topic = clients.name(name);
        for (int i = 0; i < threadCount; i++) {
            attempts.add(new ArrayList<>());
        }
    }

    void start() throws Exception {
        DefaultMQProducer producer = clients.newProducer(name);
        producer.setSendMsgTimeout(SEND_TIMEOUT_MS);
        producer.setRetryTimesWhenSendFailed(repeats ? 2 : 0);
        producer.setCompressMsgBodyOverHowmuch(Integer.MAX_VALUE);
        producer.start();
        // The first message makes the topic; it counts as the first of thread 0.
        send(producer, null, next(0));
        List<MessageQueue> queues = new ArrayList<>(clients.queues(topic));
        startConsumer();
        for (int i = 0; i < attempts.size(); i++) {
            int number = i;
            // Without repeats a thread keeps to one queue, so that its order can be checked there.
            MessageQueue queue = repeats ? null : queues.get(i % queues.size());
            Thread thread = new Thread(() -> {
                while (!stopping) {
                    send(producer, queue, next(number));
                }
            });
            thread.start();
            threads.add(thread);
        }
    }

    private Attempt next(int thread) {
        List<Attempt> mine = attempts.get(thread);
        Attempt attempt = new Attempt(thread, mine.size());
        synchronized (mine) {
            mine.add(attempt);
        }
        return attempt;
    }

    private void send(DefaultMQProducer producer, MessageQueue queue, Attempt attempt) {
        Message message = new Message(topic, null, attempt.key(), attempt.body());
        do {
            try {
                SendResult result = queue == null ? producer.send(message) : producer.send(message, queue);
                if (result.getSendStatus() == SendStatus.SEND_OK) {
                    attempt.acknowledged = new Place(result);
                    acknowledged.incrementAndGet();
                    return;
                }
            } catch (Exception e) {
                // A broker that was just killed: the outcome is unknown, and counted as such.
            }
            failed.incrementAndGet();
            try {
                Thread.sleep(PAUSE_MS);
            } catch (InterruptedException e) {
                return;
            }
        } while (repeats);
    }

    private void startConsumer() throws Exception {
        DefaultMQPushConsumer consumer = clients.newPushConsumer(clients.name(name + "-consumers"), topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                try {
                    consumed.add(attempt(message).key());
                    arrivals.incrementAndGet();
                } catch (Throwable e) {
                    wrong.add(e);
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    /** The attempt that a stored message came from; fails when its contents are not those that were sent. */
    Attempt attempt(MessageExt message) {
        String[] parts = message.getKeys().split("-");
        List<Attempt> of = attempts.get(Integer.parseInt(parts[0]));
        Attempt attempt;
        synchronized (of) {
            attempt = of.get(Integer.parseInt(parts[1]));
        }
        Clients.require(Arrays.equals(attempt.body(), message.getBody()), "another body than was sent: " + message);
        return attempt;
    }

    /** Waits for so many further acknowledgements; the load goes on. */
    void awaitMore(int count, int seconds) throws Exception {
        int goal = acknowledged.get() + count;
        Clients.until("acknowledgement number " + goal + " of " + name, seconds, () -> acknowledged.get() >= goal ? goal : null);
    }

    void stop() throws InterruptedException {
        stopping = true;
        for (Thread thread : threads) {
            thread.join(TimeUnit.SECONDS.toMillis(60));
            Clients.require(!thread.isAlive(), "a sender of " + name + " does not end");
        }
    }

    /** Waits until the consumer has seen every acknowledged message; fails at once when it saw a wrong one. */
    String awaitConsumed(int seconds) throws Exception {
        List<String> keys = new ArrayList<>();
        attempts().stream().filter(attempt -> attempt.acknowledged != null).forEach(attempt -> keys.add(attempt.key()));
        try {
            Clients.until("consumption of all", seconds, () -> !wrong.isEmpty() || consumed.containsAll(keys) ? keys : null);
        } catch (AssertionError e) {
            keys.removeAll(consumed);
            throw new AssertionError(keys.size() + " messages of " + name + " were not consumed within " + seconds + " s, first " + keys.get(0));
        }
        Clients.require(wrong.isEmpty(), wrong.size() + " wrong messages were consumed: " + wrong.peek());
        return name + ": " + consumed.size() + " consumed, " + (arrivals.get() - consumed.size()) + " of them again";
    }

    List<Attempt> attempts() {
        List<Attempt> all = new ArrayList<>();
        attempts.forEach(all::addAll);
        return all;
    }

    int failures() {
        return failed.get();
    }
}
