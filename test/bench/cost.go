package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The points of the two curves.
var (
	costPartitions = []string{"8", "64", "512", "4096"}
	costSizes      = []string{"100 B", "1 kB", "10 kB", "1 MB"}
)

// bytesOf reads a point of the curve of sizes.
func bytesOf(size string) int {
	number, unit, _ := strings.Cut(size, " ")
	return numberOf(number) * map[string]int{"B": 1, "kB": 1000, "MB": 1000_000}[unit]
}

// numberOf reads a number among the constants of this file.
func numberOf(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// costScenarios mirror the same bytes in other shapes, by Tributary alone.
func costScenarios() []scenario {
	return []scenario{
		{
			name: "cost-partitions", tools: costPartitions, curve: "partitions",
			leaveOut: func(o options, point string) bool { return numberOf(point) > o.MaxPartitions },
			describe: func(o options) string {
				return fmt.Sprintf("%d records of %d bytes in all, uncompressed, as so many partitions; the target's topic is there before; Tributary alone", o.Records, valueBytes)
			},
			measure: func(b *bench, s *scope, point string, run int) measurement {
				return b.measureCost(s, "cost-partitions", point, run, filling{count: b.opts.Records, partitions: numberOf(point), valueBytes: valueBytes})
			},
		},
		{
			name: "cost-sizes", tools: costSizes, curve: "bytes of a record",
			describe: func(o options) string {
				return fmt.Sprintf("%.2f GB of values, uncompressed, %d partitions, as records of so many bytes; the target's topic is there before; Tributary alone",
					float64(o.Records)*valueBytes/gigabyte, partitions)
			},
			measure: func(b *bench, s *scope, point string, run int) measurement {
				size := bytesOf(point)
				return b.measureCost(s, "cost-sizes", point, run, filling{count: max(b.opts.Records*valueBytes/size, partitions), partitions: partitions, valueBytes: size})
			},
		},
	}
}

// measureCost fills a topic, mirrors it into one that is there already, so that making it is not measured, and deletes
// both.
func (b *bench) measureCost(s *scope, scenario, point string, run int, f filling) measurement {
	name := fmt.Sprintf("%s-%s", scenario, strings.ReplaceAll(point, " ", ""))
	f.topic = fmt.Sprintf("%s-%d", name, run)
	f.codec, f.batchBytes = kgo.NoCompression(), b.opts.BatchBytes
	// As many records as fill a batch go to a partition before the next has its turn, so that batches are alike.
	f.run = max(int(f.batchBytes)/f.valueBytes, 1)
	b.fillSource(s, f)
	way := filled{name: name, topic: f.topic, count: f.count, partitions: f.partitions}
	remote := aliasOf(plan{scenario: name, tool: tributary, run: run}) + "." + f.topic
	b.targetKafka.CreateTopic(remote, int32(f.partitions), nil)
	awaitWritable(s, place{b.target.Bootstrap(), remote}, f.partitions)
	m := b.measureFilled(s, way, tributary, run)
	b.sourceKafka.DeleteTopic(f.topic)
	delete(b.payload, f.topic)
	m.Scenario, m.Tool = scenario, point
	return m
}

// awaitWritable waits until the one broker of a cluster has made all partitions of a topic.
func awaitWritable(s *scope, in place, partitions int) {
	client, err := kgo.NewClient(kgo.SeedBrokers(in.bootstrap), kgo.ClientID("bench-watch"))
	if err != nil {
		s.Fatalf("make a Kafka client: %v", err)
	}
	defer client.Close()
	s.await(firstPatience, "all partitions of topic "+in.topic, func() (bool, error) {
		seen, err := endOffsets(s.ctx, client, partitions, in.topic)
		return len(seen[in.topic]) == partitions, err
	})
}
