import java.util.function.Consumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** What {@link Agent} does with releases that have it: transactions with a listener, and filters. */
interface Extras {
    /** Those of this release, or null. */
    static Extras ofThisRelease() {
        try {
            return (Extras) Class.forName("ExtrasSince43").getDeclaredConstructor().newInstance();
        } catch (ReflectiveOperationException none) {
            return null;
        }
    }

    /** A producer whose messages have the tag `SAID-TOLD`: what it says at once, and when it is asked. */
    DefaultMQProducer transactor(String group, Consumer<MessageExt> asked);

    SendResult sendInTransaction(DefaultMQProducer transactor, Message message) throws Exception;

    void subscribe(DefaultMQPushConsumer consumer, String topic, String sql) throws Exception;
}
