import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.*;
import org.apache.kafka.connect.header.*;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.*;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

/** Runs the cases of a file through Kafka's own classes and prints what they answer; see ../doc.go for both formats. */
public class Oracle {
    static final ObjectMapper JSON = new ObjectMapper();
    static final JsonConverter WITH_SCHEMA = json(true);
    static final JsonConverter BARE = json(false);

    static JsonConverter json(boolean schemas) {
        JsonConverter c = new JsonConverter();
        c.configure(Map.of("schemas.enable", schemas, "converter.type", "value"));
        return c;
    }

    public static void main(String[] args) throws Exception {
        JsonNode file = JSON.readTree(new File(args[0]));
        ObjectNode out = JSON.createObjectNode();
        for (JsonNode c : file) {
            String kind = c.has("chain") ? "chain" : c.has("converter") ? "converter" : "definition";
            JsonNode answer;
            try {
                answer = kind.equals("chain") ? chain(c) : kind.equals("converter") ? converter(c) : definition(c);
            } catch (Refused e) {
                answer = JSON.createObjectNode().put("refused", e.getMessage());
            }
            if (out.has(c.get("name").asText())) throw new IllegalArgumentException("two cases are named " + c.get("name"));
            out.set(c.get("name").asText(), answer);
        }
        System.out.println(JSON.writerWithDefaultPrettyPrinter().writeValueAsString(out));
    }

    static class Refused extends RuntimeException {
        Refused(Throwable cause) { super(cause.getMessage()); }
    }

    static Map<String, Object> config(JsonNode node) {
        Map<String, Object> m = new LinkedHashMap<>();
        if (node != null) node.fields().forEachRemaining(e -> m.put(e.getKey(), e.getValue().asText()));
        return m;
    }

    static ConfigDef definitionOf(Object plugin) throws Exception {
        return (ConfigDef) plugin.getClass().getMethod("config").invoke(plugin);
    }

    static Object create(String className) throws Exception {
        return Class.forName(className).getDeclaredConstructor().newInstance();
    }

    record Step(Transformation<SourceRecord> source, Transformation<SinkRecord> sink, Predicate<SourceRecord> when, boolean negate) {}

    @SuppressWarnings("unchecked")
    static JsonNode chain(JsonNode c) throws Exception {
        List<Step> steps = new ArrayList<>();
        for (JsonNode s : c.get("chain")) {
            Object t = create(s.get("class").asText());
            Predicate<SourceRecord> when = null;
            try {
                definitionOf(t).parse(config(s.get("config")));
                ((Transformation<?>) t).configure(config(s.get("config")));
                if (s.has("predicate")) {
                    when = (Predicate<SourceRecord>) create(s.get("predicate").get("class").asText());
                    definitionOf(when).parse(config(s.get("predicate").get("config")));
                    when.configure(config(s.get("predicate").get("config")));
                }
            } catch (Exception e) {
                throw new Refused(e);
            }
            steps.add(new Step((Transformation<SourceRecord>) t, (Transformation<SinkRecord>) t, when, s.path("negate").asBoolean()));
        }
        ArrayNode out = JSON.createArrayNode();
        for (JsonNode r : c.get("records")) out.add(run(steps, r));
        return out;
    }

    /** A record in the notation of the cases. */
    static ConnectRecord<?> record(JsonNode node) {
        SchemaAndValue key = value(node.get("key")), value = value(node.get("value"));
        Integer partition = node.has("partition") ? node.get("partition").asInt() : null;
        Long timestamp = node.has("timestamp") ? node.get("timestamp").asLong() : null;
        String topic = node.path("topic").asText("topic");
        ConnectHeaders headers = new ConnectHeaders();
        for (JsonNode h : node.path("headers")) headers.add(h.get("key").asText(), value(h.get("value")));
        return node.has("offset")
            ? new SinkRecord(topic, partition, key.schema(), key.value(), value.schema(), value.value(), node.get("offset").asLong(), timestamp, TimestampType.CREATE_TIME, headers)
            : new SourceRecord(Map.of(), Map.of(), topic, partition, key.schema(), key.value(), value.schema(), value.value(), timestamp, headers);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static JsonNode run(List<Step> steps, JsonNode node) {
        ConnectRecord r = record(node);
        ObjectNode out = JSON.createObjectNode();
        try {
            for (Step s : steps) {
                if (s.when != null && s.negate == ((Predicate) s.when).test(r)) continue;
                r = ((Transformation) s.source).apply(r);
                if (r == null) return out.put("dropped", true);
            }
        } catch (Throwable e) {
            return out.put("error", e.getClass().getName()).put("message", e.getMessage());
        }
        return show(r);
    }

    /** A record in the notation of the answers. */
    static ObjectNode show(ConnectRecord<?> r) {
        ObjectNode out = JSON.createObjectNode();
        out.put("topic", r.topic());
        if (r.kafkaPartition() != null) out.put("partition", r.kafkaPartition());
        if (r.timestamp() != null) out.put("timestamp", r.timestamp());
        put(out, "key", r.keySchema(), r.key());
        put(out, "value", r.valueSchema(), r.value());
        for (Header h : r.headers()) {
            ObjectNode own = out.withArray("headers").addObject().put("key", h.key());
            put(own, "value", h.schema(), h.value());
        }
        return out;
    }

    /** The value in the notation of dump, and its bytes in JSON with its schema. */
    static void put(ObjectNode out, String name, Schema schema, Object value) {
        out.put(name, dump(value));
        try {
            byte[] bytes = WITH_SCHEMA.fromConnectData("t", schema, value);
            out.put(name + "Json", bytes == null ? null : new String(bytes, StandardCharsets.UTF_8));
        } catch (Exception e) {
            out.put(name + "JsonError", e.getMessage());
        }
    }

    static JsonNode converter(JsonNode c) throws Exception {
        Object converter = create(c.get("converter").asText());
        boolean header = !(converter instanceof Converter);
        try {
            if (header) ((HeaderConverter) converter).configure(config(c.get("config")));
            else ((Converter) converter).configure(config(c.get("config")), false);
        } catch (Exception e) {
            throw new Refused(e);
        }
        ObjectNode out = JSON.createObjectNode();
        for (JsonNode v : c.path("write")) {
            ObjectNode own = out.withArray("write").addObject();
            try {
                SchemaAndValue sv = value(v);
                byte[] b = header ? ((HeaderConverter) converter).fromConnectHeader("t", "h", sv.schema(), sv.value())
                    : ((Converter) converter).fromConnectData("t", sv.schema(), sv.value());
                own.put("bytes", b == null ? null : new String(b, StandardCharsets.ISO_8859_1));
            } catch (Throwable e) {
                own.put("error", e.getClass().getName()).put("message", e.getMessage());
            }
        }
        for (JsonNode v : c.path("read")) {
            ObjectNode own = out.withArray("read").addObject();
            byte[] b = v.isNull() ? null : v.isObject() ? v.get("bytes").asText().getBytes(StandardCharsets.ISO_8859_1) : v.asText().getBytes(StandardCharsets.UTF_8);
            try {
                SchemaAndValue sv = header ? ((HeaderConverter) converter).toConnectHeader("t", "h", b) : ((Converter) converter).toConnectData("t", b);
                if (sv == null) sv = SchemaAndValue.NULL;
                put(own, "value", sv.schema(), sv.value());
            } catch (Throwable e) {
                own.put("error", e.getClass().getName()).put("message", e.getMessage());
            }
        }
        return out;
    }

    static JsonNode definition(JsonNode c) throws Exception {
        ArrayNode out = JSON.createArrayNode();
        for (ConfigDef.ConfigKey k : definitionOf(create(c.get("definition").asText())).configKeys().values()) {
            ObjectNode own = out.addObject().put("name", k.name).put("type", k.type().name()).put("required", !k.hasDefault());
            own.put("default", k.hasDefault() && k.defaultValue != null ? ConfigDef.convertToString(k.defaultValue, k.type()) : null);
            own.put("importance", k.importance.name()).put("group", k.group).put("order", k.group == null ? -1 : k.orderInGroup);
            own.put("width", k.width.name()).put("display", k.displayName);
        }
        return out;
    }

    /** A value in the notation of the cases. */
    static SchemaAndValue value(JsonNode v) {
        if (v == null || v.isNull()) return SchemaAndValue.NULL;
        if (v.has("json")) return BARE.toConnectData("t", v.get("json").asText().getBytes(StandardCharsets.UTF_8));
        if (v.has("plain")) return new SchemaAndValue(null, plain(v.get("plain")));
        return WITH_SCHEMA.toConnectData("t", v.toString().getBytes(StandardCharsets.UTF_8));
    }

    static Object plain(JsonNode v) {
        if (v.isNull()) return null;
        if (v.isBoolean()) return v.asBoolean();
        if (v.isTextual()) return v.asText();
        if (v.isArray()) {
            List<Object> list = new ArrayList<>();
            v.forEach(e -> list.add(plain(e)));
            return list;
        }
        String tag = v.fieldNames().next();
        JsonNode n = v.get(tag);
        switch (tag) {
            case "int8": return (byte) n.asInt();
            case "int16": return (short) n.asInt();
            case "int32": return n.asInt();
            case "int64": return n.asLong();
            case "float32": return Float.valueOf(n.asText());
            case "float64": return Double.valueOf(n.asText());
            case "bytes": return n.asText().getBytes(StandardCharsets.ISO_8859_1);
            case "date": return new java.util.Date(n.asLong());
            case "decimal": return new BigDecimal(n.asText());
            case "map":
                Map<Object, Object> m = new HashMap<>();
                n.forEach(e -> m.put(plain(e.get(0)), plain(e.get(1))));
                return m;
            default: throw new IllegalArgumentException("tag " + tag);
        }
    }

    static String dump(Object v) {
        if (v == null) return "null";
        if (v instanceof String) return "'" + v + "'";
        if (v instanceof Byte) return "int8:" + v;
        if (v instanceof Short) return "int16:" + v;
        if (v instanceof Integer) return "int32:" + v;
        if (v instanceof Long) return "int64:" + v;
        if (v instanceof Float) return "float32:" + v;
        if (v instanceof Double) return "float64:" + v;
        if (v instanceof Boolean) return v.toString();
        if (v instanceof byte[]) return "bytes:" + Base64.getEncoder().encodeToString((byte[]) v);
        if (v instanceof java.nio.ByteBuffer) return dump(((java.nio.ByteBuffer) v).array());
        if (v instanceof java.util.Date) return "date:" + ((java.util.Date) v).getTime();
        if (v instanceof BigDecimal) return "decimal:" + v;
        StringJoiner items;
        if (v instanceof List) {
            items = new StringJoiner(", ", "[", "]");
            ((List<?>) v).forEach(e -> items.add(dump(e)));
        } else if (v instanceof Map) {
            items = new StringJoiner(", ", "{", "}");
            ((Map<?, ?>) v).forEach((k, e) -> items.add(dump(k) + "=" + dump(e)));
        } else {
            Struct s = (Struct) v;
            items = new StringJoiner(", ", "Struct{", "}");
            s.schema().fields().forEach(f -> items.add(f.name() + "=" + dump(s.getWithoutDefault(f.name()))));
        }
        return items.toString();
    }
}
