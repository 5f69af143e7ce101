package main

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	gigabyte = 1e9
	megabyte = 1e6
	// pollArrivals is how often the target is asked how much has arrived.
	pollArrivals = 50 * time.Millisecond
	// startUp is the share of the records that counts as start-up; the steady state is what comes after it.
	startUp = 0.05
)

// sample is what had arrived, and what the mirror had used, at a time after its start.
type sample struct {
	at      time.Duration
	records int64
	cpu     time.Duration
}

// measureThroughput mirrors a filled topic from its start to its end.
func (b *bench) measureThroughput(s *scope, scenario, tool string, run int) measurement {
	m := b.startMirror(s, scenario, tool, run, scenario)
	samples := b.watchArrivals(s, m)
	ending := m.stop(s)
	used := m.usage(s)

	// Looked at after the end, so that records delivered twice are seen as well.
	want, got := ends(b.sourceKafka.Offsets(scenario)), ends(b.targetKafka.Offsets(m.remote))
	if !maps.Equal(want, got) {
		s.Fatalf("the partitions of the source end at %v, those of the mirror at %v", want, got)
	}
	partition := int32(run % partitions)
	codec, err := comparePartition(s.ctx, place{b.source.Bootstrap(), scenario}, place{b.target.Bootstrap(), m.remote}, partition, want[partition])
	if err != nil {
		s.Fatalf("%v", err)
	}
	figures, err := arrivalFigures(samples, int64(b.opts.Records), b.payload[scenario])
	if err != nil {
		s.Fatalf("%v", err)
	}
	b.targetKafka.DeleteTopic(m.remote)
	return measurement{
		Scenario: scenario, Tool: tool, Run: run, TargetCodec: codec,
		Figures: append(figures,
			figure{"peak memory", "MB", float64(used.PeakRSS) / megabyte},
			figure{"SIGTERM to exit", "s", ending.Seconds()}),
	}
}

// watchArrivals polls the target until all records are there. The last sample is the first one that has them all.
func (b *bench) watchArrivals(s *scope, m *mirror) []sample {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.target.Bootstrap()), kgo.ClientID("bench-watch"))
	if err != nil {
		s.Fatalf("make a Kafka client: %v", err)
	}
	defer client.Close()
	tick := time.NewTicker(pollArrivals)
	defer tick.Stop()
	var samples []sample
	progressed, allowed := m.started, firstPatience
	for arrived := int64(0); ; {
		ended := !m.Running()
		seen, err := endOffsets(s.ctx, client, m.remote)
		if err != nil {
			s.Fatalf("%v", err)
		}
		now := sample{at: time.Since(m.started), records: total(seen), cpu: m.usage(s).CPU()}
		samples = append(samples, now)
		if now.records > arrived {
			arrived, progressed, allowed = now.records, time.Now(), patience
		}
		switch {
		case arrived >= int64(b.opts.Records):
			return samples
		case ended:
			s.Fatalf("the mirror ended by itself when %d of %d records had arrived", arrived, b.opts.Records)
		case time.Since(progressed) > allowed:
			s.Fatalf("nothing has arrived for %s; %d of %d records are there", allowed, arrived, b.opts.Records)
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			s.Fatalf("interrupted: %v", s.ctx.Err())
		}
	}
}

// arrivalFigures reads rates out of samples that end with the arrival of the last of count records, which hold payload
// bytes altogether.
func arrivalFigures(samples []sample, count, payload int64) ([]figure, error) {
	if len(samples) == 0 || samples[len(samples)-1].records < count {
		return nil, errors.New("the samples end before the last record arrived")
	}
	last := samples[len(samples)-1]
	first := at(samples, 1)
	from := at(samples, int64(startUp*float64(count)))
	steady, records := (last.at - from.at).Seconds(), float64(count-from.records)
	if steady <= 0 || records <= 0 {
		return nil, fmt.Errorf("all %d records arrived between two looks at the target, %s apart: measure more", count, pollArrivals)
	}
	perRecord := float64(payload) / float64(count)
	steadyCPU := (last.cpu - from.cpu).Seconds()
	return []figure{
		{"throughput", "records/s", records / steady},
		{"throughput", "MB/s", records * perRecord / megabyte / steady},
		{"CPU per payload", "s/GB", steadyCPU / (records * perRecord / gigabyte)},
		{"cores busy", "cores", steadyCPU / steady},
		{"measured for", "s", steady},
		{"start to first record", "s", first.at.Seconds()},
		{"start to last record", "s", last.at.Seconds()},
		{"CPU since start", "s/GB", last.cpu.Seconds() / (float64(payload) / gigabyte)},
	}, nil
}

// at gives the first sample with at least so many records; the last one has them all.
func at(samples []sample, records int64) sample {
	for _, sample := range samples {
		if sample.records >= records {
			return sample
		}
	}
	return samples[len(samples)-1]
}
