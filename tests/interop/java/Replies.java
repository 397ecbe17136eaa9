import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages that wait for a reply: by the names of classes and methods, since releases before 4.6 have none. */
final class Replies {
    private static final long MILLIS = 20_000;

    static boolean areThere() {
        try {
            return callback() != null;
        } catch (ClassNotFoundException e) {
            return false;
        }
    }

    private static Class<?> callback() throws ClassNotFoundException {
        return Class.forName("org.apache.rocketmq.client.producer.RequestCallback");
    }

    /**
     * Sends a message and waits for what replies to it. By the form with a callback: the other one of 5.3.3 stops waiting
     * when the broker has the request, and says at once that the time is over.
     */
    static Message request(DefaultMQProducer producer, Message message) throws Exception {
        CompletableFuture<Message> reply = new CompletableFuture<>();
        Object callback = Proxy.newProxyInstance(Replies.class.getClassLoader(), new Class<?>[] {callback()}, (self, method, arguments) -> {
            // It is also called when the broker has the request and there is no reply yet.
            if (method.getName().equals("onSuccess") && arguments[0] != null) {
                reply.complete((Message) arguments[0]);
            } else if (method.getName().equals("onException")) {
                reply.completeExceptionally((Throwable) arguments[0]);
            }
            return null;
        });
        DefaultMQProducer.class.getMethod("request", Message.class, callback(), long.class).invoke(producer, message, callback, MILLIS);
        return reply.get(MILLIS + 5_000, TimeUnit.MILLISECONDS);
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
