package org.apache.kafka.connect.mirror;

import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.errors.NotFoundException;
import org.apache.kafka.connect.runtime.distributed.RebalanceNeededException;
import org.apache.kafka.connect.runtime.rest.entities.ConnectorStateInfo;
import org.apache.kafka.connect.runtime.rest.entities.TaskInfo;
import org.apache.kafka.connect.util.Callback;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

import tributary.apache.WorkerProcess;

/**
 * Stands before the class of this name in MirrorMaker's jar: the dedicated mode is a Tributary process here. What
 * tests ask of the herders in this JVM is asked over the REST API of the flow, which every node has for clients on its
 * machine, also when listeners is for other nodes alone.
 */
public class MirrorMaker {
    public static final List<Class<?>> CONNECTOR_CLASSES =
            List.of(MirrorSourceConnector.class, MirrorHeartbeatConnector.class, MirrorCheckpointConnector.class);

    /** How long a flow may take until it answers. Java's herders answer at once, from what they have read by then. */
    private static final Duration ANSWER = Duration.ofMinutes(1);

    private final Map<String, String> properties;
    private final HttpClient http = HttpClient.newHttpClient();
    private final ObjectMapper json = new ObjectMapper();
    private WorkerProcess process;

    public MirrorMaker(Map<String, String> props) {
        this.properties = props;
    }

    public void start() {
        process = WorkerProcess.start("connect-mirror-maker", "mirror-maker", properties);
    }

    public void stop() {
        process.stop();
    }

    public void awaitStop() {
        // stop has awaited it
    }

    public ConnectorStateInfo connectorStatus(SourceAndTarget flow, String connector) {
        return read(get(flow, "/connectors/" + connector + "/status"), new TypeReference<>() { });
    }

    public void taskConfigs(SourceAndTarget flow, String connector, Callback<List<TaskInfo>> callback) {
        try {
            HttpResponse<String> response = get(flow, "/connectors/" + connector + "/tasks");
            if (response.statusCode() != 200 && response.body().contains("rebalance")) {
                throw new RebalanceNeededException(response.body());
            }
            callback.onCompletion(null, read(response, new TypeReference<>() { }));
        } catch (RuntimeException e) {
            callback.onCompletion(e, null);
        }
    }

    private <T> T read(HttpResponse<String> response, TypeReference<T> type) {
        if (response.statusCode() == 404) {
            throw new NotFoundException(response.body());
        }
        if (response.statusCode() != 200) {
            throw new ConnectException(response.statusCode() + " " + response.body());
        }
        try {
            return json.readValue(response.body(), type);
        } catch (IOException e) {
            throw new ConnectException("Could not read the answer " + response.body(), e);
        }
    }

    /** Asks until the flow has started and answers. */
    private HttpResponse<String> get(SourceAndTarget flow, String path) {
        URI uri = process.url().resolve("/" + encode(flow.source()) + "/" + encode(flow.target()) + path);
        long deadline = System.nanoTime() + ANSWER.toNanos();
        try {
            while (true) {
                HttpResponse<String> response = http.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
                if (response.statusCode() != 503 || System.nanoTime() > deadline) {
                    return response;
                }
                TimeUnit.MILLISECONDS.sleep(100);
            }
        } catch (IOException | InterruptedException e) {
            throw new ConnectException("Could not ask " + uri, e);
        }
    }

    private static String encode(String segment) {
        return URLEncoder.encode(segment, StandardCharsets.UTF_8).replace("+", "%20");
    }
}
