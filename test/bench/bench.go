package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// warmings go through both brokers before anything is measured: the first mirror is not to meet brokers whose code is
// compiled less than the second, which would cost most in a short run. Small batches are for what is done for each.
var warmings = []struct {
	codec      string
	count      int
	batchBytes int32 // before compression
}{{"plain", 200_000, 4 << 10}, {"zstd", 400_000, 4 << 10}, {"zstd", 600_000, 48 << 10}}

// drainBytes is how much a fetch of the warming brings at most.
const drainBytes = 128 << 10

// codecs are those of the filled topics' batches.
var codecs = map[string]kgo.CompressionCodec{"plain": kgo.NoCompression(), "zstd": kgo.ZstdCompression()}

// bench has what all measurements share.
type bench struct {
	opts           options
	source, target *realkafka.Cluster
	// kafka are clients of both clusters, for the scope of the whole benchmark.
	sourceKafka, targetKafka *kafkatest.Client
	payload                  map[string]int64 // topic → bytes of keys and values in a filled topic
	digest                   lineDigest       // of the last lines that came out of json
}

// startBench starts and warms the two clusters.
func startBench(s *scope, opts options) *bench {
	// What Kafka's own start script gives a broker, and its heap is touched before it starts, as the rest of the memory is
	// before each run.
	jvm := append([]string{"-Xms1g", "-Xmx1g", "-XX:+AlwaysPreTouch"}, scriptJVM...)
	b := &bench{opts: opts, payload: map[string]int64{}}
	b.source = realkafka.StartCluster(s, realkafka.Options{Name: "source", JVM: jvm, Listeners: far(s)})
	b.target = realkafka.StartCluster(s, realkafka.Options{Name: "target", JVM: jvm, Listeners: far(s)})
	b.sourceKafka, b.targetKafka = kafkatest.Dial(s, b.source.Bootstrap()), kafkatest.Dial(s, b.target.Bootstrap())
	s.Logf("two brokers of Kafka %s run; warming them", b.source.Version())
	for i, w := range warmings {
		topic, count := fmt.Sprintf("warm-%d", i), min(w.count, opts.Records)
		for cluster, kafka := range map[*realkafka.Cluster]*kafkatest.Client{b.source: b.sourceKafka, b.target: b.targetKafka} {
			kafka.CreateTopic(topic, partitions, nil)
			if _, err := fill(s.ctx, cluster.Bootstrap(), orders(topic, count, codecs[w.codec], w.batchBytes)); err != nil {
				s.Fatalf("%v", err)
			}
			if err := drain(s.ctx, cluster.Bootstrap(), topic, count); err != nil {
				s.Fatalf("%v", err)
			}
			kafka.DeleteTopic(topic)
		}
	}
	return b
}

// drain reads count records of a topic, with small fetches: their number is what has the broker compile the way they take.
func drain(ctx context.Context, bootstrap, topic string, count int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ClientID("bench-drain"),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxBytes(drainBytes), kgo.FetchMaxPartitionBytes(drainBytes/partitions))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	for read := 0; read < count; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read topic %s: %w", topic, err)
		}
		read += fetches.NumRecords()
	}
	return nil
}

// measureAll hands each measurement to report as soon as it is made. A scenario that fails does not end the others.
func (b *bench) measureAll(s *scope, report func(measurement)) {
	for _, wanted := range scenarios() {
		if slices.Contains(b.opts.Only, wanted.name) {
			s.attempt(wanted.name, func(s *scope) { b.measureScenario(s, wanted, report) })
		}
	}
}

func (b *bench) measureScenario(s *scope, wanted scenario, report func(measurement)) {
	if wanted.prepare != nil {
		wanted.prepare(b, s)
	}
	tools := slices.DeleteFunc(slices.Clone(wanted.tools), func(tool string) bool {
		return slices.Contains(mirrors, tool) && !slices.Contains(b.opts.Tools, tool) || wanted.leaveOut != nil && wanted.leaveOut(b.opts, tool)
	})
	for run := 1; run <= b.opts.Runs; run++ {
		for _, tool := range tools {
			s.within(fmt.Sprintf("%s/%d", tool, run), func(s *scope) {
				// Nobody pays for what others have yet to write to the disk.
				syscall.Sync()
				// Nor for memory that the machine has yet to get from its host: topics go to the page cache first.
				if err := touchMemory(b.opts.Touch); err != nil {
					s.Fatalf("touch memory: %v", err)
				}
				m := wanted.measure(b, s, tool, run)
				s.Logf("%s", m)
				report(m)
			})
		}
		slices.Reverse(tools) // so that none always comes first
	}
}

// orders fills a topic with documents of 1 kB, in turn to each partition.
func orders(topic string, count int, codec kgo.CompressionCodec, batchBytes int32) filling {
	return filling{topic: topic, count: count, partitions: partitions, valueBytes: valueBytes, run: 1, codec: codec, batchBytes: batchBytes}
}

// fillSource makes and fills a topic of the source, unless another scenario has.
func (b *bench) fillSource(s *scope, f filling) {
	if b.payload[f.topic] != 0 {
		return
	}
	b.sourceKafka.CreateTopic(f.topic, int32(f.partitions), nil)
	awaitWritable(s, place{b.source.Bootstrap(), f.topic}, f.partitions)
	bytes, err := fill(s.ctx, b.source.Bootstrap(), f)
	if err != nil {
		s.Fatalf("%v", err)
	}
	var got int64
	for _, end := range ends(b.sourceKafka.Offsets(f.topic)) {
		got += end
	}
	if got != int64(f.count) {
		s.Fatalf("topic %s holds %d records after it was filled with %d", f.topic, got, f.count)
	}
	b.payload[f.topic] = bytes
	s.Logf("topic %s holds %d records, %.2f GB of keys and values", f.topic, f.count, float64(bytes)/gigabyte)
}

func ends(ranges map[int32]kafkatest.OffsetRange) map[int32]int64 {
	ends := map[int32]int64{}
	for partition, limits := range ranges {
		ends[partition] = limits.End
	}
	return ends
}
