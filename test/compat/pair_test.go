package compat

import (
	"strings"
	"testing"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// pair is two clusters of one broker each, a source and a target.
type pair struct {
	source, target *realkafka.Cluster
}

func startPair(t *testing.T, version string) *pair {
	t.Helper()
	cluster := func(name, cleanerPause string) *realkafka.Cluster {
		return realkafka.StartCluster(t, realkafka.Options{
			Name: name, Version: version, JVM: []string{quickJVM},
			Extra: map[string]string{
				"log.cleaner.backoff.ms": cleanerPause,
				// What a topic accepts is not carried over, and some records are of the future.
				"log.message.timestamp.after.max.ms": anyTime["message.timestamp.after.max.ms"],
			},
		})
	}
	// The source is compacted at once; the target never, so that what arrived there stays to be seen.
	return &pair{source: cluster("source", "200"), target: cluster("target", "86400000")}
}

// clients are clients of both clusters for one test.
func (p *pair) clients(t *testing.T) (source, target *kafkatest.Client) {
	t.Helper()
	return kafkatest.Dial(t, p.source.Bootstrap()), kafkatest.Dial(t, p.target.Bootstrap())
}

// fill puts the clusters' addresses into the text of a file: SOURCE and TARGET stand for them.
func (p *pair) fill(file string) string {
	return strings.NewReplacer("SOURCE", p.source.Bootstrap(), "TARGET", p.target.Bootstrap()).Replace(file)
}

// The tests below share one pair of clusters, for starting brokers takes most of the time. Each has topics and
// aliases of its own; the first mirrors all topics and so must find only its own.
func TestOnAPairOfClusters(t *testing.T) {
	realkafka.Require(t)
	p := startPair(t, realkafka.DefaultVersion)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *pair)
	}{
		{"two lines mirror a cluster as Java does", twoLinesMirrorAClusterAsJavaDoes},
		{"Java goes on where Tributary stopped and the reverse", javaAndTributaryTakeOverFromEachOther},
		{"SIGKILL in mid-stream loses nothing", killInMidStreamLosesNothing},
		{"brokers restart in mid-stream", brokersRestartInMidStream},
		{"a worker takes over from a killed one", workerTakesOverFromAKilledOne},
		{"Java and Tributary share a group", javaAndTributaryShareAGroup},
		{"Java and Tributary fence for each other", javaAndTributaryFenceForEachOther},
		{"file connectors go from Java to Tributary and back", fileConnectorsGoFromJavaToTributaryAndBack},
		{"REST answers are those of Java", restAnswersAreJavas},
		{"standalone answers are those of Java", standaloneAnswersAreJavas},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, p) })
	}
}

func TestMainJobOnKafka3(t *testing.T) {
	realkafka.Require(t)
	for lane, more := range map[string]string{"raw": "", "record": "source->target.raw.batches=false\n"} {
		t.Run(lane+" lane", func(t *testing.T) {
			p := startPair(t, "3.9.2")
			twoLinesMirrorACluster(t, p, more).stop()
		})
	}
}
