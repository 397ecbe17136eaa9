import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/** A thousand requests come at once and are all accepted; a service with four threads works them off as fast as it can. */
public final class PeakShaving {
    private static final int REQUESTS = 1_000;

    public static void main(String[] args) throws Exception {
        String topic = "Requests-" + System.currentTimeMillis();
        DefaultMQProducer door = new DefaultMQProducer("door");
        door.setNamesrvAddr(args[0]);
        door.start();
        door.send(new Message(topic, "first".getBytes()));
        CountDownLatch accepted = new CountDownLatch(REQUESTS);
        long began = System.nanoTime();
        for (int i = 0; i < REQUESTS; i++) {
            door.send(new Message(topic, ("request " + i).getBytes()), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    accepted.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    System.err.println("not accepted: " + e);
                }
            });
        }
        boolean all = accepted.await(30, TimeUnit.SECONDS);
        System.out.println(REQUESTS + " accepted in " + TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began) + " ms");
        CountDownLatch done = new CountDownLatch(REQUESTS + 1);
        DefaultMQPushConsumer service = new DefaultMQPushConsumer("service-" + topic);
        service.setNamesrvAddr(args[0]);
        service.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        service.setConsumeThreadMin(4);
        service.setConsumeThreadMax(4);
        service.subscribe(topic, "*");
        service.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            try {
                Thread.sleep(5L * messages.size());
            } catch (InterruptedException e) {
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            messages.forEach(message -> done.countDown());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        service.start();
        all &= done.await(60, TimeUnit.SECONDS);
        System.out.println("worked off after " + TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began) + " ms");
        service.shutdown();
        door.shutdown();
        System.exit(all ? 0 : 1);
    }
}
