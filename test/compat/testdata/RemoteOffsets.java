import java.time.Duration;
import java.util.Collection;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.mirror.MirrorClient;
import org.apache.kafka.connect.mirror.RemoteClusterUtils;

/** Prints what Kafka's client of a mirror's target finds there. Arguments: bootstrap servers, source alias, groups. */
public class RemoteOffsets {
    static final Duration LIMIT = Duration.ofSeconds(60);

    public static void main(String[] args) throws Exception {
        Map<String, Object> props = Map.of("bootstrap.servers", args[0]);
        String alias = args[1];
        try (MirrorClient client = new MirrorClient(props)) {
            line("hops " + client.replicationHops(alias));
            list("upstream", client.upstreamClusters());
            list("heartbeats", client.heartbeatTopics());
            list("checkpoints", client.checkpointTopics());
            list("remote", client.remoteTopics(alias));
        }
        for (int i = 2; i < args.length; i++) {
            print("one", args[i], RemoteClusterUtils.translateOffsets(props, alias, args[i], LIMIT));
        }
        RemoteClusterUtils.translateOffsets(props, alias, Pattern.compile(alias + "-.*"), LIMIT)
            .forEach((group, offsets) -> print("all", group, offsets));
    }

    static void print(String how, String group, Map<TopicPartition, OffsetAndMetadata> offsets) {
        offsets.forEach((tp, o) -> line(how + " " + group + " " + tp + " " + o.offset() + " " + o.metadata()));
    }

    static void list(String what, Collection<String> names) {
        line(what + " " + String.join(",", new TreeSet<>(names)));
    }

    static void line(String text) {
        System.out.println("RESULT " + text);
    }
}
