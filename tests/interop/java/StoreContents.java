import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * What a store holds, as a client sees it: StoreContents NAMESRV COMMAND ARGUMENT
 *
 * <ul>
 * <li>{@code fill ROUND} sends messages of every kind to {@link #TOPICS}, more than a file of the commit log of 1 MiB;
 * <li>{@code list FILE} writes a line for each queue and each message, with all that the store keeps of it;
 * <li>{@code query NEWEST} asks for the keys of the newest messages, and compares the answers with what lies in the queues;
 * <li>{@code tags TAG} pulls every queue by that tag, and compares with what lies in it.
 * </ul>
 */
public final class StoreContents {
    private static final String[] TOPICS = {"StoreWide", "StoreSmall", "StoreBatch"};
    private static final int ROUND_MESSAGES = 240;
    /** Properties that a client adds to what it pulls. */
    private static final List<String> ADDED = Arrays.asList("MIN_OFFSET", "MAX_OFFSET", "CONSUME_START_TIME");

    public static void main(String[] args) {
        int status = 0;
        try (Clients clients = new Clients(args[0], "store")) {
            if (args[1].equals("fill")) {
                fill(clients, args[2]);
            } else if (args[1].equals("list")) {
                list(clients, args[2]);
            } else if (args[1].equals("tags")) {
                tags(clients, args[2]);
            } else {
                query(clients, Integer.parseInt(args[2]));
            }
        } catch (Throwable e) {
            e.printStackTrace();
            status = 1;
        }
        // Old clients leave threads behind.
        System.exit(status);
    }

    private static void fill(Clients clients, String round) throws Exception {
        DefaultMQProducer producer = clients.newProducer();
        // Larger bodies are stored compressed.
        producer.setCompressMsgBodyOverHowmuch(8000);
        producer.start();
        for (int i = 0; i < ROUND_MESSAGES; i++) {
            String name = round + "-" + i;
            String topic = TOPICS[i % 2];
            byte[] body = new byte[i % 3 == 0 ? 9000 : 6000 + i];
            Arrays.fill(body, (byte) ('a' + i % 26));
            byte[] start = ("body " + name + " öß漢 ").getBytes(StandardCharsets.UTF_8);
            System.arraycopy(start, 0, body, 0, start.length);
            Message message = new Message(topic, i % 4 == 0 ? null : "Tag" + i % 3, "key-" + name + " group-" + i % 10, body);
            message.setFlag(i);
            message.putUserProperty("number", name);
            message.putUserProperty("text", "wörter 漢字 ; , = \"");
            sent(producer.send(message));
            if (i % 40 == 0) {
                List<Message> batch = new ArrayList<>();
                for (int j = 0; j < 5; j++) {
                    batch.add(new Message(TOPICS[2], "TagB", "key-" + name + "-" + j, ("batch " + j).getBytes(StandardCharsets.UTF_8)));
                }
                sent(producer.send(batch));
            }
        }
    }

    private static void sent(SendResult result) {
        Clients.require(result.getSendStatus() == SendStatus.SEND_OK, "a send gave " + result);
    }

    private static TreeMap<String, List<MessageExt>> all(Clients clients) throws Exception {
        return all(clients, "*");
    }

    private static TreeMap<String, List<MessageExt>> all(Clients clients, String tag) throws Exception {
        DefaultMQPullConsumer reader = clients.reader();
        TreeMap<String, List<MessageExt>> queues = new TreeMap<>();
        for (String topic : TOPICS) {
            for (MessageQueue queue : new TreeSet<>(clients.queues(topic))) {
                List<MessageExt> messages = new ArrayList<>();
                long min = reader.minOffset(queue);
                long max = reader.maxOffset(queue);
                for (long next = Math.max(min, 0); next < max;) {
                    PullResult result = reader.pull(queue, tag, next, (int) Math.min(32, max - next));
                    boolean found = result.getPullStatus() == PullStatus.FOUND;
                    boolean filtered = result.getPullStatus() == PullStatus.NO_MATCHED_MSG && !tag.equals("*");
                    Clients.require((found || filtered) && result.getNextBeginOffset() > next,
                            "pull of " + queue + " at " + next + " gave " + result);
                    if (found) {
                        messages.addAll(result.getMsgFoundList());
                    }
                    next = result.getNextBeginOffset();
                }
                // An empty queue has no files, of which the systems say different minimums.
                queues.put(topic + " " + queue.getQueueId() + " " + (max == 0 ? 0 : min) + ".." + max, messages);
            }
        }
        return queues;
    }

    private static void tags(Clients clients, String tag) throws Exception {
        TreeMap<String, List<MessageExt>> expected = all(clients);
        expected.values().forEach(messages -> messages.removeIf(message -> !tag.equals(message.getTags())));
        TreeMap<String, List<MessageExt>> found = all(clients, tag);
        Clients.require(places(found).equals(places(expected)), tag + " leads to " + places(found) + " and not to " + places(expected));
        Clients.require(found.values().stream().anyMatch(messages -> !messages.isEmpty()), "nothing has " + tag);
    }

    private static TreeMap<String, List<Long>> places(TreeMap<String, List<MessageExt>> queues) {
        TreeMap<String, List<Long>> places = new TreeMap<>();
        queues.forEach((queue, messages) -> {
            places.put(queue, new ArrayList<>());
            messages.forEach(message -> places.get(queue).add(message.getQueueOffset()));
        });
        return places;
    }

    private static void list(Clients clients, String file) throws Exception {
        try (PrintStream out = new PrintStream(file, "UTF-8")) {
            for (Map.Entry<String, List<MessageExt>> queue : all(clients).entrySet()) {
                out.println("queue " + queue.getKey());
                for (MessageExt message : queue.getValue()) {
                    out.println(line(message));
                }
            }
            Clients.require(!out.checkError(), "cannot write " + file);
        }
    }

    private static String line(MessageExt message) throws Exception {
        Map<String, String> properties = new TreeMap<>(message.getProperties());
        properties.keySet().removeAll(ADDED);
        StringBuilder body = new StringBuilder();
        for (byte b : MessageDigest.getInstance("SHA-256").digest(message.getBody())) {
            body.append(String.format("%02x", b));
        }
        return message.getTopic() + " " + message.getQueueId() + " " + message.getQueueOffset() + " at "
                + message.getCommitLogOffset() + " size " + message.getStoreSize() + " crc " + message.getBodyCRC() + " flags "
                + message.getFlag() + " " + message.getSysFlag() + " times " + message.getBornTimestamp() + " "
                + message.getStoreTimestamp() + " hosts " + message.getBornHost() + " " + message.getStoreHost() + " retries "
                + message.getReconsumeTimes() + " body " + body + " " + properties;
    }

    private static void query(Clients clients, int newest) throws Exception {
        List<MessageExt> messages = new ArrayList<>();
        all(clients).values().forEach(messages::addAll);
        messages.sort((a, b) -> Long.compare(a.getCommitLogOffset(), b.getCommitLogOffset()));
        Clients.require(!messages.isEmpty(), "nothing to query");
        List<MessageExt> asked = messages.subList(Math.max(0, messages.size() - newest), messages.size());
        for (MessageExt message : asked) {
            String key = message.getKeys().split(" ")[0];
            QueryResult found = clients.reader().queryMessage(message.getTopic(), key, 64, 0, Long.MAX_VALUE);
            // A Java broker that was killed indexes its last record twice.
            Set<Long> places = new TreeSet<>();
            found.getMessageList().forEach(each -> places.add(each.getCommitLogOffset()));
            Clients.require(places.equals(Collections.singleton(message.getCommitLogOffset())),
                    key + " leads to " + places + " and not to " + message.getCommitLogOffset());
        }
        System.out.println(asked.size() + " keys");
    }
}
