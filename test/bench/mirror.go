package main

import (
	"cmp"
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

// plan is what to mirror with what.
type plan struct {
	scenario, tool string
	run            int
	topics         string // a name or a pattern
	// flow are settings of the flow, target of the target cluster; BENCH_SET comes on top.
	flow, target map[string]string
	// sourceBootstrap and targetBootstrap are empty for the ways that everything else takes.
	sourceBootstrap, targetBootstrap string
}

// mirror is a running mirror maker of either tool.
type mirror struct {
	*realkafka.Process
	started time.Time
	prefix  string // of the target's topics
	remote  string // the target's topic, of a mirror of a single one
}

// startMirror starts a tool on topics, under cluster aliases that nothing else uses, with both tools' defaults but
// for what is planned and the replication factors, which one broker a cluster enforces.
func (b *bench) startMirror(s *scope, p plan) *mirror {
	alias := aliasOf(p)
	set := maps.Clone(b.opts.Set)
	if set == nil {
		set = map[string]string{}
	}
	maps.Copy(set, p.flow)
	file := flowProperties(flow{
		source: alias, target: alias + "copy", topic: p.topics, set: set, cluster: p.target,
		sourceBootstrap: cmp.Or(p.sourceBootstrap, b.source.Bootstrap()), targetBootstrap: cmp.Or(p.targetBootstrap, b.target.Bootstrap()),
	})
	m := &mirror{prefix: alias + ".", remote: alias + "." + p.topics}
	if p.tool == java {
		m.started = time.Now()
		heap := []string{"-Xms256M", "-Xmx2G"}
		m.Process = realkafka.StartJavaMirrorMaker(s, file, realkafka.WithJVM(append(heap, scriptJVM...)...)).Process
		return m
	}
	path := filepath.Join(s.TempDir(), "mm2.properties")
	file += "rest.advertised.host.name = 127.0.0.1\nlisteners = http://127.0.0.1:0\n" // all load stays on this machine
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		s.Fatalf("write the mirror's properties: %v", err)
	}
	m.started = time.Now()
	m.Process = realkafka.StartProcess(s, tributary, []string{b.opts.Binary, path}, nil, "")
	return m
}

// aliasOf is the source's alias, which is the prefix of the target's topics.
func aliasOf(p plan) string { return fmt.Sprintf("%s%d%s", p.tool, p.run, p.scenario) }

// flow is one mirror of some topics.
type flow struct {
	source, target                   string // aliases
	sourceBootstrap, targetBootstrap string
	topic                            string
	set                              map[string]string // of the flow
	cluster                          map[string]string // of the target cluster
}

func flowProperties(f flow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "clusters = %s, %s\n", f.source, f.target)
	fmt.Fprintf(&b, "%s.bootstrap.servers = %s\n", f.source, f.sourceBootstrap)
	fmt.Fprintf(&b, "%s.bootstrap.servers = %s\n", f.target, f.targetBootstrap)
	for _, key := range slices.Sorted(maps.Keys(f.cluster)) {
		fmt.Fprintf(&b, "%s.%s = %s\n", f.target, key, f.cluster[key])
	}
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

// usage ends the scope when the mirror cannot be looked at, as usageOf does for any program.
func (m *mirror) usage(s *scope) realkafka.Usage { return usageOf(s, m.Process) }

func usageOf(s *scope, p *realkafka.Process) realkafka.Usage {
	usage, err := p.Usage()
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
