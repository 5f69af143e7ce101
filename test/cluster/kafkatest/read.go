package kafkatest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Isolation is what a reader sees of transactions.
type Isolation int8

const (
	// ReadUncommitted shows open and aborted transactions too, up to the end of the log.
	ReadUncommitted Isolation = 0
	// ReadCommitted leaves out aborted transactions and stops before the first open one.
	ReadCommitted Isolation = 1
)

// ReadPartition reads all records of one partition, from its start to the end it has now.
func (c *Client) ReadPartition(topic string, partition int32, isolation Isolation) []Record {
	c.tb.Helper()
	return recordsOf(c.ReadBatches(topic, partition, isolation))
}

// ReadTopic reads all records of every partition, each to the end it has now. An empty partition has an entry.
func (c *Client) ReadTopic(topic string, isolation Isolation) map[int32][]Record {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	records, err := c.readTopic(ctx, topic, isolation)
	if err != nil {
		c.tb.Fatalf("read topic %s: %v", topic, err)
	}
	return records
}

// ReadBatches reads the record batches of one partition as they lie there, control batches included. With
// ReadCommitted the batches of aborted transactions are left out.
func (c *Client) ReadBatches(topic string, partition int32, isolation Isolation) []Batch {
	c.tb.Helper()
	ctx, cancel := c.callContext()
	defer cancel()
	ranges, err := c.offsets(ctx, topic)
	if err != nil {
		c.tb.Fatalf("list offsets of topic %s: %v", topic, err)
	}
	limits, found := ranges[partition]
	if !found {
		c.tb.Fatalf("topic %s has no partition %d", topic, partition)
	}
	batches, err := c.read(ctx, topic, partition, limits, isolation)
	if err != nil {
		c.tb.Fatalf("read partition %s-%d: %v", topic, partition, err)
	}
	return batches
}

// AwaitRecords waits until a topic exists and holds at least count committed records, and returns them all.
func (c *Client) AwaitRecords(topic string, count int, timeout time.Duration) map[int32][]Record {
	c.tb.Helper()
	var records map[int32][]Record
	Await(c.tb, timeout, fmt.Sprintf("%d records in topic %s", count, topic), func() (bool, string) {
		ctx, cancel := c.callContext()
		defer cancel()
		var err error
		if records, err = c.readTopic(ctx, topic, ReadCommitted); err != nil {
			return false, err.Error()
		}
		total := 0
		for _, partition := range records {
			total += len(partition)
		}
		return total >= count, fmt.Sprintf("%d records", total)
	})
	return records
}

func (c *Client) readTopic(ctx context.Context, topic string, isolation Isolation) (map[int32][]Record, error) {
	ranges, err := c.offsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	records := make(map[int32][]Record, len(ranges))
	for partition, limits := range ranges {
		batches, err := c.read(ctx, topic, partition, limits, isolation)
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", partition, err)
		}
		records[partition] = recordsOf(batches)
	}
	return records, nil
}

func recordsOf(batches []Batch) []Record {
	var records []Record
	for _, batch := range batches {
		if !batch.Control {
			records = append(records, batch.Records...)
		}
	}
	return records
}

// read fetches a partition from its start to the end that limits and isolation say. It follows the leader.
func (c *Client) read(ctx context.Context, topic string, partition int32, limits OffsetRange, isolation Isolation) ([]Batch, error) {
	end := limits.End
	if isolation == ReadCommitted {
		end = limits.Stable
	}
	var batches []Batch
	for next := limits.Start; next < end; {
		answer, err := c.fetch(ctx, topic, partition, next, isolation)
		if err != nil {
			// The broker's refusal may be final; a connection that a restart broke is not.
			if refused := (*kerr.Error)(nil); errors.As(err, &refused) && !refused.Retriable {
				return nil, err
			}
			select {
			case <-ctx.Done():
				return nil, fmt.Errorf("%w; last error: %w", ctx.Err(), err)
			case <-time.After(pollEvery):
				continue
			}
		}
		fetched, err := decodeBatches(answer.RecordBatches, partition)
		if err != nil {
			return nil, err
		}
		if len(fetched) == 0 {
			// The broker may show everything up to end and has nothing: compaction emptied the rest.
			break
		}
		from := next
		next = fetched[len(fetched)-1].LastOffset + 1
		if isolation == ReadCommitted {
			fetched = withoutAborted(fetched, answer.AbortedTransactions)
		}
		batches = append(batches, within(fetched, from, end)...)
	}
	return batches, nil
}

// fetch sends one Fetch for one partition to its leader.
func (c *Client) fetch(ctx context.Context, topic string, partition int32, offset int64, isolation Isolation) (*kmsg.FetchResponseTopicPartition, error) {
	leaders, err := c.leaders(ctx, topic)
	if err != nil {
		return nil, err
	}
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = partition, offset, 8<<20
	named := kmsg.NewFetchRequestTopic()
	named.Topic = topic
	named.Partitions = append(named.Partitions, part)
	request := kmsg.NewPtrFetchRequest()
	request.MaxWaitMillis, request.MinBytes, request.MaxBytes = 100, 1, 16<<20
	request.SessionEpoch = -1
	request.IsolationLevel = int8(isolation)
	request.Topics = append(request.Topics, named)

	answer, err := c.cl.Broker(int(leaders[partition])).Request(ctx, request)
	if err != nil {
		return nil, err
	}
	response := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(response.ErrorCode); err != nil {
		return nil, err
	}
	if len(response.Topics) != 1 || len(response.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("the broker answered a fetch of one partition with %d topics", len(response.Topics))
	}
	got := &response.Topics[0].Partitions[0]
	return got, kerr.ErrorForCode(got.ErrorCode)
}

// within drops records outside [from, end), since a fetch inside a batch returns the whole batch.
func within(batches []Batch, from, end int64) []Batch {
	var kept []Batch
	for _, batch := range batches {
		if batch.LastOffset < from || batch.BaseOffset >= end {
			continue
		}
		batch.Records = slices.DeleteFunc(batch.Records, func(r Record) bool { return r.Offset < from || r.Offset >= end })
		kept = append(kept, batch)
	}
	return kept
}

// withoutAborted drops the batches of aborted transactions. Each producer's aborted range begins at the listed
// offset and ends with its next abort marker.
func withoutAborted(batches []Batch, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction) []Batch {
	aborted = slices.Clone(aborted)
	slices.SortFunc(aborted, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return int(min(max(a.FirstOffset-b.FirstOffset, -1), 1))
	})
	open := map[int64]bool{}
	var kept []Batch
	for _, batch := range batches {
		for len(aborted) > 0 && aborted[0].FirstOffset <= batch.LastOffset {
			open[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		if batch.Control {
			if isAbort(batch) {
				delete(open, batch.ProducerID)
			}
			kept = append(kept, batch)
			continue
		}
		if !batch.Transactional || !open[batch.ProducerID] {
			kept = append(kept, batch)
		}
	}
	return kept
}

// isAbort reads the marker's key: version, then type, where 0 is abort and 1 is commit.
func isAbort(batch Batch) bool {
	return len(batch.Records) == 1 && len(batch.Records[0].Key) >= 4 && binary.BigEndian.Uint16(batch.Records[0].Key[2:]) == 0
}
