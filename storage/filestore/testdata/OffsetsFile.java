import java.io.FileOutputStream;
import java.io.ObjectOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.runtime.standalone.StandaloneConfig;
import org.apache.kafka.connect.storage.FileOffsetBackingStore;

/**
 * Makes the offsets files of this folder, and shows what Java finds in a file, with Kafka
 * Connect's own store. Class path: the jars of connect-runtime and what it needs.
 *
 *   java OffsetsFile.java write FILE COUNT   COUNT offsets and every seventh removed
 *   java OffsetsFile.java odd FILE           what the format allows though Connect never writes it
 *   java OffsetsFile.java read FILE          one line per entry, sorted: key, tab, value
 */
public class OffsetsFile {
    public static void main(String[] args) throws Exception {
        if (args[0].equals("odd")) {
            odd(args[1]);
            return;
        }
        JsonConverter converter = new JsonConverter();
        converter.configure(Map.of("schemas.enable", "false"), true);
        FileOffsetBackingStore store = new FileOffsetBackingStore(converter) {
            @Override
            public synchronized void start() {
                super.start();
                if (args[0].equals("read"))
                    show(data);
            }
        };
        store.configure(new StandaloneConfig(Map.of("bootstrap.servers", "localhost:1", "offset.storage.file.filename", args[1],
                "key.converter", JsonConverter.class.getName(), "value.converter", JsonConverter.class.getName())));
        store.start();
        if (args[0].equals("write")) {
            Map<ByteBuffer, ByteBuffer> values = new LinkedHashMap<>();
            for (int i = 0; i < Integer.parseInt(args[2]); i++)
                values.put(bytes("[\"files\",{\"filename\":\"/var/log/é-" + i + "\"}]"), i % 7 == 6 ? null : bytes("{\"position\":" + 1000L * i + "}"));
            store.set(values, null).get();
        } else {
            for (Map<String, Object> partition : store.connectorPartitions("files"))
                System.err.println(partition);
        }
        store.stop();
    }

    /** A null key, an empty value, a key that is no source offset, and one array used twice. */
    static void odd(String file) throws Exception {
        byte[] shared = bytes("{\"position\":7}").array();
        Map<byte[], byte[]> raw = new HashMap<>();
        raw.put(null, shared);
        raw.put(bytes("[\"files\",{\"filename\":\"a\"}]").array(), shared);
        raw.put(bytes("not JSON").array(), new byte[0]);
        try (ObjectOutputStream out = new ObjectOutputStream(new FileOutputStream(file))) {
            out.writeObject(raw);
        }
    }

    static ByteBuffer bytes(String s) {
        return ByteBuffer.wrap(s.getBytes(StandardCharsets.UTF_8));
    }

    static void show(Map<ByteBuffer, ByteBuffer> data) {
        Set<String> lines = new TreeSet<>();
        data.forEach((k, v) -> lines.add(text(k) + "\t" + (v == null ? "null" : text(v))));
        lines.forEach(System.out::println);
    }

    static String text(ByteBuffer b) {
        return new String(b.array(), StandardCharsets.UTF_8);
    }
}
