package kafka

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"tributary/internal/localkafka"
)

// patience bounds what should take far less.
const patience = 20 * time.Second

func startCluster(t *testing.T, o localkafka.Options) *localkafka.Cluster {
	t.Helper()
	c, err := localkafka.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// config parses properties for a cluster; pairs are further keys and values.
func testConfig(t *testing.T, role Role, bootstrap string, pairs ...string) *Config {
	t.Helper()
	props := Props{"bootstrap.servers": bootstrap, "retry.backoff.ms": "5", "retry.backoff.max.ms": "20",
		"reconnect.backoff.ms": "1", "reconnect.backoff.max.ms": "10"}
	if role == RoleConsumer {
		props["fetch.max.wait.ms"] = "50"
	}
	if role == RoleGroup {
		props["group.id"] = "g"
	}
	for i := 0; i < len(pairs); i += 2 {
		props[pairs[i]] = pairs[i+1]
	}
	cfg, err := ParseConfig(role, props)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func newTestClient(t *testing.T, bootstrap string, pairs ...string) *Client {
	t.Helper()
	c, err := NewClient(testConfig(t, RoleAdmin, bootstrap, pairs...), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func newTestAdmin(t *testing.T, bootstrap string, pairs ...string) *Admin {
	t.Helper()
	c := newTestClient(t, bootstrap, pairs...)
	return NewAdmin(c, c.cfg, nil)
}

func newTestProducer(t *testing.T, bootstrap string, pairs ...string) *Producer {
	t.Helper()
	return newLoggedProducer(t, nil, bootstrap, pairs...)
}

func newLoggedProducer(t *testing.T, logger *slog.Logger, bootstrap string, pairs ...string) *Producer {
	t.Helper()
	p, err := NewProducer(newTestClient(t, bootstrap), testConfig(t, RoleProducer, bootstrap, pairs...), logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
	return p
}

func newTestFetcher(t *testing.T, bootstrap string, pairs ...string) *Fetcher {
	t.Helper()
	f := NewFetcher(newTestClient(t, bootstrap), testConfig(t, RoleConsumer, bootstrap, pairs...), nil)
	t.Cleanup(f.Close)
	return f
}

// readTo polls until a partition's position is end, and returns its records.
func readTo(t *testing.T, f *Fetcher, tp TopicPartition, end int64) []Record {
	t.Helper()
	ctx := testContext(t)
	var got []Record
	for {
		if at, ok := f.Position(tp); ok && at >= end {
			return got
		}
		batch, err := f.Poll(ctx)
		if err != nil {
			at, _ := f.Position(tp)
			t.Fatalf("at %d of %d: %v (problems: %v)", at, end, err, f.Problems())
		}
		for _, b := range batch {
			if b.Err != nil {
				t.Fatal(b.Err)
			}
			if b.TopicPartition == tp {
				got = append(got, b.Records...)
			}
		}
	}
}

// endOf is the offset behind the last record of a partition, committed or not.
func endOf(t *testing.T, c *localkafka.Cluster, tp TopicPartition) int64 {
	t.Helper()
	ends, failed, err := newTestAdmin(t, c.Bootstrap()).ListOffsets(testContext(t), []TopicPartition{tp}, Latest, ReadUncommitted)
	if err != nil || len(failed) > 0 {
		t.Fatal(err, failed)
	}
	return ends[tp]
}

func valuesOf(recs []Record) []string {
	out := make([]string, len(recs))
	for i, r := range recs {
		out[i] = string(r.Value)
	}
	return out
}

func mustSend(t *testing.T, p *Producer, recs ...*Record) {
	t.Helper()
	if err := p.SendSync(testContext(t), recs...); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx := testContext(t)
	for !ok() {
		if err := sleep(ctx, time.Millisecond); err != nil {
			t.Fatalf("still not: %s", what)
		}
	}
}

// logLines is a slog handler that keeps messages with their reasons.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) Enabled(context.Context, slog.Level) bool { return true }
func (l *logLines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logLines) WithGroup(string) slog.Handler            { return l }

func (l *logLines) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

func (l *logLines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}
