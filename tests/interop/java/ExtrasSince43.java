import java.util.function.Consumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

final class ExtrasSince43 implements Extras {
    @Override
    public DefaultMQProducer transactor(String group, Consumer<MessageExt> asked) {
        TransactionMQProducer producer = new TransactionMQProducer(group);
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                return state(message.getTags().split("-")[0]);
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                asked.accept(message);
                return state(message.getTags().split("-")[1]);
            }
        });
        return producer;
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

    @Override
    public SendResult sendInTransaction(DefaultMQProducer transactor, Message message) throws Exception {
        return ((TransactionMQProducer) transactor).sendMessageInTransaction(message, null);
    }

    @Override
    public void subscribe(DefaultMQPushConsumer consumer, String topic, String sql) throws Exception {
        consumer.subscribe(topic, MessageSelector.bySql(sql));
    }
}
