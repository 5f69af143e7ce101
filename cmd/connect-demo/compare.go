package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"tributary/internal/kafka"
)

// compareLimit bounds reading both sides for the comparison.
const compareLimit = 60 * time.Second

// compare reads both sides and says whether every partition of the target holds exactly
// the source's records, in order.
func (d *demo) compare(ctx context.Context, from, to *side) error {
	ctx, cancel := context.WithTimeout(ctx, compareLimit)
	defer cancel()
	source, err := from.read(ctx, same)
	if err != nil {
		return fmt.Errorf("read the source: %w", err)
	}
	target, err := to.read(ctx, remote)
	if err != nil {
		return fmt.Errorf("read the target: %w", err)
	}
	total := 0
	for topic, partitions := range topics {
		for p := range partitions {
			want := source[kafka.TopicPartition{Topic: topic, Partition: p}]
			got := target[kafka.TopicPartition{Topic: remote(topic), Partition: p}]
			for i := range min(len(want), len(got)) {
				if !equal(want[i], got[i]) {
					return fmt.Errorf("NOT EQUAL: %s partition %d differs at record %d:\nsource %s\ntarget %s", topic, p, i, show(want[i]), show(got[i]))
				}
			}
			if len(want) != len(got) {
				return fmt.Errorf("NOT EQUAL: %s partition %d has %d records on the source and %d on the target", topic, p, len(want), len(got))
			}
			total += len(want)
		}
	}
	if total == 0 {
		return fmt.Errorf("NOT EQUAL: there are no records to compare")
	}
	d.say("EQUAL: all %d records are on the target: keys, values, headers, timestamps, partitions and order", total)
	return nil
}

// read returns all records of the demo's topics by partition.
func (s *side) read(ctx context.Context, rename func(string) string) (map[kafka.TopicPartition][]kafka.Record, error) {
	var partitions []kafka.TopicPartition
	for topic, n := range topics {
		for p := range n {
			partitions = append(partitions, kafka.TopicPartition{Topic: rename(topic), Partition: p})
		}
	}
	ends, failures, err := s.admin.ListOffsets(ctx, partitions, kafka.Latest, kafka.ReadUncommitted)
	if err != nil {
		return nil, err
	}
	for tp, err := range failures {
		return nil, fmt.Errorf("%s-%d: %w", tp.Topic, tp.Partition, err)
	}
	f, err := s.fetcher(rename)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[kafka.TopicPartition][]kafka.Record{}
	for reached := 0; reached < len(partitions); {
		fetched, err := f.Poll(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range fetched {
			out[b.TopicPartition] = append(out[b.TopicPartition], b.Records...)
		}
		reached = 0
		for _, tp := range partitions {
			if at, ok := f.Position(tp); ok && at >= ends[tp] {
				reached++
			}
		}
	}
	return out, nil
}

func equal(a, b kafka.Record) bool {
	return a.Timestamp == b.Timestamp && sameBytes(a.Key, b.Key) && sameBytes(a.Value, b.Value) &&
		slices.EqualFunc(a.Headers, b.Headers, func(x, y kafka.Header) bool { return x.Key == y.Key && sameBytes(x.Value, y.Value) })
}

// sameBytes tells null from empty.
func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func show(r kafka.Record) string {
	return fmt.Sprintf("key %q value %q timestamp %d headers %q", r.Key, r.Value, r.Timestamp, r.Headers)
}
