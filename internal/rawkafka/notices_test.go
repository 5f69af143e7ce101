package rawkafka

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// logText is a log to look at while it is written.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// counts are what the lines with a message say of the number of partitions.
func (l *logText) counts(level, message string) (counts []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := regexp.MustCompile(`level=` + level + ` msg="` + regexp.QuoteMeta(message) + `" partitions=(\d+) `)
	for _, m := range line.FindAllStringSubmatch(l.text.String(), -1) {
		n, _ := strconv.Atoi(m[1])
		counts = append(counts, n)
	}
	return counts
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// A topic that somebody else is about to make is not made by asking for it, and its partitions share their lines.
func TestATopicThatIsNotThereYetIsAwaited(t *testing.T) {
	const partitions = 40
	c := start(t, localkafka.Options{AutoCreate: true})
	target := kafkatest.Dial(t, c.Bootstrap())
	client, cfg := connect(t, kafka.RoleProducer, c.Bootstrap())
	lines := &logText{}
	s := NewSender(client, cfg, slog.New(slog.NewTextHandler(lines, nil)))
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	outcomes := make(chan error, partitions)
	for p := range int32(partitions) {
		o := &Outgoing{TopicPartition: kafka.TopicPartition{Topic: "t", Partition: p}, Done: func(o Outcome) { outcomes <- o.Err },
			Data: mustEncode(t, []kafka.Record{{Timestamp: 1, Value: fmt.Appendf(nil, "of %d", p)}}, 0)}
		if err := s.Send(o); err != nil {
			t.Fatal(err)
		}
	}
	const failing, over = "partitions cannot be written to, trying on", "partitions can be written to again"
	kafkatest.Await(t, time.Minute, "the partitions to be told of", func() (bool, string) {
		told := lines.counts("WARN", failing)
		return sum(told) >= partitions, fmt.Sprint(told)
	})
	if topics := target.Topics(); slices.Contains(topics, "t") {
		t.Errorf("topic t was made by asking for it")
	}

	target.CreateTopic("t", partitions, nil)

	for range partitions {
		if err := <-outcomes; err != nil {
			t.Error(err)
		}
	}
	for p := range int32(partitions) {
		got := target.ReadPartition("t", p, kafkatest.ReadUncommitted)
		if want := fmt.Sprintf("of %d", p); len(got) != 1 || string(got[0].Value) != want {
			t.Errorf("partition %d holds %v, want %q", p, got, want)
		}
	}
	kafkatest.Await(t, time.Minute, "the end to be told of", func() (bool, string) {
		told := lines.counts("INFO", over)
		return sum(told) == partitions, fmt.Sprint(told)
	})
	if failed, mended := lines.counts("WARN", failing), lines.counts("INFO", over); len(failed) > 3 || len(mended) > 3 {
		t.Errorf("lines for so many partitions: %v, and at the end %v", failed, mended)
	}
}

// Brokers are asked to make a topic now and then only, however often its leader is asked for.
func TestBrokersAreAskedToMakeATopicNowAndThen(t *testing.T) {
	s, began := &Sender{}, time.Now()
	old, young := kafka.TopicPartition{Topic: "old"}, kafka.TopicPartition{Topic: "young"}
	streams := []*stream{
		{TopicPartition: old, parcels: []*parcel{{created: began}}},
		{TopicPartition: young, parcels: []*parcel{{created: began.Add(createAfter)}}},
	}
	var got [][]kafka.TopicPartition
	for _, after := range []time.Duration{0, createAfter - 1, createAfter, createAfter + time.Second, 2 * createAfter} {
		_, create := s.sortOut(streams, began.Add(after))
		got = append(got, create)
	}
	want := [][]kafka.TopicPartition{nil, nil, {old}, nil, {old, young}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if ask, create := s.sortOut(streams, began.Add(2*createAfter)); len(ask) != 2 || create != nil {
		t.Errorf("asked for %v, and with making for %v", ask, create)
	}
}
