import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages that wait for a reply: by the methods' names, since releases before 4.6 have none. */
final class Replies {
    private static final long MILLIS = 20_000;

    static boolean areThere() {
        try {
            return DefaultMQProducer.class.getMethod("request", Message.class, long.class) != null;
        } catch (NoSuchMethodException e) {
            return false;
        }
    }

    /** Sends a message and waits for what replies to it. */
    static Message request(DefaultMQProducer producer, Message message) throws Exception {
        try {
            return (Message) DefaultMQProducer.class.getMethod("request", Message.class, long.class).invoke(producer, message, MILLIS);
        } catch (InvocationTargetException e) {
            throw (Exception) e.getCause();
        }
    }

    /** Answers a message with `re: ` and its body. */
    static void reply(DefaultMQProducer producer, MessageExt message) {
        byte[] body = ("re: " + new String(message.getBody(), StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8);
        try {
            Class<?> util = Class.forName("org.apache.rocketmq.client.utils.MessageUtil");
            Message reply = (Message) util.getMethod("createReplyMessage", Message.class, byte[].class).invoke(null, message, body);
            producer.send(reply);
        } catch (Exception e) {
            throw new IllegalStateException("a reply to " + message + " was not sent", e);
        }
    }

    private Replies() {}
}
