package rawkafka

import (
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/internal/kafka"
)

// FuzzAnswers: an answer to a fetch request, with batches of which FuzzCut looks at the insides. Whatever it is, it moves no
// position back, speaks of nothing that was not asked for, and gives its memory back.
func FuzzAnswers(f *testing.F) {
	b, err := encode(sample(), 0)
	if err != nil {
		f.Fatal(err)
	}
	part := kmsg.NewFetchResponseTopicPartition()
	part.HighWatermark, part.RecordBatches = 100, at(b, 3)
	part.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1, FirstOffset: 3}}
	whole := kmsg.FetchResponse{Version: fetchVersion, Topics: []kmsg.FetchResponseTopic{{Topic: "a", Partitions: []kmsg.FetchResponseTopicPartition{part}}}}
	for _, readCommitted := range []bool{false, true} {
		f.Add(whole.AppendTo(nil), readCommitted)
		f.Add(whole.AppendTo(nil)[:60], readCommitted)
		f.Add([]byte{}, readCommitted)
		// Announces 4294967295 fields, each of which kmsg before 1.15.1 looked for.
		f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}, readCommitted)
	}
	f.Fuzz(func(t *testing.T, data []byte, readCommitted bool) {
		resp := kmsg.FetchResponse{Version: fetchVersion}
		if resp.ReadFrom(data) != nil {
			return
		}
		isolation := "read_uncommitted"
		if readCommitted {
			isolation = "read_committed"
		}
		client, cfg := connect(t, kafka.RoleConsumer, "127.0.0.1:1", "isolation.level", isolation)
		memory := NewMemory(1 << 20)
		p := &puller{Reader: NewReader(client, cfg, memory, slog.New(slog.DiscardHandler))}
		p.session.sent = map[kafka.TopicPartition]int64{{Topic: "a"}: 3, {Topic: "b"}: 0}
		held := memory.take(len(data))

		answers := p.answers(&resp, held)

		held.release()
		for _, a := range answers {
			from, asked := p.session.sent[a.TopicPartition]
			if !asked || a.Refusal == nil && a.NextOffset < from {
				t.Errorf("asked for %v from %d, got to %d", a.TopicPartition, from, a.NextOffset)
			}
			for _, b := range a.Batches {
				if b.Last < from || b.Records < 0 {
					t.Errorf("asked from %d, got %d records up to %d", from, b.Records, b.Last)
				}
				b.Release()
			}
		}
		if memory.used != 0 {
			t.Errorf("%d bytes are still held", memory.used)
		}
	})
}
