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

// filling is what a topic is filled with.
type filling struct {
	topic      string
	count      int
	partitions int
	// valueBytes are those of each record; run records one after the other go to a partition.
	valueBytes, run int
	codec           kgo.CompressionCodec
	batchBytes      int32
}

// fillBuffer bounds what is on its way while a topic is filled, in bytes.
const fillBuffer = 64 << 20

// fillRequest bounds what is in one request.
const fillRequest = 8 << 20

// fill writes the records and gives the bytes of their keys and values. Batches are as large as the limit allows, and as
// one record needs.
func fill(ctx context.Context, bootstrap string, f filling) (int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ClientID("bench-fill"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(f.codec),
		kgo.ProducerBatchMaxBytes(max(f.batchBytes, int32(f.valueBytes+1024))), kgo.ProducerLinger(100*time.Millisecond), kgo.MaxBufferedBytes(fillBuffer),
		kgo.UnknownTopicRetries(2), kgo.MetadataMinAge(100*time.Millisecond),
		// A batch for each of thousands of partitions is a request that a busy broker takes long for. Given up and sent
		// again on another connection, it would be refused as out of order.
		kgo.BrokerMaxWriteBytes(fillRequest), kgo.ProduceRequestTimeout(readPatience), kgo.RequestTimeoutOverhead(readPatience))
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
	for i := range f.count {
		key, value := records.sized(f.valueBytes)
		bytes += int64(len(key) + len(value))
		// Blocks while too many are on their way.
		client.Produce(ctx, &kgo.Record{Topic: f.topic, Partition: int32(i / f.run % f.partitions), Key: key, Value: value}, func(_ *kgo.Record, err error) {
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
		return 0, fmt.Errorf("fill topic %s: %w", f.topic, failure)
	}
	return bytes, flushed
}

// fillEach writes one record to each partition of each topic.
func fillEach(ctx context.Context, bootstrap string, topics []string, partitions int32) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ClientID("bench-fill"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.UnknownTopicRetries(-1), kgo.MetadataMinAge(100*time.Millisecond)) // a broker that makes many topics shows them late
	if err != nil {
		return err
	}
	defer client.Close()
	var batch []*kgo.Record
	for _, topic := range topics {
		for partition := range partitions {
			batch = append(batch, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(topic)})
		}
	}
	if err := client.ProduceSync(ctx, batch...).FirstErr(); err != nil {
		return fmt.Errorf("fill %d topics: %w", len(topics), err)
	}
	return nil
}

// endOffsets asks a cluster of one broker where the partitions of topics end, as far as transactions are decided. Topics
// that are not there yet, and partitions without a leader, are left out.
func endOffsets(ctx context.Context, client *kgo.Client, partitions int, topics ...string) (map[string]map[int32]int64, error) {
	const latest, readCommitted = -1, 1
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID, request.IsolationLevel = -1, readCommitted
	for _, topic := range topics {
		named := kmsg.NewListOffsetsRequestTopic()
		named.Topic = topic
		for partition := range int32(partitions) {
			part := kmsg.NewListOffsetsRequestTopicPartition()
			part.Partition, part.Timestamp = partition, latest
			named.Partitions = append(named.Partitions, part)
		}
		request.Topics = append(request.Topics, named)
	}
	// Straight to the one broker: no metadata of the client's own that could be stale.
	answer, err := client.SeedBrokers()[0].Request(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("list the end offsets of %d topics: %w", len(topics), err)
	}
	ends := map[string]map[int32]int64{}
	for _, topic := range answer.(*kmsg.ListOffsetsResponse).Topics {
		for _, part := range topic.Partitions {
			switch err := kerr.ErrorForCode(part.ErrorCode); {
			case err == nil:
				if ends[topic.Topic] == nil {
					ends[topic.Topic] = map[int32]int64{}
				}
				ends[topic.Topic][part.Partition] = part.Offset
			case !kerr.IsRetriable(err):
				return nil, fmt.Errorf("list the end offset of %s-%d: %w", topic.Topic, part.Partition, err)
			}
		}
	}
	return ends, nil
}

func total(ends map[string]map[int32]int64) int64 {
	var sum int64
	for _, topic := range ends {
		for _, end := range topic {
			sum += end
		}
	}
	return sum
}

// tail is how far before the end of a partition its last record is looked for; what is behind it are markers.
const tail = 200

// allCommitted reports whether the last of count filled records of each partition can be read, given where the
// partitions end.
func allCommitted(ctx context.Context, in place, ends map[int32]int64, count int64) (bool, error) {
	from := map[int32]kgo.Offset{}
	for partition, end := range ends {
		from[partition] = kgo.NewOffset().At(max(end-tail, 0))
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(in.bootstrap), kgo.ClientID("bench-tail"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(100*time.Millisecond), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{in.topic: from}))
	if err != nil {
		return false, err
	}
	defer client.Close()
	wanted := map[string]bool{}
	for number := count - int64(len(ends)); number < count; number++ {
		wanted[orderKey(int(number))] = true
	}
	ctx, cancel := context.WithTimeout(ctx, tailPatience)
	defer cancel()
	for len(wanted) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return false, nil // not all are there yet
		}
		if err := fetches.Err(); err != nil {
			return false, fmt.Errorf("read the end of topic %s: %w", in.topic, err)
		}
		fetches.EachRecord(func(record *kgo.Record) { delete(wanted, string(record.Key)) })
	}
	return true, nil
}

// tailPatience is long enough to read the end of all partitions; how fine figures with transactions are depends on it.
const tailPatience = 500 * time.Millisecond

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
	client, err := kgo.NewClient(kgo.SeedBrokers(from.bootstrap), kgo.ClientID("bench-compare"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
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
