import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.PatternLayout;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.rocketmq.logappender.logback.RocketmqLogbackAppender;

/**
 * An application that logs to topics by RocketMQ's appender for logback, as agents/desk.py tells it: AppenderAgent NAMESRV NAME.
 * What is logged is sent oneway, as text, with the appender's tag.
 */
final class AppenderAgent extends Desk {
    private final LoggerContext context = new LoggerContext();
    private final Map<String, Logger> loggers = new HashMap<>();
    private final Map<String, String> groups = new HashMap<>();
    private final String namesrv;

    private AppenderAgent(String namesrv) {
        this.namesrv = namesrv;
    }

    public static void main(String[] args) throws Exception {
        new AppenderAgent(args[0]).serve("oneway tags creates-topics");
    }

    @Override
    Map<String, String> work(Map<String, String> command) {
        switch (command.get("do")) {
            case "producer":
                groups.put(command.get("name"), command.get("group"));
                return form();
            case "send":
                logger(groups.get(command.get("by")), command.get("topic"), command.get("tags"))
                        .info(new String(bytes(command.get("body")), StandardCharsets.UTF_8));
                return form();
            default:
                throw new IllegalArgumentException("unknown command " + command);
        }
    }

    /** An appender has one topic and one tag, so there is a logger for each pair. */
    private Logger logger(String group, String topic, String tag) {
        return loggers.computeIfAbsent(topic + "/" + tag, name -> {
            PatternLayout layout = new PatternLayout();
            layout.setContext(context);
            layout.setPattern("%msg");
            layout.start();
            RocketmqLogbackAppender appender = new RocketmqLogbackAppender();
            appender.setContext(context);
            appender.setNameServerAddress(namesrv);
            appender.setProducerGroup(group);
            appender.setTopic(topic);
            appender.setTag(tag);
            appender.setLayout(layout);
            appender.start();
            Logger logger = context.getLogger(name);
            logger.setAdditive(false);
            logger.addAppender(appender);
            return logger;
        });
    }
}
