import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.sink.SinkConnector;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;

/** Appends each record that it gets to a file, in the notation of test/oracle, with where it was read. */
public class CasesSinkConnector extends SinkConnector {
    private Map<String, String> config;

    @Override public String version() { return "1"; }
    @Override public void start(Map<String, String> config) { this.config = config; }
    @Override public Class<? extends Task> taskClass() { return CasesSinkTask.class; }
    @Override public List<Map<String, String>> taskConfigs(int max) { return List.of(config); }
    @Override public void stop() { }

    @Override public ConfigDef config() {
        return new ConfigDef().define("file", ConfigDef.Type.STRING, ConfigDef.Importance.HIGH, "File to write to.");
    }

    public static class CasesSinkTask extends SinkTask {
        private Path file;

        @Override public String version() { return "1"; }
        @Override public void start(Map<String, String> config) { file = Path.of(config.get("file")); }
        @Override public void stop() { }

        @Override public void put(Collection<SinkRecord> records) {
            List<String> lines = new ArrayList<>();
            for (SinkRecord r : records) {
                ObjectNode line = Oracle.show(r);
                line.put("from", r.originalTopic() + "/" + r.originalKafkaPartition() + "/" + r.originalKafkaOffset() + " " + r.timestampType());
                lines.add(line.toString());
            }
            try {
                Files.write(file, lines, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
