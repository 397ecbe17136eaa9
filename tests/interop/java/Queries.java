import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages found again by key, by unique key and by the position in an id. */
final class Queries {
    private static final int MESSAGES = 60;
    private static final int SHARED_KEYS = 5;
    private static final String UNIQUE_TO_ONE = "no-other-topic-has-it";

    static String byKeyAndById(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        // The same keys in another topic, which no answer may bring.
        Ledger elsewhere = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        long began = System.currentTimeMillis();
        List<SendResult> results = new ArrayList<>();
        for (int i = 0; i < MESSAGES; i++) {
            results.add(send(producer, ledger, topic, i));
            send(producer, elsewhere, topic + "-2", i);
        }
        // The index is written after the answer, in the order of the log.
        String last = "key-" + (MESSAGES - 1);
        Clients.until("index up to " + last, 15, () -> ask(producer, topic, last, 1).isEmpty() ? null : last);

        Ledger byKey = ledger.ofAnother();
        Ledger byPosition = ledger.ofAnother();
        Ledger byUniqueKey = ledger.ofAnother();
        for (int i = 0; i < MESSAGES; i++) {
            ask(producer, topic, "key-" + i, 64).forEach(found -> byKey.received(found, "key"));
            byPosition.received(producer.viewMessage(topic, results.get(i).getOffsetMsgId()), "position");
            byUniqueKey.received(producer.viewMessage(topic, results.get(i).getMsgId()), "unique key");
        }
        for (Ledger found : Arrays.asList(byKey, byPosition, byUniqueKey)) {
            found.compare();
        }
        Ledger byShared = ledger.ofAnother();
        for (int shared = 0; shared < SHARED_KEYS; shared++) {
            ask(producer, topic, "shared-" + shared, 64).forEach(found -> byShared.received(found, "shared key"));
        }
        byShared.compare();

        // With fewer asked for than there are, the newest of them.
        Set<String> newest = keys(ask(producer, topic, "shared-0", 3));
        Set<String> expected = new TreeSet<>(Arrays.asList("key-55", "key-50", "key-45"));
        Clients.require(newest.equals(expected), "the newest three are " + newest + " and not " + expected);
        // The index knows whole seconds.
        long ended = System.currentTimeMillis() + 1000;
        Set<String> ofTheTime = keys(ask(producer, topic, "shared-0", 64, began - 1000, ended));
        Clients.require(ofTheTime.size() == MESSAGES / SHARED_KEYS, "of the time of sending there are " + ofTheTime);
        nothing(ask(producer, topic, "shared-0", 64, 0, began - 60_000), "before the first");
        nothing(ask(producer, topic, "shared-0", 64, ended + 60_000, Long.MAX_VALUE), "after the last");
        nothing(ask(producer, topic, UNIQUE_TO_ONE, 64), "under a key of another topic");
        return MESSAGES + " by their key, by " + SHARED_KEYS + " shared keys, by unique key and by position";
    }

    private static SendResult send(DefaultMQProducer producer, Ledger ledger, String topic, int number) throws Exception {
        // Every seventh is long enough to be compressed.
        byte[] body = new byte[number % 7 == 0 ? 9000 : 20 + number];
        Arrays.fill(body, (byte) ('a' + number % 26));
        Message message = ledger.message(topic, number % 2 == 0 ? "TagA" : null, body);
        String other = topic.endsWith("-2") ? UNIQUE_TO_ONE : "wörter";
        message.setKeys(Arrays.asList(Ledger.key(message), "shared-" + number % SHARED_KEYS, other));
        message.setFlag(number);
        message.putUserProperty("number", "Nummer " + number);
        SendResult result = producer.send(ledger.note(message));
        ledger.answered(message, result);
        return result;
    }

    private static List<MessageExt> ask(DefaultMQProducer producer, String topic, String key, int most) throws Exception {
        return ask(producer, topic, key, most, 0, Long.MAX_VALUE);
    }

    /** The client throws where the broker finds nothing. */
    private static List<MessageExt> ask(DefaultMQProducer producer, String topic, String key, int most, long begin, long end) throws Exception {
        try {
            return producer.queryMessage(topic, key, most, begin, end).getMessageList();
        } catch (MQClientException e) {
            Clients.require(e.getMessage().contains("no message"), "the query for " + key + " failed: " + e);
            return new ArrayList<>();
        }
    }

    private static Set<String> keys(List<MessageExt> messages) {
        Set<String> keys = new TreeSet<>();
        messages.forEach(message -> keys.add(Ledger.key(message)));
        Clients.require(keys.size() == messages.size(), "the same message twice: " + messages);
        return keys;
    }

    private static void nothing(List<MessageExt> found, String where) {
        Clients.require(found.isEmpty(), where + " there are " + keys(found));
    }

    private Queries() {}
}
