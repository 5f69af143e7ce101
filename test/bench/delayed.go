package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/test/cluster/kafkatest"
)

const (
	// replicationDelay is how far behind the mirror is told to keep.
	replicationDelay = 2 * time.Second
	// rawLane is Tributary's mirror that passes whole batches on; the goal is the record lane's.
	rawLane = "raw"
)

func delayedScenario() scenario {
	return scenario{
		name: "delayed", tools: []string{tributary, rawLane}, measure: (*bench).measureDelayed,
		describe: func(o options) string {
			return fmt.Sprintf("replication.mode=delayed with %s, %d records a second for %d s, %d partitions: the time at which the target's broker appends a record, less its timestamp and the delay; tributary is the record lane, raw the raw lane, where a batch waits for its youngest record; a record that is early fails the measurement",
				replicationDelay, latencyRate, o.Seconds, partitions)
		},
		goals: map[string]goal{"late max, ms": atMost(100)},
	}
}

// measureDelayed lets the target's broker take the time: its copies get the time at which they are appended.
func (b *bench) measureDelayed(s *scope, tool string, run int) measurement {
	topic := fmt.Sprintf("delayed-%s-%d", tool, run)
	b.sourceKafka.CreateTopic(topic, partitions, nil)
	p := plan{scenario: "delayed", tool: tool, run: run, topics: topic, flow: map[string]string{
		"replication.mode": "delayed", "replication.delay.ms": strconv.FormatInt(replicationDelay.Milliseconds(), 10),
		"raw.batches": strconv.FormatBool(tool == rawLane),
	}}
	copied := aliasOf(p) + "." + topic
	b.targetKafka.CreateTopic(copied, partitions, map[string]string{"message.timestamp.type": "LogAppendTime"})
	m := b.startMirror(s, p)

	producer, err := kgo.NewClient(kgo.SeedBrokers(b.source.Bootstrap()), kgo.ClientID("bench-stamp"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		s.Fatalf("make a producer: %v", err)
	}
	defer producer.Close()
	stamps := &stamper{epoch: time.Now(), producer: producer, topic: topic, records: newPayload()}
	if err := stamps.send(s.ctx, 1, time.Second); err != nil { // shows that the way is open
		s.Fatalf("%v", err)
	}
	b.targetKafka.AwaitRecords(copied, 1, firstPatience)
	warm := int(b.opts.Settle.Seconds() * latencyRate)
	if err := errors.Join(stamps.send(s.ctx, warm+b.opts.Seconds*latencyRate, time.Second/latencyRate), producer.Flush(s.ctx)); err != nil {
		s.Fatalf("%v", err)
	}
	b.targetKafka.AwaitRecords(copied, stamps.sent, patience)
	used := m.usage(s)
	m.stop(s)

	// What was sent before the stream is left out, by its time.
	counted := stamps.epoch.Add(b.opts.Settle)
	late, err := lateness(b.sourceKafka.ReadTopic(topic, kafkatest.ReadUncommitted), b.targetKafka.ReadTopic(copied, kafkatest.ReadUncommitted), replicationDelay, counted)
	if err != nil {
		s.Fatalf("%v", err)
	}
	measured := measurement{Scenario: "delayed", Tool: tool, Run: run}
	for _, level := range []struct {
		name  string
		share float64
	}{{"late p50", 0.5}, {"late p99", 0.99}, {"late max", 1}} {
		measured.Figures = append(measured.Figures, figure{level.name, "ms", percentile(late, level.share).Seconds() * 1000})
	}
	measured.Figures = append(measured.Figures, figure{"peak memory", "MB", float64(used.PeakRSS) / megabyte})
	return measured
}

// lateness gives, sorted, how much later than delay behind its timestamp each record was appended to the copy, whose
// timestamps are the times of that; of records from a time on. The copy must be exact, and none of it early.
func lateness(source, copied map[int32][]kafkatest.Record, delay time.Duration, from time.Time) ([]time.Duration, error) {
	var late []time.Duration
	for partition, records := range source {
		arrived := copied[partition]
		if len(arrived) != len(records) {
			return nil, fmt.Errorf("partition %d has %d records and its copy %d", partition, len(records), len(arrived))
		}
		for i, sent := range records {
			got := arrived[i]
			if !bytes.Equal(sent.Key, got.Key) || !bytes.Equal(sent.Value, got.Value) {
				return nil, fmt.Errorf("record %d of partition %d is another one in the copy", i, partition)
			}
			behind := got.Timestamp.Sub(sent.Timestamp) - delay
			if behind < 0 {
				return nil, fmt.Errorf("record %d of partition %d was appended %s too early", i, partition, -behind)
			}
			if !sent.Timestamp.Before(from) {
				late = append(late, behind)
			}
		}
	}
	if len(late) == 0 {
		return nil, errors.New("no record counts")
	}
	slices.Sort(late)
	return late, nil
}
