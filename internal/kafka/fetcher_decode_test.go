package kafka

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
)

// fetched lets sarama decode a fetch answer with the given batches, as from a broker.
func fetched(t *testing.T, batches ...*sarama.RecordBatch) *sarama.FetchResponseBlock {
	t.Helper()
	resp := &sarama.FetchResponse{Version: 11, Blocks: map[string]map[int32]*sarama.FetchResponseBlock{"a": {0: {HighWaterMarkOffset: 100}}}}
	for _, b := range batches {
		b.Version = 2
		resp.Blocks["a"][0].RecordsSet = append(resp.Blocks["a"][0].RecordsSet, &sarama.Records{RecordBatch: b})
	}
	mock := sarama.NewMockBroker(t, 1)
	defer mock.Close()
	mock.SetHandlerByMap(map[string]sarama.MockResponse{
		"ApiVersionsRequest": sarama.NewMockApiVersionsResponse(t),
		"FetchRequest":       sarama.NewMockWrapper(resp),
	})
	c, err := open(testConfig(t, RoleConsumer, mock.Addr()), mock.Addr(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	var block *sarama.FetchResponseBlock
	err = c.do(testContext(t), func(b *sarama.Broker) error {
		got, err := b.Fetch(&sarama.FetchRequest{Version: 11})
		if err == nil {
			block = got.GetBlock("a", 0)
		}
		return err
	})
	if err != nil || block == nil {
		t.Fatal(block, err)
	}
	return block
}

// Compaction leaves the last batch of a producer behind without records. sarama leaves such batches out
// of RecordsSet; a position that stood before one would never move.
func TestPositionsPassBatchesWithoutRecords(t *testing.T) {
	at := time.UnixMilli(5)
	full := &sarama.RecordBatch{FirstOffset: 10, LastOffsetDelta: 4, FirstTimestamp: at, MaxTimestamp: at, Records: []*sarama.Record{{Value: []byte("v"), OffsetDelta: 2}}}
	empty := &sarama.RecordBatch{FirstOffset: 15, LastOffsetDelta: 4, FirstTimestamp: at, MaxTimestamp: at}
	tp := TopicPartition{"a", 0}

	alone := decodeBlock(tp, 15, fetched(t, empty), false)
	behind := decodeBlock(tp, 10, fetched(t, full, empty), false)

	if alone.NextOffset != 20 || len(alone.Records) != 0 {
		t.Errorf("an empty batch alone: %+v", alone)
	}
	// One more fetch passes the empty one then.
	want := []Record{{Topic: "a", Offset: 12, Timestamp: 5, Value: []byte("v")}}
	if diff := cmp.Diff(want, behind.Records); diff != "" || behind.NextOffset != 15 {
		t.Errorf("next %d; %s", behind.NextOffset, diff)
	}
}

func TestTimestampsOfBatchesAreExact(t *testing.T) {
	at, appended := time.UnixMilli(1_000), time.UnixMilli(9_999)
	earlier := -300 * time.Millisecond
	for name, c := range map[string]struct {
		batch sarama.RecordBatch
		delta time.Duration // of the second record
		want  []int64
	}{
		"create time":     {sarama.RecordBatch{FirstTimestamp: at, MaxTimestamp: at}, earlier, []int64{1000, 700}},
		"log append time": {sarama.RecordBatch{FirstTimestamp: at, MaxTimestamp: appended, LogAppendTime: true}, earlier, []int64{9999, 9999}},
		"none":            {sarama.RecordBatch{}, 0, []int64{NoTimestamp, NoTimestamp}},
	} {
		t.Run(name, func(t *testing.T) {
			b := c.batch
			b.LastOffsetDelta = 1
			b.Records = []*sarama.Record{{Value: []byte("1")}, {Value: []byte("2"), OffsetDelta: 1, TimestampDelta: c.delta}}
			got := decodeBlock(TopicPartition{"a", 0}, 0, fetched(t, &b), false)
			if diff := cmp.Diff(c.want, []int64{got.Records[0].Timestamp, got.Records[1].Timestamp}); diff != "" {
				t.Error(diff)
			}
		})
	}
}
