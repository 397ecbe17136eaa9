import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Transactions that outlive a broker: OpenHalves NAMESRV COMMAND ROUND
 *
 * <ul>
 * <li>{@code leave ROUND} sends messages of which every third is committed, every third rolled back and every third left open;
 * <li>{@code end ROUND} is asked about those that are open alone, commits every other of them, and reads what that makes.
 * </ul>
 */
public final class OpenHalves {
    private static final int MESSAGES = 60;
    private static final int SECONDS = 60;

    public static void main(String[] args) {
        int status = 0;
        try (Clients clients = new Clients(args[0], "halves")) {
            // Both commands meet under these names, in programs of their own.
            String topic = "Halves-" + args[2];
            TransactionMQProducer producer = clients.open(new TransactionMQProducer("producers-" + topic), TransactionMQProducer::shutdown);
            producer.setSendMsgTimeout(10_000);
            if (args[1].equals("leave")) {
                leave(producer, topic);
            } else {
                end(clients, producer, topic);
            }
        } catch (Throwable e) {
            e.printStackTrace();
            status = 1;
        }
        // Old clients leave threads behind.
        System.exit(status);
    }

    private static void leave(TransactionMQProducer producer, String topic) throws Exception {
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                int number = Integer.parseInt(message.getKeys());
                return number % 3 == 0 ? LocalTransactionState.COMMIT_MESSAGE
                        : number % 3 == 1 ? LocalTransactionState.ROLLBACK_MESSAGE : LocalTransactionState.UNKNOW;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                return LocalTransactionState.UNKNOW;
            }
        });
        producer.start();
        for (int i = 0; i < MESSAGES; i++) {
            Message message = new Message(topic, "half", Integer.toString(i), ("half " + i).getBytes());
            Clients.require(producer.sendMessageInTransaction(message, null).getSendStatus() == SendStatus.SEND_OK, i + " was not sent");
        }
    }

    private static void end(Clients clients, TransactionMQProducer producer, String topic) throws Exception {
        Set<Integer> asked = ConcurrentHashMap.newKeySet();
        Set<String> wrong = ConcurrentHashMap.newKeySet();
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                return LocalTransactionState.UNKNOW;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                int number = Integer.parseInt(message.getKeys());
                asked.add(number);
                if (number % 3 != 2 || !topic.equals(message.getTopic()) || !("half " + number).equals(new String(message.getBody()))) {
                    wrong.add("asked about " + message);
                }
                return number % 2 == 0 ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE;
            }
        });
        producer.start();
        // The heartbeat that makes the producer known to the broker needs a route, which this topic has once something was committed to it.
        producer.fetchPublishMessageQueues(topic);
        Set<Integer> came = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer consumer = clients.newPushConsumer(clients.name("group"), topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> came.add(Integer.parseInt(message.getKeys())));
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        int wanted = MESSAGES / 3 + MESSAGES / 6;
        Clients.until("question about all that are open, and all that is committed", SECONDS,
                () -> asked.size() == MESSAGES / 3 && came.size() >= wanted ? came : null);
        for (int number : came) {
            boolean isCommitted = number % 3 == 0 || number % 3 == 2 && number % 2 == 0;
            Clients.require(isCommitted, number + " was not committed and came");
        }
        Clients.require(wrong.isEmpty(), wrong.toString());
    }

    private OpenHalves() {}
}
