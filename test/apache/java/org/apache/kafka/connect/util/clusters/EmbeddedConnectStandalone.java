package org.apache.kafka.connect.util.clusters;

import org.apache.kafka.connect.runtime.ConnectMetrics;
import org.apache.kafka.test.TestUtils;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.Set;

import jakarta.ws.rs.core.Response;
import tributary.apache.WorkerProcess;

/**
 * Stands before the class of this name in Connect's test jar, whose worker is made in this JVM: the standalone worker
 * is a Tributary process here.
 */
public class EmbeddedConnectStandalone extends EmbeddedConnect {
    private final Map<String, String> workerProps;
    private final List<Map<String, String>> connectors;
    private volatile WorkerHandle worker;

    private EmbeddedConnectStandalone(int numBrokers, Properties brokerProps, boolean maskExitProcedures,
            Map<String, String> clientProps, Map<String, String> workerProps, List<Map<String, String>> connectors) {
        super(numBrokers, brokerProps, maskExitProcedures, clientProps);
        this.workerProps = workerProps;
        this.connectors = connectors;
    }

    @Override
    public void startConnect() {
        workerProps.put("bootstrap.servers", kafka().bootstrapServers());
        workerProps.put("listeners", "HTTP://localhost:0");
        workerProps.putIfAbsent("key.converter", "org.apache.kafka.connect.storage.StringConverter");
        workerProps.putIfAbsent("value.converter", "org.apache.kafka.connect.storage.StringConverter");
        workerProps.putIfAbsent("plugin.discovery", "hybrid_fail");
        String[] files = connectors.stream().map(EmbeddedConnectStandalone::file).toArray(String[]::new);
        worker = new WorkerHandle(WorkerProcess.start("connect-standalone", "standalone", workerProps, files));
    }

    private static String file(Map<String, String> connector) {
        try {
            Path file = TestUtils.tempFile("connector", ".properties").toPath();
            Properties text = new Properties();
            text.putAll(connector);
            try (OutputStream out = Files.newOutputStream(file)) {
                text.store(out, null);
            }
            return file.toString();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    protected Set<WorkerHandle> workers() {
        return worker == null ? Set.of() : Set.of(worker);
    }

    public Response healthCheck() {
        return healthCheck(Objects.requireNonNull(worker, "The worker has not been started"));
    }

    public ConnectMetrics connectMetrics() {
        throw new UnsupportedOperationException("The worker's metrics are not in this JVM");
    }

    @Override
    public String toString() {
        return "EmbeddedConnectStandalone(" + worker + ")";
    }

    public static class Builder extends EmbeddedConnectBuilder<EmbeddedConnectStandalone, Builder> {
        private final List<Map<String, String>> connectors = new ArrayList<>();
        private String offsetsFile;

        public Builder offsetsFile(String file) {
            offsetsFile = file;
            return this;
        }

        public Builder withCommandLineConnector(Map<String, String> connector) {
            connectors.add(connector);
            return this;
        }

        @Override
        protected EmbeddedConnectStandalone build(int numBrokers, Properties brokerProps, boolean maskExitProcedures,
                Map<String, String> clientProps, Map<String, String> workerProps) {
            try {
                String file = offsetsFile == null ? TestUtils.tempFile("offsets", ".dat").getPath() : offsetsFile;
                workerProps.putIfAbsent("offset.storage.file.filename", file);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            return new EmbeddedConnectStandalone(numBrokers, brokerProps, maskExitProcedures, clientProps, workerProps, connectors);
        }
    }
}
