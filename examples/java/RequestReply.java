import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** A question goes to a topic, and its answer comes back to the one who asked, through the broker. */
public final class RequestReply {
    public static void main(String[] args) throws Exception {
        String topic = "Questions-" + System.currentTimeMillis();
        DefaultMQProducer answers = new DefaultMQProducer("answers-" + topic);
        answers.setNamesrvAddr(args[0]);
        answers.setInstanceName("answers");
        answers.start();
        answers.send(new Message(topic, "first", "first".getBytes()));
        DefaultMQPushConsumer oracle = new DefaultMQPushConsumer("oracle-" + topic);
        oracle.setNamesrvAddr(args[0]);
        oracle.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        oracle.subscribe(topic, "question");
        oracle.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt question : messages) {
                try {
                    byte[] answer = (new String(question.getBody()) + " 42").getBytes();
                    answers.send(MessageUtil.createReplyMessage(question, answer), 3_000);
                } catch (Exception e) {
                    e.printStackTrace();
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        oracle.start();
        DefaultMQProducer asker = new DefaultMQProducer("asker-" + topic);
        asker.setNamesrvAddr(args[0]);
        asker.setInstanceName("asker");
        asker.start();
        Message answer = asker.request(new Message(topic, "question", "six times seven?".getBytes()), 60_000);
        System.out.println(new String(answer.getBody()));
        asker.shutdown();
        oracle.shutdown();
        answers.shutdown();
        System.exit(new String(answer.getBody()).endsWith(" 42") ? 0 : 1);
    }
}
