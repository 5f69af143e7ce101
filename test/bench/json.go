package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// jsonShare of the records of the other scenarios are enough here, where each costs more.
const jsonShare = 4

// jsonScenario sends lines through both halves of a worker. The half that writes: FileStreamSource, transformations,
// JSON with schema. The half that reads: JSON with schema, transformations, FileStreamSink. No connector that both tools
// have reads JSON from one topic and writes it to another.
func jsonScenario() scenario {
	return scenario{
		name: "json", tools: mirrors, measure: (*bench).measureJSON,
		describe: func(o options) string {
			return fmt.Sprintf("%d lines of %d bytes, one task; to: FileStreamSource, HoistField, InsertField, Cast, ReplaceField, JSON with schema into a topic of %d partitions; from: that topic, JSON with schema, Cast, ReplaceField, InsertField, FileStreamSink; rates are those after the first %.0f %%; what comes out is the same for both tools",
				o.Records/jsonShare, valueBytes, partitions, 100*startUp)
		},
		goals: map[string]goal{
			"to JSON: throughput, records/s": timesJava(3), "to JSON: CPU per payload, s/GB": shareOfJava(1.0 / 3),
			"from JSON: throughput, records/s": timesJava(3), "from JSON: CPU per payload, s/GB": shareOfJava(1.0 / 3),
			"there and back: throughput, records/s": timesJava(3), "there and back: CPU per payload, s/GB": shareOfJava(1.0 / 3),
		},
	}
}

func (b *bench) measureJSON(s *scope, tool string, run int) measurement {
	count := b.opts.Records / jsonShare
	name := fmt.Sprintf("json-%s-%d", tool, run)
	dir := s.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := writeLines(in, count); err != nil {
		s.Fatalf("%v", err)
	}
	b.targetKafka.CreateTopic(name, partitions, nil)
	worker := b.startGroup(s, name, tool, 1)[0]
	withSchema := map[string]string{
		"tasks.max": "1", "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "true",
	}
	source := maps.Clone(withSchema)
	maps.Copy(source, map[string]string{
		"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "file": in, "topic": name,
		"transforms":            "hoist,number,cast,rename",
		"transforms.hoist.type": transformClass("HoistField"), "transforms.hoist.field": "order",
		"transforms.number.type": transformClass("InsertField"), "transforms.number.static.field": "number", "transforms.number.static.value": "4711",
		"transforms.cast.type": transformClass("Cast"), "transforms.cast.spec": "number:int64",
		"transforms.rename.type": transformClass("ReplaceField"), "transforms.rename.renames": "order:document",
	})
	sink := maps.Clone(withSchema)
	maps.Copy(sink, map[string]string{
		"connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "file": out, "topics": name,
		"transforms":           "cast,rename,origin",
		"transforms.cast.type": transformClass("Cast"), "transforms.cast.spec": "number:string",
		"transforms.rename.type": transformClass("ReplaceField"), "transforms.rename.renames": "document:text",
		"transforms.origin.type": transformClass("InsertField"), "transforms.origin.static.field": "origin", "transforms.origin.static.value": "bench",
	})

	to := b.half(s, worker, name+"-source", source, count, b.inTopic(s, name))
	if err := worker.client.Delete(s.ctx, name+"-source"); err != nil {
		s.Fatalf("%v", err)
	}
	written, finish := inFile(out)
	from := b.half(s, worker, name+"-sink", sink, count, written)
	finish()
	used := usageOf(s, worker.Process)
	if err := worker.Terminate(stopPatience); err != nil {
		s.Fatalf("%v", err)
	}
	b.compareLines(s, out, count)
	b.targetKafka.DeleteTopic(name)

	both := bothHalves(to, from)
	figures := append(prefixed("to JSON", to), prefixed("from JSON", from)...)
	figures = append(figures, prefixed("there and back", both)...)
	return measurement{Scenario: "json", Tool: tool, Run: run, Figures: append(figures, figure{"peak memory", "MB", float64(used.PeakRSS) / megabyte})}
}

func transformClass(name string) string {
	return "org.apache.kafka.connect.transforms." + name + "$Value"
}

// half creates a connector, waits until all records are through, and gives rates and costs.
func (b *bench) half(s *scope, worker groupWorker, name string, config map[string]string, count int, arrived func() (int64, error)) []figure {
	before := usageOf(s, worker.Process).CPU()
	begun := time.Now()
	if err := create(s.ctx, worker.client, name, config); err != nil {
		s.Fatalf("%v", err)
	}
	var samples []sample
	last, progressed := int64(0), time.Now()
	for last < int64(count) {
		now, err := arrived()
		if err != nil {
			s.Fatalf("%v", err)
		}
		samples = append(samples, sample{at: time.Since(begun), records: now, cpu: usageOf(s, worker.Process).CPU() - before})
		if now > last {
			last, progressed = now, time.Now()
		}
		switch {
		case !worker.Running():
			s.Fatalf("the worker ended by itself")
		case time.Since(progressed) > patience:
			status, err := worker.client.Status(s.ctx, name)
			s.Fatalf("nothing has come for %s; %d of %d records are there; status %+v, %v", patience, last, count, status, err)
		}
		s.pause(pollArrivals)
	}
	if last > int64(count) {
		s.Fatalf("%d records came of %d", last, count)
	}
	figures, err := arrivalFigures(samples, int64(count), int64(count)*valueBytes)
	if err != nil {
		s.Fatalf("%v", err)
	}
	return figures
}

// inTopic counts the records of the target's topic.
func (b *bench) inTopic(s *scope, topic string) func() (int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.target.Bootstrap()), kgo.ClientID("bench-watch"))
	if err != nil {
		s.Fatalf("make a Kafka client: %v", err)
	}
	s.Cleanup(client.Close)
	return func() (int64, error) {
		ends, err := endOffsets(s.ctx, client, partitions, topic)
		return total(ends), err
	}
}

// inFile counts the lines of a file that grows, and reads on where it was the last time. finish closes it.
func inFile(path string) (lines func() (int64, error), finish func()) {
	var (
		file   *os.File
		seen   int64
		buffer = make([]byte, 1<<20)
	)
	lines = func() (int64, error) {
		if file == nil {
			opened, err := os.Open(path)
			if errors.Is(err, os.ErrNotExist) {
				return 0, nil
			}
			if err != nil {
				return 0, err
			}
			file = opened
		}
		for {
			n, err := file.Read(buffer)
			seen += int64(bytes.Count(buffer[:n], []byte{'\n'}))
			if errors.Is(err, io.EOF) || n == 0 && err == nil {
				return seen, nil
			}
			if err != nil {
				return seen, err
			}
		}
	}
	return lines, func() {
		if file != nil {
			_ = file.Close() // it was only read
		}
	}
}

// writeLines writes documents, one a line.
func writeLines(path string, count int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(file, 1<<20)
	records := newPayload()
	for range count {
		_, value := records.next()
		_, _ = buffered.Write(append(value, '\n')) // Flush gives the first error
	}
	return errors.Join(buffered.Flush(), file.Close())
}

// compareLines ends the scope unless a file has the same lines, in any order, as the file of the run before.
func (b *bench) compareLines(s *scope, path string, count int) {
	file, err := os.Open(path)
	if err != nil {
		s.Fatalf("%v", err)
	}
	defer file.Close()
	table := crc64.MakeTable(crc64.ECMA)
	digest := lineDigest{count: count}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		digest.lines++
		digest.sum += crc64.Checksum(lines.Bytes(), table)
		digest.sample = max(digest.sample, lines.Text())
	}
	if err := lines.Err(); err != nil {
		s.Fatalf("%v", err)
	}
	if digest.lines != count {
		s.Fatalf("%d lines came out of %d", digest.lines, count)
	}
	if b.digest.count == count && b.digest != digest {
		s.Fatalf("this run's lines differ from those of the run before:\n%+v\n%+v", b.digest, digest)
	}
	b.digest = digest
}

// lineDigest tells sets of lines apart.
type lineDigest struct {
	count, lines int
	sum          uint64
	sample       string // the greatest line
}

func prefixed(prefix string, figures []figure) []figure {
	var named []figure
	for _, f := range figures {
		switch f.label() {
		case "throughput, records/s", "CPU per payload, s/GB", "start to first record, s":
			f.Name = prefix + ": " + f.Name
			named = append(named, f)
		}
	}
	return named
}

// bothHalves are the figures of a record that takes one way after the other.
func bothHalves(to, from []figure) []figure {
	value := func(figures []figure, label string) float64 {
		for _, f := range figures {
			if f.label() == label {
				return f.Value
			}
		}
		return 0
	}
	const rate, cost = "throughput, records/s", "CPU per payload, s/GB"
	return []figure{
		{"throughput", "records/s", 1 / (1/value(to, rate) + 1/value(from, rate))},
		{"CPU per payload", "s/GB", value(to, cost) + value(from, cost)},
	}
}
