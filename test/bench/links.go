package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/test/cluster/realkafka"
)

const (
	// roundTrip is how far away a cluster is behind its far listener: half of it each way.
	roundTrip = 80 * time.Millisecond
	// farListener is the way into a cluster through the proxy.
	farListener = "FAR"
	// streamTick is how often a bit of the stream is sent.
	streamTick = 20 * time.Millisecond
	lookAtLag  = 250 * time.Millisecond
	// catchUp is how long a mirror that fell behind may take after the stream's end.
	catchUp = time.Minute
)

// far is a listener of a cluster that leads through a proxy with a long line, as the broker itself advertises.
func far(s *scope) []realkafka.Listener {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	return []realkafka.Listener{{Name: farListener, Protocol: "PLAINTEXT", Advertise: func(_ int, address string) string {
		proxy := toxiproxy.NewProxy(server, address, "127.0.0.1:0", address)
		for _, stream := range []string{"upstream", "downstream"} {
			toxic := fmt.Sprintf(`{"type":"latency","stream":%q,"attributes":{"latency":%d}}`, stream, (roundTrip / 2).Milliseconds())
			if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				s.Fatalf("make a long line: %v", err)
			}
		}
		if err := proxy.Start(); err != nil {
			s.Fatalf("start a proxy: %v", err)
		}
		s.Cleanup(proxy.Stop)
		return proxy.Listen
	}}}
}

// linkScenarios follow a stream over a long line.
func linkScenarios() []scenario {
	describe := func(where string) func(options) string {
		return func(o options) string {
			return fmt.Sprintf("the %s is %s away (round trip, by toxiproxy); records of %d bytes flow at %d MB/s for %d s after %s; %d partitions, uncompressed batches of at most %d bytes; lag is what the source has and the target has not",
				where, roundTrip, valueBytes, o.LinkRate, o.Seconds, o.Settle, partitions, o.BatchBytes)
		}
	}
	return []scenario{
		{
			name: "far-source", tools: mirrors, describe: describe("source"),
			measure: func(b *bench, s *scope, tool string, run int) measurement {
				return b.measureLink(s, plan{scenario: "far-source", tool: tool, run: run, sourceBootstrap: b.source.BootstrapOf(farListener)})
			},
			goals: map[string]goal{"mirrored of sent, %": {limit: 99, atLeast: true}, "lag growth, MB/s": atMost(0.5)},
		},
		{
			name: "far-target", tools: mirrors, describe: describe("target"),
			measure: func(b *bench, s *scope, tool string, run int) measurement {
				return b.measureLink(s, plan{scenario: "far-target", tool: tool, run: run, targetBootstrap: b.target.BootstrapOf(farListener)})
			},
		},
	}
}

// lagSample is what the source and the target had at a time.
type lagSample struct {
	at               time.Duration
	source, mirrored int64
}

func (l lagSample) lag() int64 { return max(l.source-l.mirrored, 0) }

// measureLink lets a mirror follow a stream and looks at how far behind it is.
func (b *bench) measureLink(s *scope, p plan) measurement {
	p.topics = fmt.Sprintf("%s-%s-%d", p.scenario, p.tool, p.run)
	b.sourceKafka.CreateTopic(p.topics, partitions, nil)
	if err := fillEach(s.ctx, b.source.Bootstrap(), []string{p.topics}, partitions); err != nil {
		s.Fatalf("%v", err)
	}
	m := b.startMirror(s, p)
	b.targetKafka.AwaitRecords(m.remote, partitions, firstPatience) // the mirror is up

	long := b.opts.Settle + time.Duration(b.opts.Seconds)*time.Second
	streamed := make(chan error, 1)
	go func() { streamed <- b.stream(s, p.topics, long) }()
	var samples []lagSample
	watch := b.watchLag(s, p.topics, m)
	begun, before := time.Now(), time.Duration(0)
	tick := time.NewTicker(lookAtLag)
	defer tick.Stop()
	var ended, caughtUp time.Time
	for caughtUp.IsZero() {
		select {
		case err := <-streamed:
			if err != nil {
				s.Fatalf("%v", err)
			}
			ended = time.Now()
		case <-tick.C:
		}
		if !m.Running() {
			s.Fatalf("the mirror ended by itself")
		}
		now := watch()
		now.at = time.Since(begun)
		if before == 0 && now.at >= b.opts.Settle {
			before = m.usage(s).CPU()
		}
		if ended.IsZero() {
			samples = append(samples, now)
		} else if now.lag() == 0 || time.Since(ended) > catchUp {
			caughtUp = time.Now()
		}
	}
	used := m.usage(s)
	samples = slices.DeleteFunc(samples, func(l lagSample) bool { return l.at < b.opts.Settle })
	if len(samples) < 2 {
		s.Fatalf("the stream was looked at %d times while it flowed: measure for longer", len(samples))
	}
	b.sourceKafka.DeleteTopic(p.topics)
	m.stop(s)
	b.targetKafka.DeleteTopic(m.remote)
	figures := linkFigures(samples)
	sent := float64(samples[len(samples)-1].source-samples[0].source) * valueBytes
	return measurement{Scenario: p.scenario, Tool: p.tool, Run: p.run, Figures: append(figures,
		figure{"stream's end to caught up", "s", caughtUp.Sub(ended).Seconds()},
		figure{"CPU per payload", "s/GB", (used.CPU() - before).Seconds() / (sent / gigabyte)},
		figure{"peak memory", "MB", float64(used.PeakRSS) / megabyte})}
}

// linkFigures reads how a stream was followed from samples taken while it flowed.
func linkFigures(samples []lagSample) []figure {
	first, last := samples[0], samples[len(samples)-1]
	passed := (last.at - first.at).Seconds()
	var lags []int64
	for _, l := range samples {
		lags = append(lags, l.lag())
	}
	half := len(lags) / 2
	growth := mean(lags[half:]) - mean(lags[:half])
	slices.Sort(lags)
	return []figure{
		{"sent", "MB/s", float64(last.source-first.source) * valueBytes / megabyte / passed},
		{"mirrored of sent", "%", 100 * float64(last.mirrored-first.mirrored) / float64(last.source-first.source)},
		{"lag p50", "MB", float64(lags[half]) * valueBytes / megabyte},
		{"lag max", "MB", float64(lags[len(lags)-1]) * valueBytes / megabyte},
		// From the middle of the first half to that of the second it is half of the time.
		{"lag growth", "MB/s", max(growth, 0) * valueBytes / megabyte / (passed / 2)},
	}
}

func mean(values []int64) float64 {
	var sum int64
	for _, v := range values {
		sum += v
	}
	return float64(sum) / float64(max(len(values), 1))
}

// stream sends records at the rate of the options, straight to the source.
func (b *bench) stream(s *scope, topic string, long time.Duration) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.source.Bootstrap()), kgo.ClientID("bench-stream"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(b.opts.BatchBytes), kgo.ProducerLinger(streamTick), kgo.MaxBufferedRecords(200_000))
	if err != nil {
		return err
	}
	defer client.Close()
	// Made before, for making them takes longer than sending them.
	records := newPayload()
	ready := make([][]byte, 10_000)
	for i := range ready {
		_, ready[i] = records.next()
	}
	perSecond := int64(b.opts.LinkRate) * megabyte / valueBytes
	tick := time.NewTicker(streamTick)
	defer tick.Stop()
	begun := time.Now()
	for sent := int64(0); time.Since(begun) < long; {
		for due := int64(time.Since(begun).Seconds() * float64(perSecond)); sent < due; sent++ {
			client.Produce(s.ctx, &kgo.Record{Topic: topic, Partition: int32(sent % partitions), Value: ready[sent%int64(len(ready))]}, nil)
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
	return client.Flush(s.ctx)
}

// watchLag gives a function that looks at both ends; it belongs to the scope's goroutine.
func (b *bench) watchLag(s *scope, topic string, m *mirror) func() lagSample {
	var clients []*kgo.Client
	for _, bootstrap := range []string{b.source.Bootstrap(), b.target.Bootstrap()} {
		client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ClientID("bench-watch"))
		if err != nil {
			s.Fatalf("make a Kafka client: %v", err)
		}
		s.Cleanup(client.Close)
		clients = append(clients, client)
	}
	return func() lagSample {
		// The target first: what comes in between counts as lag.
		mirrored, err := endOffsets(s.ctx, clients[1], partitions, m.remote)
		if err != nil {
			s.Fatalf("%v", err)
		}
		source, err := endOffsets(s.ctx, clients[0], partitions, topic)
		if err != nil {
			s.Fatalf("%v", err)
		}
		return lagSample{source: total(source), mirrored: total(mirrored)}
	}
}
