import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Messages with a delay level: none comes before its time, and each comes soon after it. */
final class Delays {
    private static final long[] LEVEL_MS = {0, 1_000, 5_000};
    /** How late a message may be: the consumer's own pull is a part of it. */
    private static final long LATE_MS = 1_500;

    /** Two levels and none, mixed; the tag tells which. */
    static String byLevel(Clients clients) throws Exception {
        Ledger ledger = new Ledger().allowing("REAL_TOPIC", "REAL_QID");
        String topic = clients.name("topic");
        Map<String, Long> sentAt = new HashMap<>();
        DefaultMQProducer producer = clients.producer();
        for (int i = 0; i < 60; i++) {
            send(producer, ledger, topic, i % 3, sentAt);
        }
        clients.pushConsumer(clients.name("group"), topic, "*", ledger);
        ledger.await(40);
        ledger.compare();
        return "20 of each, late by at most " + check(ledger, sentAt) + " ms";
    }

    /** The broker is restarted while they wait. */
    static String afterRestart(Clients clients) throws Exception {
        Ledger ledger = new Ledger().allowing("REAL_TOPIC", "REAL_QID");
        String topic = clients.name("topic");
        Map<String, Long> sentAt = new HashMap<>();
        DefaultMQProducer producer = clients.producer();
        for (int i = 0; i < 40; i++) {
            send(producer, ledger, topic, 2, sentAt);
        }
        Interop.restartBroker();
        clients.pushConsumer(clients.name("group"), topic, "*", ledger);
        ledger.await(40);
        ledger.compare();
        for (Ledger.Received arrival : ledger.arrivals()) {
            long waited = arrival.message.getStoreTimestamp() - sentAt.get(Ledger.key(arrival.message));
            Clients.require(waited >= LEVEL_MS[2], Ledger.key(arrival.message) + " was delivered after " + waited + " ms");
        }
        return "40 waited over a restart, each delivered once";
    }

    private static void send(DefaultMQProducer producer, Ledger ledger, String topic, int level, Map<String, Long> sentAt)
            throws Exception {
        Message message = ledger.message(topic, "level" + level, ("waits " + level).getBytes());
        message.setDelayTimeLevel(level);
        ledger.note(message);
        sentAt.put(Ledger.key(message), System.currentTimeMillis());
        producer.send(message);
    }

    /** Broker and clients have one clock: a record is stored in its topic when it is due. */
    private static long check(Ledger ledger, Map<String, Long> sentAt) {
        long latest = 0;
        List<Ledger.Received> arrivals = ledger.arrivals();
        for (Ledger.Received arrival : arrivals) {
            String key = Ledger.key(arrival.message);
            long due = sentAt.get(key) + LEVEL_MS[arrival.message.getDelayTimeLevel()];
            long stored = arrival.message.getStoreTimestamp();
            Clients.require(stored >= due, key + " was delivered " + (due - stored) + " ms early");
            Clients.require(stored <= due + LATE_MS, key + " was delivered " + (stored - due) + " ms late");
            latest = Math.max(latest, stored - due);
        }
        return latest;
    }

    private Delays() {}
}
