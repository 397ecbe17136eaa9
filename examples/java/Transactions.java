import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Money is booked in the bank's own table, and told to others only if it was. The third booking is made, but its process
 * says nothing, as if it had died: the broker asks, after `transactions.timeout` and up to `transactions.check_interval`
 * (a minute unless set), and the table answers. This program does not wait for that unless told by a second argument.
 */
public final class Transactions {
    public static void main(String[] args) throws Exception {
        String topic = "Bookings-" + System.currentTimeMillis();
        Map<String, Boolean> table = new ConcurrentHashMap<>();
        TransactionMQProducer bank = new TransactionMQProducer("bank-" + topic);
        bank.setNamesrvAddr(args[0]);
        bank.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object amount) {
                boolean booked = (Integer) amount > 0;
                table.put(message.getKeys(), booked);
                if (message.getKeys().endsWith("3")) {
                    return LocalTransactionState.UNKNOW;
                }
                return booked ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                System.out.println("asked about " + message.getKeys());
                boolean booked = table.getOrDefault(message.getKeys(), false);
                return booked ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE;
            }
        });
        bank.start();
        int[] amounts = {100, -1, 50};
        for (int i = 0; i < amounts.length; i++) {
            Message message = new Message(topic, "booked", "booking-" + (i + 1), ("amount " + amounts[i]).getBytes());
            bank.sendMessageInTransaction(message, amounts[i]);
        }
        Set<String> told = ConcurrentHashMap.newKeySet();
        DefaultMQPushConsumer other = new DefaultMQPushConsumer("others-" + topic);
        other.setNamesrvAddr(args[0]);
        other.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        other.subscribe(topic, "*");
        other.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> {
                System.out.println("told of " + message.getKeys());
                told.add(message.getKeys());
            });
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        other.start();
        int wanted = args.length > 1 ? 2 : 1;
        for (long end = System.currentTimeMillis() + 100_000; told.size() < wanted && System.currentTimeMillis() < end; ) {
            Thread.sleep(50);
        }
        other.shutdown();
        bank.shutdown();
        boolean good = told.contains("booking-1") && !told.contains("booking-2") && told.size() >= wanted;
        System.exit(good ? 0 : 1);
    }
}
