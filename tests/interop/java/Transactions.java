import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Transactions: what is committed comes once, what is rolled back never, and who says nothing is asked. */
final class Transactions {
    private static final int MESSAGES = 60;

    /** By tag: what the producer says at once, and what it says when it is asked. */
    static String commitRollBackAndCheck(Clients clients) throws Exception {
        Ledger ledger = new Ledger().allowing("REAL_TOPIC", "REAL_QID", "TRAN_MSG", "PGROUP", "TRANSACTION_CHECK_TIMES", "__transactionId__");
        String topic = clients.name("topic");
        Map<String, AtomicInteger> asked = new ConcurrentHashMap<>();
        TransactionMQProducer producer = clients.open(new TransactionMQProducer(clients.name("producers")), TransactionMQProducer::shutdown);
        producer.setSendMsgTimeout(10_000);
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                return state(message.getTags().split("-")[0]);
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                asked.computeIfAbsent(Ledger.key(message), key -> new AtomicInteger()).incrementAndGet();
                Clients.require(topic.equals(message.getTopic()), "asked about a message of " + message.getTopic());
                return state(message.getTags().split("-")[1]);
            }
        });
        producer.start();
        String[] kinds = {"commit-none", "rollback-none", "unknown-commit", "unknown-rollback"};
        for (int i = 0; i < MESSAGES; i++) {
            // A large one is compressed by the client.
            byte[] body = new byte[i % 5 == 0 ? 10_000 : 100];
            java.util.Arrays.fill(body, (byte) ('a' + i % 26));
            Message message = ledger.message(topic, kinds[i % 4], body);
            producer.sendMessageInTransaction(message, null);
        }
        clients.pushConsumer(clients.name("group"), topic, "*", ledger);
        ledger.await(60, tags -> tags.contains("commit"));
        // Who is asked about all that is open has been asked about what is rolled back, too.
        Clients.until("question about all that are open", 60, () -> asked.size() >= MESSAGES / 2 ? asked : null);
        ledger.compare(tags -> tags.contains("commit"));
        return MESSAGES / 2 + " delivered, " + MESSAGES / 2 + " not; asked about " + asked.size();
    }

    private static LocalTransactionState state(String said) {
        switch (said) {
            case "commit":
                return LocalTransactionState.COMMIT_MESSAGE;
            case "rollback":
                return LocalTransactionState.ROLLBACK_MESSAGE;
            default:
                return LocalTransactionState.UNKNOW;
        }
    }

    private Transactions() {}
}
