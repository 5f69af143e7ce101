package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/test/cluster/kafkatest"
)

const partitions = 8

// fill writes count records of payload, in turn to each partition, and gives the bytes of their keys and values.
// Batches are as large as the limit allows.
func fill(ctx context.Context, bootstrap, topic string, count int, codec kgo.CompressionCodec, batchBytes int32) (int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ClientID("bench-fill"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytes(batchBytes), kgo.ProducerLinger(100*time.Millisecond),
		kgo.UnknownTopicRetries(2), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	var (
		once    sync.Once
		failure error
		bytes   int64
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	records := newPayload()
	for i := range count {
		key, value := records.next()
		bytes += int64(len(key) + len(value))
		// Blocks while too many are on their way.
		client.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(i % partitions), Key: key, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				once.Do(func() { failure = err })
				cancel()
			}
		})
		if ctx.Err() != nil {
			break
		}
	}
	flushed := client.Flush(ctx)
	once.Do(func() {}) // no callback writes failure after this
	if failure != nil {
		return 0, fmt.Errorf("fill topic %s: %w", topic, failure)
	}
	return bytes, flushed
}

// endOffsets asks a cluster of one broker where the partitions of a topic end. It is empty as long as the topic is
// not there or has no leaders.
func endOffsets(ctx context.Context, client *kgo.Client, topic string) (map[int32]int64, error) {
	const latest = -1
	named := kmsg.NewListOffsetsRequestTopic()
	named.Topic = topic
	for partition := range int32(partitions) {
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.Timestamp = partition, latest
		named.Partitions = append(named.Partitions, part)
	}
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	request.Topics = append(request.Topics, named)
	// Straight to the one broker: no metadata of the client's own that could be stale.
	answer, err := client.SeedBrokers()[0].Request(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("list the end offsets of topic %s: %w", topic, err)
	}
	ends := map[int32]int64{}
	for _, topic := range answer.(*kmsg.ListOffsetsResponse).Topics {
		for _, part := range topic.Partitions {
			switch err := kerr.ErrorForCode(part.ErrorCode); {
			case err == nil:
				ends[part.Partition] = part.Offset
			case !kerr.IsRetriable(err):
				return nil, fmt.Errorf("list the end offset of %s-%d: %w", topic.Topic, part.Partition, err)
			}
		}
	}
	return ends, nil
}

func total(ends map[int32]int64) int64 {
	var sum int64
	for _, end := range ends {
		sum += end
	}
	return sum
}

// place is a topic of a cluster.
type place struct{ bootstrap, topic string }

// comparePartition reads count records of one partition from both places, without holding more than a few of them, and
// reports the first that differs in anything but its offset. It gives the codec of the mirror's first batch.
func comparePartition(ctx context.Context, source, mirror place, partition int32, count int64) (codec string, err error) {
	want, err := readFrom(source, partition)
	if err != nil {
		return "", err
	}
	defer want.client.Close()
	got, err := readFrom(mirror, partition)
	if err != nil {
		return "", err
	}
	defer got.client.Close()
	for read := int64(0); read < count; {
		chunk := int(min(count-read, 1000))
		wanted, err := want.next(ctx, chunk)
		if err != nil {
			return "", err
		}
		seen, err := got.next(ctx, chunk)
		if err != nil {
			return "", err
		}
		if difference := kafkatest.Diff(map[int32][]kafkatest.Record{partition: wanted}, map[int32][]kafkatest.Record{partition: seen}); difference != "" {
			return "", fmt.Errorf("topic %s is not a mirror of %s; after %d records, %s", mirror.topic, source.topic, read, difference)
		}
		read += int64(chunk)
	}
	return got.codec, nil
}

// reader reads one partition from its start.
type reader struct {
	place
	client  *kgo.Client
	codec   string // of the first batch
	waiting []kafkatest.Record
}

func readFrom(from place, partition int32) (*reader, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(from.bootstrap), kgo.ClientID("bench-compare"),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{from.topic: {partition: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return nil, err
	}
	return &reader{place: from, client: client}, nil
}

// readPatience is how long a broker may take to hand out records that it has.
const readPatience = time.Minute

// next waits for count records.
func (r *reader) next(ctx context.Context, count int) ([]kafkatest.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	for len(r.waiting) < count {
		fetches := r.client.PollFetches(ctx)
		if err := errors.Join(fetches.Err(), ctx.Err()); err != nil {
			return nil, fmt.Errorf("read topic %s: %w", r.topic, err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if r.codec == "" {
				r.codec = codecName(record.Attrs.CompressionType())
			}
			r.waiting = append(r.waiting, fromWire(record))
		})
	}
	next := r.waiting[:count]
	r.waiting = r.waiting[count:]
	return next, nil
}

func fromWire(record *kgo.Record) kafkatest.Record {
	plain := kafkatest.Record{
		Partition: record.Partition, Offset: record.Offset, Timestamp: record.Timestamp,
		LogAppendTime: record.Attrs.TimestampType() == 1, Key: record.Key, Value: record.Value,
	}
	for _, header := range record.Headers {
		plain.Headers = append(plain.Headers, kafkatest.Header{Key: header.Key, Value: header.Value})
	}
	return plain
}

// codecName names the compression in a batch's attributes.
func codecName(number uint8) string {
	names := [...]string{"none", "gzip", "snappy", "lz4", "zstd"}
	if int(number) >= len(names) {
		return fmt.Sprintf("codec %d", number)
	}
	return names[number]
}
