import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.filter.FilterFactory;
import org.apache.rocketmq.filter.expression.EvaluationContext;
import org.apache.rocketmq.filter.expression.Expression;
import org.apache.rocketmq.filter.util.BloomFilter;

/** Fills in what Java's own filter makes of the table of tests/testdata/sql; see the README there. */
public final class SqlTable {
    public static void main(String[] args) throws Exception {
        Path table = Paths.get(args[0]);
        List<Map<String, String>> messages = new ArrayList<>();
        List<String> out = new ArrayList<>();
        for (String line : Files.readAllLines(table)) {
            if (line.startsWith("= ") || line.startsWith("! ")) continue;
            out.add(line);
            if (line.equals("m") || line.startsWith("m ")) messages.add(properties(line.substring(1)));
            if (line.equals("e") || line.startsWith("e ")) out.add(outcome(unescape(line.substring(Math.min(2, line.length()))), messages));
            if (line.startsWith("b ")) out.add(positions(line.split(" ")));
        }
        Files.write(table, String.join("\n", out).concat("\n").getBytes("US-ASCII"));
    }

    private static Map<String, String> properties(String text) {
        Map<String, String> properties = new LinkedHashMap<>();
        for (String pair : text.trim().split(" ")) {
            int sign = pair.indexOf('=');
            if (sign > 0) properties.put(unescape(pair.substring(0, sign)), unescape(pair.substring(sign + 1)));
        }
        return properties;
    }

    private static String outcome(String text, List<Map<String, String>> messages) {
        Expression expression;
        try {
            expression = FilterFactory.INSTANCE.get("SQL92").compile(text);
        } catch (Exception e) {
            return "! " + escape(e.getMessage());
        }
        StringBuilder outcomes = new StringBuilder("= ");
        for (Map<String, String> properties : messages) outcomes.append(letter(expression, properties));
        return outcomes.toString();
    }

    private static char letter(Expression expression, Map<String, String> properties) {
        try {
            Object value = expression.evaluate(new EvaluationContext() {
                @Override
                public Object get(String name) {
                    return properties.get(name);
                }

                @Override
                public Map<String, Object> keyValues() {
                    return new LinkedHashMap<>(properties);
                }
            });
            return value == null ? 'n' : value == Boolean.TRUE ? 't' : value == Boolean.FALSE ? 'f' : '?';
        } catch (Throwable e) {
            return 'x';
        }
    }

    private static String positions(String[] words) {
        BloomFilter filter = BloomFilter.createByFn(Integer.parseInt(words[1]), Integer.parseInt(words[2]));
        StringBuilder positions = new StringBuilder("= " + filter.getM());
        for (int position : filter.calcBitPositions(unescape(words[3]))) positions.append(' ').append(position);
        return positions.toString();
    }

    private static String unescape(String text) {
        StringBuilder plain = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c != '\\') {
                plain.append(c);
                continue;
            }
            c = text.charAt(++i);
            switch (c) {
                case 'n': plain.append('\n'); break;
                case 'r': plain.append('\r'); break;
                case 't': plain.append('\t'); break;
                case 'f': plain.append('\f'); break;
                case 's': plain.append(' '); break;
                case 'u':
                    plain.append((char) Integer.parseInt(text.substring(i + 1, i + 5), 16));
                    i += 4;
                    break;
                default: plain.append(c);
            }
        }
        return plain.toString();
    }

    private static String escape(String plain) {
        StringBuilder text = new StringBuilder();
        for (char c : plain.toCharArray()) {
            if (c == '\\') text.append("\\\\");
            else if (c == '\n') text.append("\\n");
            else if (c >= ' ' && c <= '~') text.append(c);
            else text.append(String.format("\\u%04x", (int) c));
        }
        // No line ends with a blank.
        int last = text.length() - 1;
        return last >= 0 && text.charAt(last) == ' ' ? text.substring(0, last) + "\\s" : text.toString();
    }

    private SqlTable() {}
}
