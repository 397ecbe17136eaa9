import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.protocol.header.QueryMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/**
 * Queries by key as a broker answers them, before the client looks which of the messages have the key.
 *
 * <p>{@code query KEY MOST FROM TO}: both times are 0, {@code end}, or the number of a message that was stored then;
 * {@code unique} asks for a unique key in the same way.
 */
final class AdminKeys {
    static final String TOPIC = "AdminKeys";
    private static final int MESSAGES = 150;

    /** Sends one of the messages. */
    interface Sender {
        SendResult send(Message message, int number) throws Exception;
    }

    private final String broker;
    private final long[] stored = new long[MESSAGES];

    AdminKeys(String broker) {
        this.broker = broker;
    }

    /**
     * Many of one key, which fill a file of the index and go on in others, and two keys of one hash: "Aa" and "BB" have the
     * same, so "AdminKeys#Aa" and "AdminKeys#BB" have too. The index knows times by the second.
     */
    void fill(DefaultMQProducer producer, Sender sender) throws Exception {
        for (int i = 0; i < MESSAGES; i++) {
            if (i % 40 == 39) {
                Thread.sleep(1100);
            }
            String keys = "many single-" + i + " " + (i % 2 == 0 ? "Aa" : "BB") + (i % 10 == 0 ? " ten" : "");
            Message message = new Message(TOPIC, null, keys, ("keyed " + i).getBytes(StandardCharsets.UTF_8));
            SendResult sent = sender.send(message, i);
            stored[i] = producer.viewMessage(sent.getOffsetMsgId()).getStoreTimestamp();
        }
    }

    private long time(String word) {
        switch (word) {
            case "0": return 0;
            case "end": return Long.MAX_VALUE;
            default: return stored[Integer.parseInt(word)];
        }
    }

    /** What the broker answers: its code, and where its messages lie. */
    List<String> ask(String[] words) throws Exception {
        QueryMessageRequestHeader header = new QueryMessageRequestHeader();
        header.setTopic(TOPIC);
        header.setKey(words[1]);
        header.setMaxNum(Integer.valueOf(words[2]));
        header.setBeginTimestamp(time(words[3]));
        header.setEndTimestamp(time(words[4]));
        DefaultMQProducer client = new DefaultMQProducer("asker");
        client.setInstanceName("asker");
        client.setNamesrvAddr(broker);
        client.start();
        try {
            CompletableFuture<RemotingCommand> answered = new CompletableFuture<>();
            client.getDefaultMQProducerImpl().getmQClientFactory().getMQClientAPIImpl().queryMessage(broker, header, 10_000,
                    future -> answered.complete(future.getResponseCommand()), words[0].equals("unique"));
            RemotingCommand answer = answered.get(20, TimeUnit.SECONDS);
            List<String> lines = new ArrayList<>();
            lines.add("code " + answer.getCode() + " " + answer.getRemark());
            if (answer.getBody() != null) {
                for (MessageExt message : MessageDecoder.decodes(ByteBuffer.wrap(answer.getBody()))) {
                    lines.add(message.getCommitLogOffset() + " " + message.getQueueId() + " " + message.getQueueOffset() + " "
                            + message.getKeys() + " " + new String(message.getBody(), StandardCharsets.UTF_8));
                }
            }
            return lines;
        } finally {
            client.shutdown();
        }
    }
}
