package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/test/cluster/kafkatest"
)

func TestPayloadIsTheSameEachTimeAndCompressesLikeDocuments(t *testing.T) {
	first, second := newPayload(), newPayload()
	var batch []byte
	for i := range 16 {
		key, value := first.next()
		otherKey, otherValue := second.next()
		if !bytes.Equal(key, otherKey) || !bytes.Equal(value, otherValue) {
			t.Fatalf("record %d differs between two payloads:\n%s\n%s", i, value, otherValue)
		}
		var order struct{ Order string }
		if err := json.Unmarshal(value, &order); err != nil || order.Order != string(key) || len(value) != valueBytes {
			t.Fatalf("record %d, %d bytes with key %s, is no order (%v): %s", i, len(value), key, err, value)
		}
		batch = append(batch, value...)
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	if ratio := float64(len(batch)) / float64(len(encoder.EncodeAll(batch, nil))); ratio < 2 || ratio > 4 {
		t.Errorf("a batch compresses %.1f times, want 2 to 4", ratio)
	}
}

// cluster embeds one broker with topics of the benchmark's shape.
func cluster(t *testing.T, topics ...string) (bootstrap string, client *kafkatest.Client) {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topics...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	bootstrap = strings.Join(fake.ListenAddrs(), ",")
	return bootstrap, kafkatest.Dial(t, bootstrap)
}

func TestFillWritesThePayloadInTurnToEachPartition(t *testing.T) {
	bootstrap, client := cluster(t, "zstd")
	const count, batchBytes = 1003, 4096
	payload, err := fill(t.Context(), bootstrap, orders("zstd", count, kgo.ZstdCompression(), batchBytes))
	if err != nil {
		t.Fatal(err)
	}

	if want := int64(count * (valueBytes + len("order-0000000000"))); payload != want {
		t.Errorf("payload %d, want %d", payload, want)
	}
	written := make([]int, partitions)
	all := map[int32][]kafkatest.Record{}
	for partition := range int32(partitions) {
		for _, batch := range client.ReadBatches("zstd", partition, kafkatest.ReadUncommitted) {
			if batch.Codec != "zstd" || len(batch.Records) > 4 {
				t.Errorf("a batch of %d records is compressed with %s, want zstd and at most 4 of 1 kB", len(batch.Records), batch.Codec)
			}
			all[partition] = append(all[partition], batch.Records...)
		}
	}
	records := newPayload()
	for i := range count {
		key, value := records.next()
		partition := i % partitions
		got := all[int32(partition)][written[partition]]
		if !bytes.Equal(got.Key, key) || !bytes.Equal(got.Value, value) {
			t.Fatalf("record %d of partition %d is %s, want key %s", written[partition], partition, got, key)
		}
		written[partition]++
	}

	watcher, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	got, err := endOffsets(t.Context(), watcher, partitions, "zstd")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]map[int32]int64{"zstd": {0: 126, 1: 126, 2: 126, 3: 125, 4: 125, 5: 125, 6: 125, 7: 125}}, got); diff != "" || total(got) != count {
		t.Errorf("end offsets (-want +got):\n%s", diff)
	}
	if got, err := endOffsets(t.Context(), watcher, partitions, "absent"); err != nil || len(got) != 0 {
		t.Errorf("a topic that is not there yet has end offsets %v and error %v, want none", got, err)
	}
}

func TestFillGivesTheBrokersRefusal(t *testing.T) {
	bootstrap, _ := cluster(t, "small")
	if _, err := fill(t.Context(), bootstrap, orders("absent", 10, kgo.NoCompression(), 4096)); err == nil || !strings.Contains(err.Error(), "fill topic absent") {
		t.Errorf("error %v, want one that names the topic", err)
	}
}

func TestComparePartitionFindsTheRecordThatDiffers(t *testing.T) {
	bootstrap, client := cluster(t, "source", "same", "changed")
	var records []kafkatest.Record
	for i := range 2500 {
		records = append(records, kafkatest.Record{Partition: 3, Timestamp: time.UnixMilli(int64(i)), Value: []byte{byte(i)}, Headers: []kafkatest.Header{{Key: "h"}}})
	}
	client.Produce("source", records...)
	client.Produce("same", records...)
	records[2100].Headers = []kafkatest.Header{{Key: "h", Value: []byte{}}}
	client.Produce("changed", records...)

	source := place{bootstrap, "source"}
	codec, err := comparePartition(t.Context(), source, place{bootstrap, "same"}, 3, 2500)
	if err != nil || codec != "snappy" {
		t.Errorf("an equal partition in %q batches: %v, want snappy, the client's default, and no error", codec, err)
	}
	_, err = comparePartition(t.Context(), source, place{bootstrap, "changed"}, 3, 2500)
	if err == nil || !strings.Contains(err.Error(), "after 2000 records, partition 3, record 100 differs in headers") {
		t.Errorf("error %v, want one that points to record 2100", err)
	}
}
