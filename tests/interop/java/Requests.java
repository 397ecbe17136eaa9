import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Applications that answer each other's messages. */
final class Requests {
    private static final int REQUESTS = 50;

    static String answered(Clients clients) throws Exception {
        String topic = clients.name("topic");
        // It says who it is when it asks for the first time of a topic that it has no route of.
        DefaultMQProducer requester = clients.producer();
        DefaultMQProducer maker = clients.newProducer("makers");
        maker.start();
        DefaultMQProducer replier = clients.newProducer("repliers");
        replier.start();
        Ledger first = new Ledger();
        Groups.sendTagged(maker, first, topic, new String[] {"none"}, 1);
        clients.queues(topic);
        DefaultMQPushConsumer consumer = clients.newPushConsumer(clients.name("group"), topic, "asked");
        AtomicReference<Exception> failure = new AtomicReference<>();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                try {
                    byte[] body = ("answer to " + new String(message.getBody())).getBytes();
                    replier.send(MessageUtil.createReplyMessage(message, body), 5000);
                } catch (Exception e) {
                    failure.set(e);
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        Groups.awaitMembers(consumer, topic, consumer.getConsumerGroup(), java.util.Collections.singleton(consumer.buildMQClientId()));
        long[] micros = new long[REQUESTS];
        for (int i = 0; i < REQUESTS; i++) {
            long before = System.nanoTime();
            Message reply = request(requester, new Message(topic, "asked", ("question " + i).getBytes()));
            micros[i] = (System.nanoTime() - before) / 1000;
            String text = new String(reply.getBody());
            Clients.require(text.equals("answer to question " + i), "question " + i + " was answered with " + text);
        }
        Clients.require(failure.get() == null, "a reply was not taken: " + failure.get());
        Arrays.sort(micros);
        return REQUESTS + " requests, each answered; median " + micros[REQUESTS / 2] + " us";
    }

    /** The form with a callback: the other one stops waiting when the broker has the request. */
    private static Message request(DefaultMQProducer requester, Message message) throws Exception {
        CountDownLatch come = new CountDownLatch(1);
        AtomicReference<Message> reply = new AtomicReference<>();
        AtomicReference<Throwable> failure = new AtomicReference<>();
        requester.request(message, new RequestCallback() {
            @Override
            public void onSuccess(Message answer) {
                // A client also calls this when the broker has the request and there is no reply yet.
                if (answer != null) {
                    reply.set(answer);
                    come.countDown();
                }
            }

            @Override
            public void onException(Throwable e) {
                failure.set(e);
                come.countDown();
            }
        }, 20_000);
        Clients.require(come.await(25, TimeUnit.SECONDS), "no reply and no failure");
        if (failure.get() != null) {
            throw new AssertionError("a request failed", failure.get());
        }
        return reply.get();
    }

    private Requests() {}
}
