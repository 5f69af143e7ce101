package tributary.apache;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A Tributary program that runs as a process of its own in the place of a Java worker.
 *
 * <p>The runner says by system properties where the programs are ({@code tributary.bin}), where their logs go
 * ({@code tributary.logs}), and which settings they have where a test does not choose ({@code tributary.default.KEY}). A process never outlives the tests: a hook ends those that a test has left behind.
 */
public final class WorkerProcess {
    /** How long a program may take to open its REST API. The test's own limit for a worker is longer. */
    private static final Duration START = Duration.ofMinutes(2);
    /** How long a program may take to end once asked; then it is killed, and the test fails. */
    private static final Duration STOP = Duration.ofMinutes(1);
    private static final String DEFAULT = "tributary.default.";
    /** Where clients are served; workers may advertise another address to each other. */
    private static final Pattern LISTENING = Pattern.compile("REST server listening listener=\\S+ address=(\\S+)");
    private static final AtomicInteger COUNT = new AtomicInteger();
    private static final Set<Process> RUNNING = ConcurrentHashMap.newKeySet();

    static {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> RUNNING.forEach(Process::destroyForcibly)));
    }

    private final String name;
    private final Process process;
    private final Path directory;
    private final Path log;
    private final URI url;

    private WorkerProcess(String name, Process process, Path directory, Path log) {
        this.name = name;
        this.process = process;
        this.directory = directory;
        this.log = log;
        this.url = awaitUrl();
    }

    /**
     * Starts a program and waits until its REST API listens.
     *
     * @param program    the binary's name, as connect-distributed
     * @param name       what the log file is called after, beside a number
     * @param properties the text of the program's properties file
     * @param arguments  what follows the properties file on the command line
     */
    public static WorkerProcess start(String program, String name, Map<String, String> properties, String... arguments) {
        try {
            Path directory = Files.createTempDirectory("tributary-apache");
            Path file = directory.resolve("worker.properties");
            Properties text = new Properties();
            System.getProperties().stringPropertyNames().stream().filter(key -> key.startsWith(DEFAULT))
                    .forEach(key -> text.put(key.substring(DEFAULT.length()), System.getProperty(key)));
            text.putAll(properties);
            try (OutputStream out = Files.newOutputStream(file)) {
                text.store(out, null);
            }
            String log = String.format("%03d-%s.log", COUNT.incrementAndGet(), name.replaceAll("[^A-Za-z0-9-]", "-"));
            Path logFile = Path.of(System.getProperty("tributary.logs")).resolve(log);
            List<String> command = new ArrayList<>(List.of(
                    Path.of(System.getProperty("tributary.bin")).resolve(program).toString(), file.toString()));
            command.addAll(List.of(arguments));
            ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(logFile.toFile());
            builder.environment().put("TRIBUTARY_APACHE_CHANNEL", Channel.INSTANCE.url());
            Process process = builder.start();
            RUNNING.add(process);
            return new WorkerProcess(name, process, directory, logFile);
        } catch (IOException e) {
            throw new IllegalStateException("Could not start " + program, e);
        }
    }

    /** The address of the program's REST API, with a slash at its end. */
    public URI url() {
        return url;
    }

    /** Completes when the program has ended; with an error unless its exit code was 0. */
    public CompletableFuture<Void> end() {
        return process.onExit().thenAccept(p -> {
            if (p.exitValue() != 0) {
                throw new IllegalStateException(name + " ended with exit code " + p.exitValue() + "; its log is " + log);
            }
        });
    }

    /** Asks the program to end as SIGTERM does, and waits until it has. To stop it again does nothing. */
    public void stop() {
        process.destroy();
        try {
            process.onExit().get(STOP.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            process.destroyForcibly();
            throw new IllegalStateException(name + " had not ended after " + STOP + "; its log is " + log, e);
        } catch (ExecutionException | InterruptedException e) {
            process.destroyForcibly();
            throw new IllegalStateException("Could not await the end of " + name, e);
        } finally {
            RUNNING.remove(process);
            clean();
        }
    }

    /** Gives the test worker an order on its standard input, and waits until it has been obeyed. */
    public void order(String order) {
        String id = Integer.toString(COUNT.incrementAndGet());
        CountDownLatch obeyed = Channel.INSTANCE.expect(id);
        try {
            OutputStream in = process.getOutputStream();
            in.write((id + " " + order + "\n").getBytes(StandardCharsets.UTF_8));
            in.flush();
            if (!obeyed.await(STOP.toMillis(), TimeUnit.MILLISECONDS)) {
                throw new IllegalStateException(name + " does not obey " + order);
            }
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(name + " takes no orders", e);
        }
    }

    private URI awaitUrl() {
        long deadline = System.nanoTime() + START.toNanos();
        while (process.isAlive() && System.nanoTime() < deadline) {
            try (Stream<String> lines = Files.lines(log)) {
                Matcher match = lines.map(LISTENING::matcher).filter(Matcher::find).findFirst().orElse(null);
                if (match != null) {
                    return URI.create("http://" + match.group(1) + "/");
                }
                TimeUnit.MILLISECONDS.sleep(20);
            } catch (IOException | InterruptedException e) {
                throw new IllegalStateException("Could not read " + log, e);
            }
        }
        process.destroyForcibly();
        throw new IllegalStateException(name + " opened no REST API; its log is " + log);
    }

    private void clean() {
        try (Stream<Path> files = Files.walk(directory)) {
            files.sorted(Comparator.reverseOrder()).forEach(f -> f.toFile().delete());
        } catch (IOException e) {
            // the runner's folder for temporary files goes at its end
        }
    }

    @Override
    public String toString() {
        return name + " at " + url;
    }
}
