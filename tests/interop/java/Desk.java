import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The Java side of agents/desk.py: commands come as lines on standard input, answers and arrivals go as lines to standard
 * output. Each line is a form (application/x-www-form-urlencoded); bodies are in base64.
 */
abstract class Desk {
    /** Does what the command says; what it returns goes into the answer. May answer later itself and return null. */
    abstract Map<String, String> work(Map<String, String> command) throws Exception;

    /** Serves until standard input ends, and then ends the process: clients leave threads behind that are no daemons. */
    final void serve(String abilities) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        print(form("can", abilities));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            Map<String, String> command = parse(line);
            try {
                Map<String, String> answer = work(command);
                if (answer != null) {
                    answer(command, answer);
                }
            } catch (Throwable e) {
                failed(command, e);
            }
        }
        System.exit(0);
    }

    static void answer(Map<String, String> command, Map<String, String> answer) {
        Map<String, String> line = form("call", command.get("call"));
        line.putAll(answer);
        print(line);
    }

    static void failed(Map<String, String> command, Throwable e) {
        answer(command, form("error", e.toString()));
        e.printStackTrace();
    }

    /** A table of the names and values given in turn; a value that is null is left out. */
    static Map<String, String> form(Object... namesAndValues) {
        Map<String, String> form = new LinkedHashMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            if (namesAndValues[i + 1] != null) {
                form.put(namesAndValues[i].toString(), namesAndValues[i + 1].toString());
            }
        }
        return form;
    }

    static String text(byte[] body) {
        return Base64.getEncoder().encodeToString(body);
    }

    static byte[] bytes(String text) {
        return Base64.getDecoder().decode(text);
    }

    /** The members whose names begin with the prefix, without it. */
    static Map<String, String> under(String prefix, Map<String, String> form) {
        Map<String, String> members = new LinkedHashMap<>();
        form.forEach((name, value) -> {
            if (name.startsWith(prefix)) {
                members.put(name.substring(prefix.length()), value);
            }
        });
        return members;
    }

    static void print(Map<String, String> form) {
        StringBuilder line = new StringBuilder();
        form.forEach((name, value) -> line.append(line.length() == 0 ? "" : "&").append(encoded(name)).append('=').append(encoded(value)));
        synchronized (System.out) {
            System.out.println(line);
            System.out.flush();
        }
    }

    private static String encoded(String text) {
        try {
            return URLEncoder.encode(text, "UTF-8");
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static Map<String, String> parse(String line) throws IOException {
        Map<String, String> form = new LinkedHashMap<>();
        for (String member : line.split("&")) {
            int at = member.indexOf('=');
            form.put(URLDecoder.decode(member.substring(0, at), "UTF-8"), URLDecoder.decode(member.substring(at + 1), "UTF-8"));
        }
        return form;
    }
}
