package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tributary/test/cluster/realkafka"
)

const (
	java      = "java"
	tributary = "tributary"
)

// scriptJVM is what Kafka's start scripts add for every program; connect-mirror-maker.sh chooses the heap below.
var scriptJVM = []string{
	"-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
	"-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true",
}

const (
	// firstPatience is how long a mirror may take until it delivers anything; patience, how long it may stand still.
	firstPatience = 3 * time.Minute
	patience      = 2 * time.Minute
	// stopPatience is above MirrorMaker's own limit of a minute.
	stopPatience = 90 * time.Second
)

// mirror is a running mirror maker of either tool.
type mirror struct {
	*realkafka.Process
	started time.Time
	remote  string // the target's topic
}

// startMirror starts a tool on one topic, under cluster aliases that nothing else uses, with both tools' defaults but
// for the replication factors, which one broker a cluster enforces.
func (b *bench) startMirror(s *scope, scenario, tool string, run int, topic string) *mirror {
	alias := fmt.Sprintf("%s%d%s", tool, run, scenario)
	file := flowProperties(flow{
		source: alias, target: alias + "copy", topic: topic, set: b.opts.Set,
		sourceBootstrap: b.source.Bootstrap(), targetBootstrap: b.target.Bootstrap(),
	})
	m := &mirror{remote: alias + "." + topic}
	if tool == java {
		m.started = time.Now()
		heap := []string{"-Xms256M", "-Xmx2G"}
		m.Process = realkafka.StartJavaMirrorMaker(s, file, realkafka.WithJVM(append(heap, scriptJVM...)...)).Process
		return m
	}
	path := filepath.Join(s.TempDir(), "mm2.properties")
	file += "rest.advertised.host.name = 127.0.0.1\n" // all load stays on this machine
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		s.Fatalf("write the mirror's properties: %v", err)
	}
	m.started = time.Now()
	m.Process = realkafka.StartProcess(s, tributary, []string{b.opts.Binary, path}, nil, "")
	return m
}

// flow is one mirror of one topic.
type flow struct {
	source, target                   string // aliases
	sourceBootstrap, targetBootstrap string
	topic                            string
	set                              map[string]string
}

func flowProperties(f flow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "clusters = %s, %s\n", f.source, f.target)
	fmt.Fprintf(&b, "%s.bootstrap.servers = %s\n", f.source, f.sourceBootstrap)
	fmt.Fprintf(&b, "%s.bootstrap.servers = %s\n", f.target, f.targetBootstrap)
	fmt.Fprintf(&b, "%s->%s.enabled = true\n", f.source, f.target)
	fmt.Fprintf(&b, "%s->%s.topics = %s\n", f.source, f.target, f.topic)
	for _, key := range slices.Sorted(maps.Keys(f.set)) {
		fmt.Fprintf(&b, "%s->%s.%s = %s\n", f.source, f.target, key, f.set[key])
	}
	for _, prefix := range []string{"", "checkpoints.topic.", "offset-syncs.topic.", "heartbeats.topic.", "config.storage.", "offset.storage.", "status.storage."} {
		fmt.Fprintf(&b, "%sreplication.factor = 1\n", prefix)
	}
	return b.String()
}

// usage ends the scope when the mirror cannot be looked at.
func (m *mirror) usage(s *scope) realkafka.Usage {
	usage, err := m.Usage()
	if err != nil {
		s.Fatalf("%v", err)
	}
	return usage
}

// stop ends the mirror in order and says how long that took.
func (m *mirror) stop(s *scope) time.Duration {
	begun := time.Now()
	if err := m.Terminate(stopPatience); err != nil {
		s.Fatalf("%v", err)
	}
	return time.Since(begun)
}
