import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Messages that come later, while the broker is killed and started again: delayed ones by level or by time, transactions, and every fifth of
 * both given back once by its consumer. What is acknowledged or committed is consumed, nothing that is rolled back is, and
 * nothing comes early.
 */
final class KillWaits {
    private static final long[] LEVEL_MS = {0, 1_000, 5_000};

    /** A message by its key. */
    private static final class Wanted {
        final long firstSentAt = System.currentTimeMillis();
        final int level;
        /** What its transaction comes to; null for a delayed message. */
        final LocalTransactionState end;
        volatile boolean acknowledged;

        Wanted(int level, LocalTransactionState end) {
            this.level = level;
            this.end = end;
        }

        boolean mustCome() {
            return acknowledged && end != LocalTransactionState.ROLLBACK_MESSAGE;
        }
    }

    private final Clients clients;
    private final String topic;
    private final Map<String, Wanted> wanted = new ConcurrentHashMap<>();
    private final Map<String, AtomicInteger> consumed = new ConcurrentHashMap<>();
    private final Map<String, Boolean> givenBack = new ConcurrentHashMap<>();
    private final List<String> wrong = java.util.Collections.synchronizedList(new ArrayList<>());
    private final AtomicInteger asked = new AtomicInteger();
    private final AtomicBoolean stopped = new AtomicBoolean();
    private final List<Thread> threads = new ArrayList<>();

    KillWaits(Clients clients) {
        this.clients = clients;
        this.topic = clients.name("waits");
    }

    void start() throws Exception {
        DefaultMQProducer producer = clients.newProducer("delaying");
        producer.setSendMsgTimeout(3_000);
        producer.start();
        // It makes the topic, before its consumer asks for the route.
        producer.send(new Message(topic, "first".getBytes()));
        TransactionMQProducer transactions =
                clients.open(new TransactionMQProducer(clients.name("transacting")), TransactionMQProducer::shutdown);
        transactions.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                Wanted entry = wanted.get(message.getKeys());
                entry.acknowledged = true;
                // Every third says nothing before it is asked.
                return Math.abs(message.getKeys().hashCode()) % 3 == 0 ? LocalTransactionState.UNKNOW : entry.end;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                asked.incrementAndGet();
                Wanted entry = wanted.get(message.getKeys());
                // One whose send has failed here is rolled back, wherever its half message got to.
                return entry.acknowledged ? entry.end : LocalTransactionState.ROLLBACK_MESSAGE;
            }
        });
        transactions.start();
        consume();
        run("delaying", number -> delay(producer, number));
        run("transacting", number -> transact(transactions, number));
    }

    private interface Work {
        void send(int number) throws Exception;
    }

    private void run(String name, Work work) {
        Thread thread = new Thread(() -> {
            for (int number = 0; !stopped.get(); number++) {
                try {
                    work.send(number);
                    Thread.sleep(20);
                } catch (InterruptedException e) {
                    return;
                } catch (Exception e) {
                    // The broker is away: what was sent has an outcome that nobody knows.
                    java.util.concurrent.locks.LockSupport.parkNanos(50_000_000);
                }
            }
        }, name);
        thread.setDaemon(true);
        threads.add(thread);
        thread.start();
    }

    private void delay(DefaultMQProducer producer, int number) throws Exception {
        String key = "delayed-" + number;
        Wanted entry = new Wanted(1 + number % 2, null);
        wanted.put(key, entry);
        Message message = new Message(topic, "waits", key, key.getBytes());
        if (number % 3 == 0) {
            // As clients of 5.x ask for a time.
            MessageAccessor.putProperty(message, "TIMER_DELAY_MS", Long.toString(LEVEL_MS[entry.level]));
        } else {
            message.setDelayTimeLevel(entry.level);
        }
        entry.acknowledged = producer.send(message).getSendStatus() == SendStatus.SEND_OK;
    }

    private void transact(TransactionMQProducer producer, int number) throws Exception {
        String key = "transaction-" + number;
        LocalTransactionState end = number % 2 == 0 ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE;
        wanted.put(key, new Wanted(0, end));
        producer.sendMessageInTransaction(new Message(topic, "waits", key, key.getBytes()), null);
    }

    private void consume() throws Exception {
        DefaultMQPushConsumer consumer = clients.newPushConsumer(clients.name("waiting"), topic, "waits");
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            MessageExt message = messages.get(0);
            String key = message.getKeys();
            Wanted entry = wanted.get(key);
            if (entry == null || !key.equals(new String(message.getBody())) || !topic.equals(message.getTopic())) {
                wrong.add("not as it was sent: " + message);
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            }
            // A message that comes again was stored anew.
            long early = entry.firstSentAt + LEVEL_MS[entry.level] - message.getStoreTimestamp();
            if (message.getReconsumeTimes() == 0 && early > 0) {
                wrong.add(key + " came " + early + " ms early");
            }
            if (Math.abs(key.hashCode()) % 5 == 0 && givenBack.putIfAbsent(key, true) == null) {
                context.setDelayLevelWhenNextConsume(1);
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            consumed.computeIfAbsent(key, one -> new AtomicInteger()).incrementAndGet();
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    void stop() throws Exception {
        stopped.set(true);
        for (Thread thread : threads) {
            thread.join(60_000);
        }
    }

    /** Waits until all that has to come has been consumed. */
    String check(int seconds) throws Exception {
        long deadline = System.nanoTime() + seconds * 1_000_000_000L;
        List<String> missing = missing();
        while (!missing.isEmpty() && System.nanoTime() < deadline) {
            Thread.sleep(100);
            missing = missing();
        }
        Clients.require(missing.isEmpty(), missing.size() + " have not come: " + missing.subList(0, Math.min(5, missing.size())));
        Clients.require(wrong.isEmpty(), wrong.size() + " are wrong: " + wrong.subList(0, Math.min(5, wrong.size())));
        int delayed = 0, committed = 0, rolledBack = 0, again = 0;
        for (Map.Entry<String, Wanted> entry : wanted.entrySet()) {
            int times = consumed.getOrDefault(entry.getKey(), new AtomicInteger()).get();
            LocalTransactionState end = entry.getValue().end;
            boolean uncommitted = end == LocalTransactionState.ROLLBACK_MESSAGE || end != null && !entry.getValue().acknowledged;
            Clients.require(!uncommitted || times == 0, entry.getKey() + " was not committed and came");
            again += Math.max(0, times - 1);
            if (end == null) {
                delayed += Math.min(1, times);
            } else if (uncommitted) {
                rolledBack++;
            } else {
                committed++;
            }
        }
        return delayed + " delayed and " + committed + " committed came, " + rolledBack + " not committed did not; " + again
                + " copies, " + givenBack.size() + " given back, " + asked + " questions";
    }

    private List<String> missing() {
        List<String> missing = new ArrayList<>();
        wanted.forEach((key, entry) -> {
            if (entry.mustCome() && !consumed.containsKey(key)) {
                missing.add(key);
            }
        });
        return missing;
    }
}
