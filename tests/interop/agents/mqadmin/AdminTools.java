import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.Scanner;
import java.util.regex.Pattern;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs subcommands of mqadmin one after another in this JVM: AdminTools NAMESRV BROKER COMMANDS. For each line PHASE FILE on
 * standard input it runs the commands of that phase, writes what they print to the file, and says DONE; END ends it.
 *
 * <p>A command is a line of mqadmin's arguments, in which NAMESRV and BROKER stand for addresses; {@code poll REGEX :: LINE}
 * repeats it until what it prints has a match, {@code until REGEX :: LINE} interrupts it then, {@code show FILE} prints a file
 * that one has written, {@code query} and {@code unique} are questions of {@link AdminKeys}, and a line that begins with {@code @} is a step of {@link AdminScene}. A line that begins with a
 * release and a colon is for that release alone.
 */
public final class AdminTools {
    private static final long LIMIT_MS = 40_000;
    private static final Pattern LOST = Pattern.compile("Remoting(Connect|SendRequest|Timeout)Exception");

    private final PrintStream screen = System.out;
    private final PrintStream log = System.err;
    private final AdminScene scene;
    private final AdminKeys keys;
    private final String namesrv;
    private final String broker;
    private final String commands;

    private AdminTools(String namesrv, String broker, String commands) {
        this.namesrv = namesrv;
        this.broker = broker;
        this.commands = commands;
        this.keys = new AdminKeys(broker);
        this.scene = new AdminScene(namesrv, keys);
    }

    public static void main(String[] args) {
        int status = 0;
        try {
            new AdminTools(args[0], args[1], args[2]).phases(new Scanner(System.in, "UTF-8"));
        } catch (Throwable e) {
            e.printStackTrace();
            status = 1;
        }
        // Old clients leave threads behind.
        System.exit(status);
    }

    private void phases(Scanner lines) throws Exception {
        while (lines.hasNextLine()) {
            String[] words = lines.nextLine().split(" ");
            if (words[0].equals("END")) {
                return;
            }
            phase(words[0], words[1]);
            screen.println("DONE");
        }
    }

    private void phase(String phase, String file) throws Exception {
        String now = "";
        try (PrintStream out = new PrintStream(file, "UTF-8")) {
            for (String line : Files.readAllLines(Paths.get(commands), StandardCharsets.UTF_8)) {
                if (line.startsWith("phase ")) {
                    now = line.substring("phase ".length());
                } else if (now.equals(phase) && !line.isEmpty() && !line.startsWith("#")) {
                    line(line, out);
                }
            }
            if (out.checkError()) {
                throw new IOException("cannot write " + file);
            }
        }
    }

    private void line(String line, PrintStream out) throws Exception {
        String release = System.getProperty("client.version") + ": ";
        if (line.startsWith(release)) {
            line = line.substring(release.length());
        } else if (line.matches("[0-9.]+: .*")) {
            return;
        }
        if (line.startsWith("@")) {
            scene.step(line.substring(1));
            return;
        }
        String[] parts = line.split(" :: ", 2);
        String command = parts[parts.length - 1];
        if (command.matches("(query|unique) .*")) {
            out.println("=== " + command);
            keys.ask(command.split(" ")).forEach(out::println);
            out.println();
            return;
        }
        if (command.startsWith("show ")) {
            out.println("=== " + command);
            Path shown = Paths.get(command.substring("show ".length()));
            if (Files.exists(shown)) {
                out.println(new String(Files.readAllBytes(shown), StandardCharsets.UTF_8));
                Files.delete(shown);
            }
            out.println();
            return;
        }
        if (!Subcommands.has(command.split(" ")[0])) {
            return;
        }
        long began = System.currentTimeMillis();
        Running running = new Running(command);
        if (line.startsWith("poll ")) {
            Pattern wanted = Pattern.compile(parts[0].substring("poll ".length()));
            long end = System.currentTimeMillis() + LIMIT_MS;
            for (running.await(); !wanted.matcher(running.text()).find() && System.currentTimeMillis() < end; running.await()) {
                Thread.sleep(200);
                running = new Running(command);
            }
        } else if (line.startsWith("until ")) {
            running.interruptAfter(Pattern.compile(parts[0].substring("until ".length())));
        } else {
            running.await();
            // A client of 4.3.0 may close the connection that another of its threads has just made, and a broker of 4.9.7
            // may take longer to delete a topic than the tool waits.
            for (int i = 0; i < 50 && LOST.matcher(running.text()).find(); i++) {
                running = new Running(command);
                running.await();
            }
        }
        // For whoever wonders where the time goes.
        log.println(System.currentTimeMillis() - began + " ms " + command);
        out.println("=== " + command);
        out.print(running.text());
        out.println();
    }

    /** The table of subcommands, which is made anew for each: they keep their clients, also those that were shut down. */
    private abstract static class Subcommands extends MQAdminStartup {
        static boolean has(String name) {
            subCommandList.clear();
            initCommand();
            return subCommandList.stream().anyMatch(command -> command.commandName().equalsIgnoreCase(name));
        }

        static void run(String[] words) {
            subCommandList.clear();
            main0(words, null);
        }
    }

    /** One subcommand on a thread of its own, and what it prints. */
    private final class Running {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private final PrintStream capture = new PrintStream(bytes, true);
        private final Thread thread;

        Running(String command) {
            List<String> words = new ArrayList<>();
            for (String word : command.split(" ")) {
                // Nothing but these two, so that a body may hold either word.
                String address = word.equals("NAMESRV") ? namesrv : word.equals("BROKER") ? broker : word;
                words.add(address.replace('~', ' ').replace("OFFSETID", scene.offsetId()));
            }
            System.setOut(capture);
            System.setErr(capture);
            thread = new Thread(() -> Subcommands.run(words.toArray(new String[0])), command);
            thread.start();
        }

        void await() throws InterruptedException {
            thread.join(LIMIT_MS);
            end();
        }

        void interruptAfter(Pattern wanted) throws InterruptedException {
            long end = System.currentTimeMillis() + LIMIT_MS;
            while (thread.isAlive() && System.currentTimeMillis() < end && !wanted.matcher(text()).find()) {
                thread.join(50);
            }
            thread.interrupt();
            thread.join(LIMIT_MS);
            end();
        }

        private void end() {
            if (thread.isAlive()) {
                capture.println("it did not end within " + LIMIT_MS + " ms");
            }
            System.setOut(screen);
            System.setErr(log);
        }

        /** What it printed, without the frames of stack traces. */
        String text() {
            StringBuilder text = new StringBuilder();
            for (String line : new String(bytes.toByteArray(), StandardCharsets.UTF_8).split("\r?\n")) {
                if (!line.startsWith("\tat ") && !line.startsWith("\t... ")) {
                    text.append(line).append('\n');
                }
            }
            return text.toString();
        }
    }
}
