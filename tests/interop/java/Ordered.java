import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages that keep their order: by key within a queue, and over the consumers that come, go and die. */
final class Ordered {
    private static final int KEYS = 12;

    /** What came, in the order in which it was taken: for each key its numbers, and who takes which queue now. */
    private static final class Log {
        private final Map<String, List<Integer>> numbers = new HashMap<>();
        private final Map<String, TreeSet<Integer>> queuesOf = new HashMap<>();
        private final Map<Integer, String> busy = new HashMap<>();
        private final List<String> wrong = new ArrayList<>();
        private int taken;

        synchronized void begins(String consumer, int queue) {
            String other = busy.put(queue, consumer);
            if (other != null) {
                wrong.add(other + " and " + consumer + " have queue " + queue + " at once");
            }
        }

        synchronized void ends(String consumer, MessageExt message, boolean isTaken) {
            busy.remove(message.getQueueId());
            if (isTaken) {
                String[] words = new String(message.getBody()).split(" ");
                numbers.computeIfAbsent(words[0], key -> new ArrayList<>()).add(Integer.valueOf(words[1]));
                queuesOf.computeIfAbsent(consumer, key -> new TreeSet<>()).add(message.getQueueId());
                taken++;
            }
        }

        synchronized int taken() {
            return taken;
        }

        synchronized List<Integer> numbers(String key) {
            return new ArrayList<>(numbers.getOrDefault(key, new ArrayList<>()));
        }

        synchronized TreeSet<Integer> queuesOf(String consumer) {
            return new TreeSet<>(queuesOf.getOrDefault(consumer, new TreeSet<>()));
        }

        synchronized void check() {
            Clients.require(wrong.isEmpty(), "order is broken: " + wrong);
        }
    }

    /** What a listener does with a message beside taking it. */
    interface Twist {
        boolean takes(MessageExt message) throws InterruptedException;
    }

    private static DefaultMQPushConsumer consumer(Clients clients, String group, String topic, Log log, Twist twist) throws Exception {
        DefaultMQPushConsumer consumer = clients.newPushConsumer(group, topic, "*");
        consumer.setSuspendCurrentQueueTimeMillis(50);
        String name = consumer.getInstanceName();
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            MessageExt message = messages.get(0);
            log.begins(name, message.getQueueId());
            boolean isTaken = false;
            try {
                isTaken = twist.takes(message);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } finally {
                log.ends(name, message, isTaken);
            }
            return isTaken ? ConsumeOrderlyStatus.SUCCESS : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
        });
        consumer.start();
        return consumer;
    }

    /** Sends the numbers FROM to END of each key, in turn; a key has a queue of its own. */
    private static void send(DefaultMQProducer producer, String topic, int from, int end) throws Exception {
        for (int number = from; number < end; number++) {
            for (int key = 0; key < KEYS; key++) {
                Message message = new Message(topic, null, "key-" + key + "-" + number, ("k" + key + " " + number).getBytes());
                SendResult result = producer.send(message, (queues, sent, arg) -> queues.get((Integer) arg % queues.size()), key);
                Clients.require(result.getMessageQueue().getQueueId() == key % 4, "key " + key + " went to " + result);
            }
        }
    }

    private static boolean is(MessageExt message, String text) {
        return new String(message.getBody()).equals(text);
    }

    /** One message takes a second, one suspends its queue three times, and a second consumer joins while messages come. */
    static String whileQueuesMove(Clients clients) throws Exception {
        String topic = clients.name("topic");
        String group = clients.name("group");
        DefaultMQProducer producer = clients.producer();
        send(producer, topic, 0, 5);
        clients.queues(topic);
        Log log = new Log();
        int[] suspended = {0};
        Twist twist = message -> {
            if (is(message, "k1 2")) {
                Thread.sleep(1000);
            }
            synchronized (suspended) {
                return !is(message, "k2 3") || ++suspended[0] > 3;
            }
        };
        DefaultMQPushConsumer one = consumer(clients, group, topic, log, twist);
        Clients.until("message in order", 30, () -> log.taken() > 0 ? true : null);
        DefaultMQPushConsumer other = consumer(clients, group, topic, log, twist);
        int end = 5;
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (log.queuesOf(other.getInstanceName()).size() < 2) {
            Clients.require(System.nanoTime() < deadline, "the second consumer got only " + log.queuesOf(other.getInstanceName()));
            send(producer, topic, end, ++end);
        }
        int sent = KEYS * end;
        Clients.until("end of " + sent + " messages", 30, () -> log.taken() >= sent ? true : null);
        log.check();
        for (int key = 0; key < KEYS; key++) {
            List<Integer> numbers = log.numbers("k" + key);
            for (int number = 0; number < end; number++) {
                Clients.require(numbers.size() == end && numbers.get(number) == number, "key " + key + " came as " + numbers);
            }
        }
        Clients.require(suspended[0] == 4, "the suspended message came " + suspended[0] + " times");
        return sent + " messages of " + KEYS + " keys, each key in order and no message twice; queues " + log.queuesOf(one.getInstanceName())
                + " and then " + log.queuesOf(other.getInstanceName()) + " of the second";
    }

    /** A topic with one queue: all messages keep their order, also when one consumer leaves and the other goes on. */
    static String inOneQueue(Clients clients) throws Exception {
        String topic = clients.name("topic");
        String group = clients.name("group");
        DefaultMQProducer producer = clients.newProducer();
        producer.setDefaultTopicQueueNums(1);
        producer.start();
        int end = 300;
        for (int number = 0; number < end; number++) {
            producer.send(new Message(topic, null, "key-" + number, ("k0 " + number).getBytes()));
        }
        Clients.require(clients.queues(topic).size() == 1, "the topic has " + clients.queues(topic));
        Log log = new Log();
        Twist slow = message -> {
            Thread.sleep(5);
            return true;
        };
        List<DefaultMQPushConsumer> pair = new ArrayList<>();
        pair.add(consumer(clients, group, topic, log, slow));
        pair.add(consumer(clients, group, topic, log, slow));
        Clients.until("message of 100", 30, () -> log.taken() > 100 ? true : null);
        DefaultMQPushConsumer first = pair.get(log.queuesOf(pair.get(0).getInstanceName()).isEmpty() ? 1 : 0);
        first.shutdown();
        Clients.until("end of all messages", 30, () -> isComplete(log, 1, end) ? true : null);
        log.check();
        List<Integer> numbers = log.numbers("k0");
        for (int i = 1; i < numbers.size(); i++) {
            // One that stops may leave what it has just taken uncommitted.
            boolean isNext = numbers.get(i) == numbers.get(i - 1) + 1;
            Clients.require(isNext || numbers.get(i) <= numbers.get(i - 1), numbers.get(i) + " came after " + numbers.get(i - 1));
        }
        for (DefaultMQPushConsumer consumer : pair) {
            Clients.require(!log.queuesOf(consumer.getInstanceName()).isEmpty(), "one of the consumers took nothing");
        }
        return end + " messages in order from one consumer and then the other, " + (numbers.size() - end) + " of them again";
    }

    /** Another process holds the locks of all queues and is killed in the middle of a message. */
    static String theHolderIsKilled(Clients clients) throws Exception {
        long lockMillis = Long.getLong("lock.millis");
        String topic = clients.name("topic");
        String group = clients.name("group");
        DefaultMQProducer producer = clients.producer();
        send(producer, topic, 0, 20);
        clients.queues(topic);
        List<String> command = new ArrayList<>();
        command.add(System.getProperty("java.home") + "/bin/java");
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(java.util.Arrays.asList("-cp", System.getProperty("java.class.path"), "Ordered$Victim", producer.getNamesrvAddr(), group, topic));
        Process victim = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        Map<String, Integer> last = new HashMap<>();
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(victim.getInputStream()))) {
            for (String line = lines.readLine(); !"STUCK".equals(line); line = lines.readLine()) {
                Clients.require(line != null, "the other process ended");
                String[] words = line.split(" ");
                last.put(words[0], Integer.valueOf(words[1]));
            }
        } finally {
            victim.destroyForcibly().waitFor();
        }
        long killed = System.nanoTime();
        Log log = new Log();
        consumer(clients, group, topic, log, message -> true);
        Clients.until("message for the next consumer", 30, () -> log.taken() > 0 ? true : null);
        long waited = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - killed);
        // Its last renewal lies at most a lock interval before its end.
        Clients.require(waited > lockMillis - Long.getLong("rocketmq.client.rebalance.lockInterval") - 500,
                "the next consumer had a message after " + waited + " ms, when the locks were held");
        Clients.until("end of all messages", 30, () -> isComplete(log, KEYS, 20) ? true : null);
        log.check();
        int again = 0;
        for (int key = 0; key < KEYS; key++) {
            List<Integer> numbers = log.numbers("k" + key);
            int first = numbers.get(0);
            int before = last.getOrDefault("k" + key, -1);
            Clients.require(first <= before + 1, "key " + key + " lost what is between " + before + " and " + first);
            again += before + 1 - first;
            for (int i = 1; i < numbers.size(); i++) {
                Clients.require(numbers.get(i) == first + i, "key " + key + " came as " + numbers);
            }
        }
        return KEYS * 20 + " messages, " + again + " of them again; the next consumer waited " + waited + " ms";
    }

    private static boolean isComplete(Log log, int keys, int end) {
        for (int key = 0; key < keys; key++) {
            List<Integer> numbers = log.numbers("k" + key);
            if (numbers.isEmpty() || numbers.get(numbers.size() - 1) != end - 1) {
                return false;
            }
        }
        return true;
    }

    /** A consumer that says what it has taken, and stays in one message of each queue until it is killed. */
    public static final class Victim {
        public static void main(String[] args) throws Exception {
            DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(args[1]);
            consumer.setNamesrvAddr(args[0]);
            consumer.setClientIP("127.0.0.1");
            consumer.setInstanceName("victim");
            consumer.setPersistConsumerOffsetInterval(200);
            consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
            consumer.subscribe(args[2], "*");
            TreeSet<Integer> stuck = new TreeSet<>();
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                String text = new String(messages.get(0).getBody());
                if (text.endsWith(" 7")) {
                    synchronized (stuck) {
                        stuck.add(messages.get(0).getQueueId());
                        if (stuck.size() == 4) {
                            System.out.println("STUCK");
                            System.out.flush();
                        }
                    }
                    try {
                        Thread.sleep(60_000);
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                    return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
                }
                synchronized (stuck) {
                    System.out.println(text);
                }
                return ConsumeOrderlyStatus.SUCCESS;
            });
            consumer.start();
        }
    }

    private Ordered() {}
}
