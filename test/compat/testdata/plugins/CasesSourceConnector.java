import com.fasterxml.jackson.databind.JsonNode;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.source.SourceConnector;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.source.SourceTask;

/** Sends the records of a file, a JSON list in the notation of test/oracle, once. */
public class CasesSourceConnector extends SourceConnector {
    private Map<String, String> config;

    @Override public String version() { return "1"; }
    @Override public void start(Map<String, String> config) { this.config = config; }
    @Override public Class<? extends Task> taskClass() { return CasesSourceTask.class; }
    @Override public List<Map<String, String>> taskConfigs(int max) { return List.of(config); }
    @Override public void stop() { }

    @Override public ConfigDef config() {
        return new ConfigDef().define("file", ConfigDef.Type.STRING, ConfigDef.Importance.HIGH, "File with the records.");
    }

    public static class CasesSourceTask extends SourceTask {
        private String file;

        @Override public String version() { return "1"; }
        @Override public void start(Map<String, String> config) { file = config.get("file"); }
        @Override public void stop() { }

        @Override public List<SourceRecord> poll() throws InterruptedException {
            if (file == null) {
                Thread.sleep(100);
                return null;
            }
            List<SourceRecord> records = new ArrayList<>();
            try {
                for (JsonNode node : Oracle.JSON.readTree(new File(file))) records.add((SourceRecord) Oracle.record(node));
            } catch (java.io.IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
            file = null;
            return records;
        }
    }
}
