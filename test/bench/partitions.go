package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	perTopic = 4
	// manyTimes is how many times as many topics the larger of the two scenarios has.
	manyTimes = 5
	// topicsAtOnce are created or deleted with one request: a broker takes its time for each.
	topicsAtOnce = 100
)

func partitionsScenario() scenario {
	return scenario{
		name: "partitions", tools: append([]string{straight}, mirrors...),
		describe: func(o options) string {
			return fmt.Sprintf("%d topics of %d partitions with one record each, mirrored from nothing; then nothing to mirror for %d s; straight makes and fills the same topics on the target without a mirror", o.Topics, perTopic, o.Seconds)
		},
		measure: func(b *bench, s *scope, tool string, run int) measurement {
			return b.measurePartitions(s, "partitions", b.opts.Topics, tool, run)
		},
		goals: map[string]goal{"start to first record of each, s": atMost(15), "CPU, % of a core": atMost(2), "peak memory, MB": atMost(200)},
	}
}

func manyPartitionsScenario() scenario {
	return scenario{
		// Without straight: a broker that still keeps files of that one's deleted topics has too many of them open.
		name: "many-partitions", tools: []string{tributary},
		describe: func(o options) string {
			return fmt.Sprintf("%d topics of %d partitions with one record each, mirrored from nothing in the raw lane; then nothing to mirror for %d s; a refresh is a look at the topics of both clusters", manyTimes*o.Topics, perTopic, o.Seconds)
		},
		measure: func(b *bench, s *scope, tool string, run int) measurement {
			return b.measurePartitions(s, "many-partitions", manyTimes*b.opts.Topics, tool, run)
		},
		goals: map[string]goal{"refresh at rest, s": atMost(5), "peak memory, MB": atMost(500)},
	}
}

// measurePartitions mirrors many small topics from nothing, looks at the mirror at rest, and adds a topic.
func (b *bench) measurePartitions(s *scope, scenario string, count int, tool string, run int) measurement {
	prefix := fmt.Sprintf("%s-%s-%d-", scenario, tool, run)
	topics := make([]string, count)
	for i := range topics {
		topics[i] = fmt.Sprintf("%s%05d", prefix, i)
	}
	if tool == straight {
		return measurement{Scenario: scenario, Tool: tool, Run: run, Figures: b.straightFigures(s, topics)}
	}
	late := prefix + "late"
	makeTopics(s, b.sourceKafka.Admin(), topics)
	if err := fillEach(s.ctx, b.source.Bootstrap(), topics, perTopic); err != nil {
		s.Fatalf("%v", err)
	}
	m := b.startMirror(s, plan{scenario: scenario, tool: tool, run: run, topics: prefix + ".*"})
	remote := make([]string, count)
	for i, topic := range topics {
		remote[i] = m.prefix + topic
	}
	first, all := b.awaitFirst(s, m, remote)
	figures := []figure{
		{"start to first record", "s", first.Seconds()},
		{"start to first record of each", "s", all.Seconds()},
		{"CPU until then", "s", m.usage(s).CPU().Seconds()},
	}
	figures = append(figures, b.idleFigures(s, m.Process)...)
	if tool == tributary { // Java looks every ten minutes, and does not say how long it took
		figures = append(figures, figure{"refresh at rest", "s", lastRefresh(s, m) / 1000})
		makeTopics(s, b.sourceKafka.Admin(), []string{late})
		if err := fillEach(s.ctx, b.source.Bootstrap(), []string{late}, perTopic); err != nil {
			s.Fatalf("%v", err)
		}
		made := time.Since(m.started)
		_, seen := b.awaitFirst(s, m, []string{m.prefix + late})
		figures = append(figures, figure{"new topic to its first record", "s", (seen - made).Seconds()})
		topics, remote = append(topics, late), append(remote, m.prefix+late)
	}
	figures = append(figures, figure{"SIGTERM to exit", "s", m.stop(s).Seconds()})
	deleteTopics(s, b.sourceKafka.Admin(), topics)
	deleteTopics(s, b.targetKafka.Admin(), remote)
	return measurement{Scenario: scenario, Tool: tool, Run: run, Figures: figures}
}

var refreshed = regexp.MustCompile(`(?m)^kafka_connect_mirror_mirrorsourceconnector_last_refresh_ms\{[^}]*\} (\S+)$`)

// lastRefresh reads from the mirror's metrics how long its last look at the topics took, in milliseconds.
func lastRefresh(s *scope, m *mirror) float64 {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "http://"+m.WaitLog(listening, firstPatience)[1]+"/metrics", nil)
	if err != nil {
		s.Fatalf("%v", err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatalf("ask for metrics: %v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatalf("read metrics: %v", err)
	}
	match := refreshed.FindSubmatch(text)
	if match == nil {
		s.Fatalf("the metrics do not tell of a refresh")
	}
	value, err := strconv.ParseFloat(string(match[1]), 64)
	if err != nil {
		s.Fatalf("%v", err)
	}
	return value
}

// straightFigures make the topics on the target and write a record to each partition, as fast as the broker allows: no
// mirror can be faster.
func (b *bench) straightFigures(s *scope, topics []string) []figure {
	started := time.Now()
	makeTopics(s, b.targetKafka.Admin(), topics)
	if err := fillEach(s.ctx, b.target.Bootstrap(), topics, perTopic); err != nil {
		s.Fatalf("%v", err)
	}
	all := time.Since(started)
	deleteTopics(s, b.targetKafka.Admin(), topics)
	return []figure{{"start to first record of each", "s", all.Seconds()}}
}

func makeTopics(s *scope, admin *kadm.Client, topics []string) {
	for chunk := range slices.Chunk(topics, topicsAtOnce) {
		created, err := admin.CreateTopics(s.ctx, perTopic, 1, nil, chunk...)
		if err == nil {
			err = created.Error()
		}
		if err != nil {
			s.Fatalf("create topics: %v", err)
		}
	}
}

func deleteTopics(s *scope, admin *kadm.Client, topics []string) {
	for chunk := range slices.Chunk(topics, topicsAtOnce) {
		deleted, err := admin.DeleteTopics(s.ctx, chunk...)
		if err == nil {
			err = deleted.Error()
		}
		if err != nil {
			s.Fatalf("delete topics: %v", err)
		}
	}
}

// awaitFirst waits until every partition of the target's topics has a record, and says when, after the mirror's start,
// the first and the last of them had. A topic's partitions that are there are not asked for again.
func (b *bench) awaitFirst(s *scope, m *mirror, topics []string) (first, all time.Duration) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.target.Bootstrap()), kgo.ClientID("bench-watch"))
	if err != nil {
		s.Fatalf("make a Kafka client: %v", err)
	}
	defer client.Close()
	pending := slices.Clone(topics)
	tick := time.NewTicker(2 * pollArrivals)
	defer tick.Stop()
	best, progressed := 0, time.Now()
	for {
		seen, err := endOffsets(s.ctx, client, perTopic, pending...)
		if err != nil {
			s.Fatalf("%v", err)
		}
		there := 0
		pending = slices.DeleteFunc(pending, func(topic string) bool {
			filled := 0
			for _, end := range seen[topic] {
				if end > 0 {
					filled++
				}
			}
			if filled == perTopic {
				return true
			}
			there += filled
			return false
		})
		there += perTopic * (len(topics) - len(pending))
		now := time.Since(m.started)
		if there > 0 && first == 0 {
			first = now
		}
		if len(pending) == 0 {
			return first, now
		}
		if there != best {
			best, progressed = there, time.Now()
		}
		switch {
		case !m.Running():
			s.Fatalf("the mirror ended by itself when %d topics were incomplete", len(pending))
		case time.Since(progressed) > firstPatience:
			s.Fatalf("nothing has arrived for %s; %d of %d topics are incomplete, %s first", firstPatience, len(pending), len(topics), pending[0])
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			s.Fatalf("interrupted: %v", s.ctx.Err())
		}
	}
}
