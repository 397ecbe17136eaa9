import java.lang.reflect.Method;
import org.apache.rocketmq.client.ClientConfig;

/** Topics and groups in a namespace: by the method's name, since releases before 4.5 have none. */
final class Namespaces {
    static boolean areThere() {
        try {
            return setter() != null;
        } catch (NoSuchMethodException e) {
            return false;
        }
    }

    /** Puts a client that has not begun into a namespace, unless that is null. */
    static void enter(ClientConfig client, String namespace) throws Exception {
        if (namespace != null) {
            setter().invoke(client, namespace);
        }
    }

    private static Method setter() throws NoSuchMethodException {
        return ClientConfig.class.getMethod("setNamespace", String.class);
    }

    private Namespaces() {}
}
