package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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

// filled is a way to mirror a filled topic.
type filled struct {
	name, topic string
	// flow are settings of the flow for both tools, java settings of the target cluster for Java alone and cluster
	// settings of the target cluster for both.
	flow, java, cluster map[string]string
	// transactional says that the target's topic ends in transaction markers.
	transactional bool
	// count and partitions are those of the topic.
	count, partitions int
}

// throughputScenarios mirror a filled topic from its start to its end.
func throughputScenarios() []scenario {
	base := map[string]goal{
		"start to first record, s": atMost(1), "SIGTERM to exit, s": atMost(1), "peak memory, MB": atMost(120),
	}
	with := func(throughput, cpu float64) map[string]goal {
		goals := maps.Clone(base)
		goals["throughput, records/s"], goals["CPU per payload, s/GB"] = timesJava(throughput), shareOfJava(cpu)
		goals["CPU since start, s/GB"] = shareOfJava(cpu)
		return goals
	}
	return []scenario{
		filled{name: "plain", topic: "plain"}.scenario(with(3.5, 1.0/11), ""),
		filled{name: "zstd", topic: "zstd", java: map[string]string{"producer.compression.type": "zstd"}}.
			scenario(with(6, 1.0/40), "; Java writes zstd as well (producer.compression.type)"),
		filled{name: "exactly-once", topic: "zstd", transactional: true, cluster: map[string]string{"exactly.once.source.support": "enabled"}}.
			scenario(with(8, 1.0/35), "; exactly.once.source.support=enabled, read with read_committed; Java writes uncompressed batches"),
		filled{name: "record-lane", topic: "zstd", flow: map[string]string{
			"transforms": "route", "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
			"transforms.route.regex": "(.*)", "transforms.route.replacement": "$1",
		}}.scenario(map[string]goal{"throughput, records/s": timesJava(2), "CPU per payload, s/GB": shareOfJava(0.45)},
			"; a RegexRouter is configured, and both write uncompressed batches"),
	}
}

func (f filled) scenario(goals map[string]goal, remark string) scenario {
	return scenario{
		name: f.name, tools: mirrors, byDefault: f.name == "plain" || f.name == "zstd", goals: goals,
		describe: func(o options) string {
			codec := "zstd"
			if f.topic == "plain" {
				codec = "uncompressed"
			}
			return fmt.Sprintf("%d records of %d bytes, %d partitions, %s batches of at most %d bytes before compression%s; rates are those after the first %.0f %% had arrived",
				o.Records, valueBytes, partitions, codec, f.batchBytes(o), remark, 100*startUp)
		},
		prepare: func(b *bench, s *scope) {
			b.fillSource(s, orders(f.topic, b.opts.Records, codecs[f.topic], f.batchBytes(b.opts)))
		},
		measure: func(b *bench, s *scope, tool string, run int) measurement {
			f.count, f.partitions = b.opts.Records, partitions
			return b.measureFilled(s, f, tool, run)
		},
	}
}

// zstdRatio is about what zstd leaves of these records.
const zstdRatio = 1.0 / 3

// batchBytes bounds a batch before compression. Java's producer fills its batch.size with what it expects to be left
// after it.
func (f filled) batchBytes(o options) int32 {
	if f.topic == "zstd" {
		return int32(float64(o.BatchBytes) / zstdRatio)
	}
	return o.BatchBytes
}

// measureFilled mirrors a filled topic from its start to its end.
func (b *bench) measureFilled(s *scope, f filled, tool string, run int) measurement {
	cluster := maps.Clone(f.cluster)
	if tool == java && f.java != nil {
		cluster = f.java
	}
	m := b.startMirror(s, plan{scenario: f.name, tool: tool, run: run, topics: f.topic, flow: f.flow, target: cluster})
	samples := b.watchArrivals(s, m, f)
	ending := m.stop(s)
	used := m.usage(s)
	codec := b.verify(s, m, f, run)
	figures, err := arrivalFigures(samples, int64(f.count), b.payload[f.topic])
	if err != nil {
		s.Fatalf("%v", err)
	}
	b.targetKafka.DeleteTopic(m.remote)
	return measurement{
		Scenario: f.name, Tool: tool, Run: run, TargetCodec: codec,
		Figures: append(figures,
			figure{"peak memory", "MB", float64(used.PeakRSS) / megabyte},
			figure{"SIGTERM to exit", "s", ending.Seconds()}),
	}
}

// verify looks at the copy after the mirror's end, so that records delivered twice are seen as well, and gives the
// codec of its batches. A topic with transaction markers is compared as a whole, any other by its ends and one partition.
func (b *bench) verify(s *scope, m *mirror, f filled, run int) (codec string) {
	want, got := ends(b.sourceKafka.Offsets(f.topic)), ends(b.targetKafka.Offsets(m.remote))
	from, to := place{b.source.Bootstrap(), f.topic}, place{b.target.Bootstrap(), m.remote}
	compare := []int32{int32(run % f.partitions)}
	if f.transactional {
		compare = slices.Sorted(maps.Keys(want))
	} else if !maps.Equal(want, got) {
		s.Fatalf("the partitions of the source end at %v, those of the mirror at %v", want, got)
	}
	for _, partition := range compare {
		var err error
		if codec, err = comparePartition(s.ctx, from, to, partition, want[partition]); err != nil {
			s.Fatalf("%v", err)
		}
	}
	return codec
}

// watchArrivals polls the target until all records are there. The last sample is the first one that has them all.
func (b *bench) watchArrivals(s *scope, m *mirror, f filled) []sample {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.target.Bootstrap()), kgo.ClientID("bench-watch"))
	if err != nil {
		s.Fatalf("make a Kafka client: %v", err)
	}
	defer client.Close()
	// A look costs the broker something for each partition.
	tick := time.NewTicker(pollArrivals * time.Duration(1+f.partitions/1000))
	defer tick.Stop()
	var samples []sample
	count := int64(f.count)
	progressed, allowed := m.started, firstPatience
	for arrived := int64(0); ; {
		ended := !m.Running()
		seen, err := endOffsets(s.ctx, client, f.partitions, m.remote)
		if err != nil {
			s.Fatalf("%v", err)
		}
		now := sample{at: time.Since(m.started), records: total(seen), cpu: m.usage(s).CPU()}
		samples = append(samples, now)
		if now.records > arrived {
			arrived, progressed, allowed = now.records, time.Now(), patience
		}
		complete := arrived >= count
		if complete && f.transactional {
			if complete, err = allCommitted(s.ctx, place{b.target.Bootstrap(), m.remote}, seen[m.remote], count); err != nil {
				s.Fatalf("%v", err)
			}
		}
		switch {
		case complete:
			return withoutMarkers(samples, count)
		case ended:
			s.Fatalf("the mirror ended by itself when %d of %d records had arrived", arrived, count)
		case time.Since(progressed) > allowed:
			s.Fatalf("nothing has arrived for %s; %d of %d records are there", allowed, arrived, count)
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			s.Fatalf("interrupted: %v", s.ctx.Err())
		}
	}
}

// withoutMarkers takes the transaction markers out of samples whose last one has all records; they are taken for spread
// evenly. Without any, the samples stay what they are.
func withoutMarkers(samples []sample, count int64) []sample {
	last := samples[len(samples)-1].records
	for i := range samples {
		samples[i].records = samples[i].records * count / last
	}
	return samples
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
