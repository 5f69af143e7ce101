package tributary.apache;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.integration.BlockingConnectorTest.Block;
import org.apache.kafka.connect.integration.ConnectorHandle;
import org.apache.kafka.connect.integration.RuntimeHandles;
import org.apache.kafka.connect.integration.TaskHandle;
import org.apache.kafka.connect.sink.SinkRecord;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;

/**
 * Where the test worker's connectors tell what happens to them: POST /events with a list of events, which are applied
 * to the handles that the tests look at, in order, before the answer. An event {@code block} answers when the test
 * lifts the block.
 */
final class Channel {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final HttpServer server;
    private final Map<String, Block> blocks = new ConcurrentHashMap<>();
    private final Map<String, CountDownLatch> orders = new ConcurrentHashMap<>();
    /** The handles of the instances that were started, as connectors of this JVM would keep them. */
    private final Map<String, ConnectorHandle> connectors = new ConcurrentHashMap<>();
    private final Map<String, TaskHandle> tasks = new ConcurrentHashMap<>();

    /** The one channel of this JVM; it ends with it. */
    static final Channel INSTANCE = new Channel();

    private Channel() {
        try {
            server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        server.createContext("/events", this::handle);
        // A thread for each request: tests await the end of threads that were blocked.
        server.setExecutor(request -> {
            Thread thread = new Thread(request, "tributary-channel");
            thread.setDaemon(true);
            thread.start();
        });
        server.start();
    }

    /** Where the worker's connectors post to. */
    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort() + "/events";
    }

    /** Expects the answer to an order: an event {@code obeyed} with its id. */
    CountDownLatch expect(String order) {
        CountDownLatch latch = new CountDownLatch(1);
        orders.put(order, latch);
        return latch;
    }

    private void handle(HttpExchange exchange) throws IOException {
        int status = 200;
        byte[] answer = new byte[0];
        try {
            for (JsonNode event : JSON.readTree(exchange.getRequestBody())) {
                apply(event);
            }
        } catch (Exception | AssertionError e) {
            status = 500;
            answer = String.valueOf(e.getMessage()).getBytes(StandardCharsets.UTF_8);
        }
        exchange.sendResponseHeaders(status, answer.length == 0 ? -1 : answer.length);
        exchange.getResponseBody().write(answer);
        exchange.close();
    }

    private void apply(JsonNode event) {
        String kind = event.path("event").asText();
        switch (kind) {
            case "obeyed" -> orders.remove(event.path("order").asText()).countDown();
            case "arm" -> blocks.put(event.path("block").asText(), new Block(event.path("point").textValue()));
            case "block" -> blocks.get(event.path("block").asText()).maybeBlockOn(event.path("point").asText());
            case "connector-start" -> startedConnector(event).recordConnectorStart();
            case "connector-stop" -> instance(connectors, event).recordConnectorStop();
            case "task-start" -> startedTask(event).recordTaskStart();
            case "task-stop" -> task(event).recordTaskStop();
            case "records" -> task(event).record(event.path("count").asInt());
            case "commits" -> task(event).commit(event.path("count").asInt());
            case "record" -> task(event).record(record(event.path("record")));
            case "assigned" -> task(event).partitionsAssigned(partitions(event));
            case "revoked" -> task(event).partitionsRevoked(partitions(event));
            case "committed" -> task(event).partitionsCommitted(partitions(event));
            default -> throw new IllegalArgumentException("No event is called " + kind);
        }
    }

    private ConnectorHandle startedConnector(JsonNode event) {
        ConnectorHandle handle = RuntimeHandles.get().connectorHandle(event.path("connector").asText());
        connectors.put(event.path("instance").asText(), handle);
        return handle;
    }

    private TaskHandle startedTask(JsonNode event) {
        TaskHandle handle = RuntimeHandles.get().connectorHandle(event.path("connector").asText()).taskHandle(event.path("task").asText());
        tasks.put(event.path("instance").asText(), handle);
        return handle;
    }

    private TaskHandle task(JsonNode event) {
        return instance(tasks, event);
    }

    private static <T> T instance(Map<String, T> started, JsonNode event) {
        T handle = started.get(event.path("instance").asText());
        if (handle == null) {
            throw new IllegalArgumentException("This was not started: " + event);
        }
        return handle;
    }

    private static List<TopicPartition> partitions(JsonNode event) {
        List<TopicPartition> out = new ArrayList<>();
        for (JsonNode p : event.path("partitions")) {
            out.add(new TopicPartition(p.path("topic").asText(), p.path("partition").asInt()));
        }
        return out;
    }

    private static SinkRecord record(JsonNode r) {
        return new SinkRecord(r.path("topic").asText(), r.path("partition").asInt(),
                Schema.OPTIONAL_STRING_SCHEMA, r.path("key").textValue(),
                Schema.OPTIONAL_STRING_SCHEMA, r.path("value").textValue(), r.path("offset").asLong());
    }
}
