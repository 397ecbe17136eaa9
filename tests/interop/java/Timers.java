import java.util.HashMap;
import java.util.Map;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** Messages with a delivery time of their own, as clients of 5.x ask for it; some of them are recalled. */
final class Timers {
    /** How late a message may be stored in its topic. */
    private static final long LATE_MS = 200;

    /** A time, a number of seconds and one of milliseconds, in turn; every fifth is recalled. */
    static String byTime(Clients clients) throws Exception {
        Ledger ledger = new Ledger()
                .allowing("REAL_TOPIC", "REAL_QID", "TIMER_OUT_MS", "TIMER_ENQUEUE_MS", "TIMER_DEQUEUE_MS", "TIMER_DELIVER_MS");
        String topic = clients.name("topic");
        Map<String, Long> dueAt = new HashMap<>();
        DefaultMQProducer producer = clients.producer();
        int recalled = 0;
        for (int i = 0; i < 60; i++) {
            Message message = ledger.message(topic, i % 5 == 0 ? "recalled" : "kept", ("timer " + i).getBytes());
            long wait = i % 3 == 1 ? 2_000 : 1_000 + 37 * i;
            long now = System.currentTimeMillis();
            if (i % 3 == 0) {
                message.setDeliverTimeMs(now + wait);
            } else if (i % 3 == 1) {
                message.setDelayTimeSec(2);
            } else {
                message.setDelayTimeMs(wait);
            }
            ledger.note(message);
            dueAt.put(Ledger.key(message), now + wait);
            SendResult result = producer.send(message);
            Clients.require(result.getRecallHandle() != null, "the answer to a send has no recall handle");
            if (i % 5 == 0) {
                String id = producer.recallMessage(topic, result.getRecallHandle());
                Clients.require(result.getMsgId().equals(id), id + " was recalled for " + result.getMsgId());
                recalled++;
            }
        }
        clients.pushConsumer(clients.name("group"), topic, "*", ledger);
        ledger.await(40, "kept"::equals);
        // Those that were recalled were due in between.
        ledger.compare("kept"::equals);
        long latest = 0;
        for (Ledger.Received arrival : ledger.arrivals()) {
            long late = arrival.message.getStoreTimestamp() - dueAt.get(Ledger.key(arrival.message));
            Clients.require(late >= 0, Ledger.key(arrival.message) + " was delivered " + -late + " ms early");
            Clients.require(late <= LATE_MS, Ledger.key(arrival.message) + " was delivered " + late + " ms late");
            latest = Math.max(latest, late);
        }
        return "48 at their time, late by at most " + latest + " ms, and " + recalled + " recalled";
    }

    private Timers() {}
}
