import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * What was sent and what came, by the first of a message's keys, which is unique. {@link #compare} fails with the
 * differences: missing, unexpected and repeated messages, and contents or positions that are not those sent.
 */
final class Ledger {
    /** Properties that client or broker add, or change as WAIT, on the way. */
    private static final Set<String> ADDED = new HashSet<>(Arrays.asList(
            "WAIT", "UNIQ_KEY", "MIN_OFFSET", "MAX_OFFSET", "MSG_REGION", "TRACE_ON", "CLUSTER", "CONSUME_START_TIME"));
    private static final int SHOWN = 5;

    private static final class Sent {
        String topic;
        byte[] body;
        int flag;
        Map<String, String> properties;
        /** Null when nothing was answered: oneway sends, and members of a batch. */
        SendResult result;
    }

    /** One arrival and who took it. */
    static final class Received {
        final MessageExt message;
        final String consumer;

        Received(MessageExt message, String consumer) {
            this.message = message;
            this.consumer = consumer;
        }
    }

    private final Map<String, Sent> sent;
    private final Set<String> added = new HashSet<>(ADDED);
    private final Map<String, List<Received>> received = new LinkedHashMap<>();

    Ledger() {
        this(new LinkedHashMap<>());
    }

    private Ledger(Map<String, Sent> sent) {
        this.sent = sent;
    }

    /** A ledger of the same messages, for another who must get them too; both belong to the thread that sends. */
    Ledger ofAnother() {
        return new Ledger(sent);
    }

    /** Further properties that come beside those sent; a scenario looks at them itself. */
    Ledger allowing(String... properties) {
        added.addAll(Arrays.asList(properties));
        return this;
    }

    /** A message with a key that no other has, noted as sent. */
    Message message(String topic, String tags, byte[] body) {
        String key;
        synchronized (this) {
            key = "key-" + sent.size();
            Sent entry = new Sent();
            sent.put(key, entry);
        }
        Message message = new Message(topic, tags, key, body);
        note(message);
        return message;
    }

    Message message(String topic, String text) {
        return message(topic, null, text.getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }

    /** Notes the message as it is now; after changing one that {@link #message} made. */
    synchronized Message note(Message message) {
        Sent entry = sent.get(key(message));
        entry.topic = message.getTopic();
        entry.body = message.getBody().clone();
        entry.flag = message.getFlag();
        entry.properties = new LinkedHashMap<>(message.getProperties());
        return message;
    }

    synchronized void answered(Message message, SendResult result) {
        Clients.require(result.getSendStatus() == SendStatus.SEND_OK, "send of " + key(message) + " gave " + result);
        sent.get(key(message)).result = result;
    }

    synchronized void received(MessageExt message, String consumer) {
        received.computeIfAbsent(key(message), key -> new ArrayList<>()).add(new Received(message, consumer));
        notifyAll();
    }

    static String key(Message message) {
        return message.getKeys() == null ? "(no keys)" : message.getKeys().split(" ")[0];
    }

    synchronized int sentCount() {
        return sent.size();
    }

    /** All arrivals, repeated ones included. */
    synchronized List<Received> arrivals() {
        List<Received> all = new ArrayList<>();
        received.values().forEach(all::addAll);
        return all;
    }

    synchronized List<Received> arrivals(String key) {
        return new ArrayList<>(received.getOrDefault(key, Collections.emptyList()));
    }

    /**
     * Waits until each message sent that fits has come at least once. A consumer of 5.3.3 whose heartbeat meets another of its own
     * leaves it out, and is refused by any broker ("the subscription is not latest") until the next one, 30 s later.
     */
    synchronized void await(int seconds, Predicate<String> wantedTags) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        while (true) {
            List<String> missing = missing(wantedTags);
            if (missing.isEmpty()) {
                return;
            }
            long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
            if (left <= 0) {
                throw new AssertionError(missing.size() + " messages did not come within " + seconds + " s: " + some(missing));
            }
            wait(left);
        }
    }

    void await(int seconds) throws InterruptedException {
        await(seconds, tags -> true);
    }

    /** Has each message sent that fits come at least once? */
    synchronized boolean hasCome(Predicate<String> wantedTags) {
        return missing(wantedTags).isEmpty();
    }

    private List<String> missing(Predicate<String> wantedTags) {
        List<String> missing = new ArrayList<>();
        sent.forEach((key, entry) -> {
            if (wantedTags.test(entry.properties.get("TAGS")) && !received.containsKey(key)) {
                missing.add(key);
            }
        });
        return missing;
    }

    /** Everything sent that fits came exactly once and as it was sent, and nothing else came. */
    synchronized void compare(Predicate<String> wantedTags) {
        int repeated = compareAtLeastOnce(wantedTags);
        Clients.require(repeated == 0, repeated + " messages came more than once: " + some(repeatedKeys()));
    }

    void compare() {
        compare(tags -> true);
    }

    /** As {@link #compare}, but messages may be repeated; returns how many arrivals were repetitions. */
    synchronized int compareAtLeastOnce(Predicate<String> wantedTags) {
        List<String> wrong = new ArrayList<>();
        missing(wantedTags).forEach(key -> wrong.add(key + " is missing"));
        int repetitions = 0;
        for (Map.Entry<String, List<Received>> entry : received.entrySet()) {
            Sent was = sent.get(entry.getKey());
            if (was == null || !wantedTags.test(was.properties.get("TAGS"))) {
                wrong.add(entry.getKey() + " was not expected");
                continue;
            }
            entry.getValue().forEach(arrival -> difference(was, arrival.message, wrong));
            repetitions += entry.getValue().size() - 1;
        }
        Clients.require(wrong.isEmpty(), wrong.size() + " of " + sent.size() + " are wrong: " + some(wrong));
        return repetitions;
    }

    private List<String> repeatedKeys() {
        List<String> keys = new ArrayList<>();
        received.forEach((key, arrivals) -> {
            if (arrivals.size() > 1) keys.add(key + " x" + arrivals.size());
        });
        return keys;
    }

    private void difference(Sent was, MessageExt is, List<String> wrong) {
        String key = key(is);
        differs(wrong, key, "topic", was.topic, is.getTopic());
        differs(wrong, key, "flag", was.flag, is.getFlag());
        if (!Arrays.equals(was.body, is.getBody())) {
            wrong.add(key + " body differs (" + was.body.length + " bytes sent, " + is.getBody().length + " came)");
        }
        Map<String, String> came = new LinkedHashMap<>(is.getProperties());
        came.keySet().removeAll(added);
        Map<String, String> went = new LinkedHashMap<>(was.properties);
        went.keySet().removeAll(added);
        differs(wrong, key, "properties", went, came);
        if (was.result != null) {
            differs(wrong, key, "unique id", was.result.getMsgId(), is.getMsgId());
            differs(wrong, key, "offset id", was.result.getOffsetMsgId(), ((MessageClientExt) is).getOffsetMsgId());
            differs(wrong, key, "queue", was.result.getMessageQueue().getQueueId(), is.getQueueId());
            differs(wrong, key, "queue offset", was.result.getQueueOffset(), is.getQueueOffset());
        }
    }

    private static void differs(List<String> wrong, String key, String what, Object was, Object is) {
        if (!was.equals(is)) {
            wrong.add(key + " " + what + " is " + is + " instead of " + was);
        }
    }

    private static String some(List<String> all) {
        return all.subList(0, Math.min(SHOWN, all.size())) + (all.size() > SHOWN ? " and more" : "");
    }
}
