import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMachineRoomNearby;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueByConfig;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueByMachineRoom;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueConsistentHash;
import org.apache.rocketmq.common.message.MessageQueue;

/** Prints what the client's own strategies give to each consumer; the format stands in tests/testdata/allocation/README.md. */
public final class Allocations {
    private static final Map<String, List<MessageQueue>> QUEUES = new LinkedHashMap<>();
    private static final Map<String, List<String>> CONSUMERS = new LinkedHashMap<>();

    private Allocations() {
    }

    public static void main(String[] arguments) {
        for (int count : new int[] {1, 3, 4, 8, 17, 32}) {
            queues("q" + count, count, "broker-a");
        }
        queues("two", 4, "broker-a", "broker-b");
        queues("rooms", 3, "room1@broker-a", "room2@broker-b", "room3@broker-c", "broker-d");
        queues("odd", 2, "@none", "room1@", "room1@x@y", "room1@y", "room2@@", "room2@z@");
        queues("nowhere", 1, "room1@broker-a", "");
        QUEUES.put("none", new ArrayList<>());
        for (int count : new int[] {1, 2, 3, 4, 5, 7, 10, 20}) {
            List<String> consumers = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                consumers.add("10.0.0." + (100 + i) + "@" + (4000 + 7 * i));
            }
            CONSUMERS.put("c" + count, consumers);
        }
        CONSUMERS.put("roomed", Arrays.asList("room1-a@1", "room1-b@2", "room2-a@3", "room4-a@4"));
        CONSUMERS.put("twice", Arrays.asList("room1-a@1", "room1-a@1", "room2-a@3"));
        CONSUMERS.put("unicode", Arrays.asList("room1-\u00e9@1", "room2-\u65e5\u672c@2"));
        CONSUMERS.put("homeless", Arrays.asList("-a@1", "room1-a@1"));
        CONSUMERS.put("nobody", new ArrayList<>());
        QUEUES.forEach((name, queues) -> {
            StringBuilder line = new StringBuilder("queues " + name);
            queues.forEach(queue -> line.append(' ').append(queue.getTopic()).append(',').append(queue.getBrokerName())
                    .append(',').append(queue.getQueueId()));
            System.out.println(line);
        });
        CONSUMERS.forEach((name, consumers) -> System.out.println(("consumers " + name + " " + String.join(" ", consumers)).trim()));
        record("AVG", new AllocateMessageQueueAveragely());
        record("AVG_BY_CIRCLE", new AllocateMessageQueueAveragelyByCircle());
        AllocateMessageQueueByConfig config = new AllocateMessageQueueByConfig();
        config.setMessageQueueList(QUEUES.get("q3"));
        record("CONFIG", config);
        AllocateMessageQueueByMachineRoom rooms = new AllocateMessageQueueByMachineRoom();
        rooms.setConsumeridcs(new HashSet<>(Arrays.asList("room1", "room2", "")));
        record("MACHINE_ROOM", rooms);
        record("CONSISTENT_HASH", new AllocateMessageQueueConsistentHash());
        record("CONSISTENT_HASH/3", new AllocateMessageQueueConsistentHash(3));
        record("MACHINE_ROOM_NEARBY-AVG", nearby(new AllocateMessageQueueAveragely()));
        record("MACHINE_ROOM_NEARBY-AVG_BY_CIRCLE", nearby(new AllocateMessageQueueAveragelyByCircle()));
    }

    private static void queues(String name, int count, String... brokers) {
        List<MessageQueue> queues = new ArrayList<>();
        for (String broker : brokers) {
            for (int i = 0; i < count; i++) {
                queues.add(new MessageQueue("TopicOf" + brokers.length, broker, i));
            }
        }
        Collections.sort(queues);
        QUEUES.put(name, queues);
    }

    private static AllocateMessageQueueStrategy nearby(AllocateMessageQueueStrategy inner) {
        return new AllocateMachineRoomNearby(inner, new AllocateMachineRoomNearby.MachineRoomResolver() {
            @Override
            public String brokerDeployIn(MessageQueue queue) {
                return queue.getBrokerName().isEmpty() ? "" : queue.getBrokerName().split("@", 2)[0];
            }

            @Override
            public String consumerDeployIn(String client) {
                return client.split("-", 2)[0];
            }
        });
    }

    /** What each consumer takes, as places in the list of queues, and what one that is no member, and one without an id. */
    private static void record(String name, AllocateMessageQueueStrategy strategy) {
        QUEUES.forEach((queues, all) -> CONSUMERS.forEach((consumers, members) -> {
            List<String> asking = new ArrayList<>(new java.util.LinkedHashSet<>(members));
            asking.add("stranger-1@1");
            asking.add("");
            StringBuilder line = new StringBuilder(name + " " + queues + " " + consumers);
            for (String me : asking) {
                line.append(" |");
                try {
                    for (MessageQueue queue : strategy.allocate("g", me, all, members)) {
                        int at = all.indexOf(queue);
                        line.append(' ').append(at < 0 ? "other" : Integer.toString(at));
                    }
                } catch (IllegalArgumentException error) {
                    line.append(" refused");
                }
            }
            System.out.println(line);
        }));
    }
}
