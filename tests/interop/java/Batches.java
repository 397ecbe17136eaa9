import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;

/** Several messages in one request; clients before 4.1 have none of it. */
final class Batches {
    static String inOneRun(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        DefaultMQProducer producer = clients.producer();
        int[] sizes = {1, 2, 10, 100, 700};
        for (int size : sizes) {
            List<Message> messages = new ArrayList<>();
            for (int i = 0; i < size; i++) {
                Message message = ledger.message(topic, "Tag" + i % 3, ("batch of " + size + ", number " + i).getBytes());
                message.putUserProperty("number", "№ " + i);
                message.setFlag(i);
                messages.add(ledger.note(message));
            }
            SendResult result = producer.send(messages);
            Clients.require(result.getSendStatus() == SendStatus.SEND_OK, "batch of " + size + " gave " + result);
            Clients.require(result.getMsgId().split(",").length == size, "unique ids of a batch of " + size + ": " + result);
            Clients.require(result.getOffsetMsgId().split(",").length == size, "offset ids of a batch of " + size + ": " + result);
        }
        clients.readAll(topic, ledger);
        ledger.compare();
        followEachOther(ledger, sizes);
        return sizes.length + " batches, " + ledger.sentCount() + " messages";
    }

    /** The members of a batch follow each other in one queue. */
    private static void followEachOther(Ledger ledger, int[] sizes) {
        int number = 0;
        for (int size : sizes) {
            Ledger.Received first = ledger.arrivals("key-" + number).get(0);
            for (int i = 0; i < size; i++) {
                Ledger.Received member = ledger.arrivals("key-" + number++).get(0);
                boolean follows = member.message.getQueueId() == first.message.getQueueId()
                        && member.message.getQueueOffset() == first.message.getQueueOffset() + i;
                Clients.require(follows, "member " + i + " of a batch of " + size + " lies elsewhere: " + member.message);
            }
        }
    }

    private Batches() {}
}
