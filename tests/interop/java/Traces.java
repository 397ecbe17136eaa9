import java.util.List;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Clients that trace their messages, and the traces found by a message's id. */
final class Traces {
    static String foundById(Clients clients) throws Exception {
        Ledger ledger = new Ledger();
        String topic = clients.name("topic");
        String group = clients.name("group");
        DefaultMQProducer producer = clients.open(new DefaultMQProducer(clients.name("producers"), null, true, null), DefaultMQProducer::shutdown);
        producer.start();
        Message message = ledger.message(topic, "traced");
        SendResult sent = producer.send(message);
        ledger.answered(message, sent);
        clients.queues(topic);
        DefaultMQPushConsumer consumer = clients.open(
                new DefaultMQPushConsumer(group, null, new AllocateMessageQueueAveragely(), true, null), DefaultMQPushConsumer::shutdown);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        Clients.start(consumer, ledger);
        ledger.await(40);
        long now = System.currentTimeMillis();
        // What the tool queryMsgTraceById does. The client gathers its traces for a while.
        TreeSet<String> kinds = Clients.until("trace of each kind", 30, () -> {
            TreeSet<String> found = new TreeSet<>();
            List<MessageExt> traces;
            try {
                traces = producer.queryMessage("RMQ_SYS_TRACE_TOPIC", sent.getMsgId(), 64, now - 60_000, now + 60_000).getMessageList();
            } catch (Exception notYet) {
                return null;
            }
            for (MessageExt trace : traces) {
                for (String context : new String(trace.getBody()).split("\u0002")) {
                    if (context.contains(sent.getMsgId())) {
                        found.add(context.split("\u0001")[0]);
                    }
                }
            }
            return found.size() == 3 ? found : null;
        });
        Clients.require(kinds.toString().equals("[Pub, SubAfter, SubBefore]"), "the traces are " + kinds);
        return "one message, with traces " + kinds;
    }

    private Traces() {}
}
