package rawkafka

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/internal/kafka"
)

// cutter takes the bytes that a fetch brought from one partition apart into batches that can be written
// elsewhere: whole ones as they are, and others encoded again, namely
//   - a batch that begins before the position asked for,
//   - one with holes, which brokers refuse from producers,
//   - one with the broker's timestamps (LogAppendTime), whose records do not have them themselves,
//   - messages of the formats 0 and 1.
//
// Control batches are left out, and aborted data if aborted is set.
type cutter struct {
	topic   string
	from    int64 // what lies before is left out
	aborted *abortedRanges
	// next is the position after all that was cut.
	next    int64
	batches []cutBatch
	// rebuilt counts the batches that were encoded again.
	rebuilt int
}

// cutBatch is a batch and the source's offsets of its records.
type cutBatch struct {
	batch
	first, last int64
	offsets     []int64 // nil when they follow each other
	own         bool    // its bytes are not those of the answer
}

// legacyRun bounds the bytes of old messages that become one batch.
const legacyRun = 256 << 10

// cut goes through data up to the first batch that is not all there. The error is about the first batch that is
// damaged; what was cut before stays.
func (c *cutter) cut(data []byte) error {
	c.next = c.from
	for len(data) > 0 {
		b, rest, err := splitBatch(data)
		switch {
		case errors.Is(err, errPartial):
			return nil
		case err == nil && b.magic() < 2:
			rest, err = c.legacy(data)
		case err == nil:
			err = c.take(b)
		}
		if err != nil {
			return err
		}
		data = rest
	}
	return nil
}

var errChecksum = errors.New("its checksum is wrong")

func (c *cutter) take(b batch) error {
	if !b.intact() {
		return errChecksum
	}
	leave := c.aborted.skips(b) || b.is(controlBit) || b.count() == 0 || b.lastOffset() < c.from
	if !leave {
		if err := c.keep(b); err != nil {
			return err
		}
	}
	c.next = max(c.next, b.lastOffset()+1)
	return nil
}

func (c *cutter) keep(b batch) error {
	if b.baseOffset() >= c.from && !b.hasHoles() && !b.is(appendTimeBit) {
		c.batches = append(c.batches, cutBatch{batch: b, first: b.baseOffset(), last: b.lastOffset()})
		return nil
	}
	made, offsets, err := rebuild(b, func(_ int, offset int64) bool { return offset >= c.from })
	if err != nil || made == nil {
		return err
	}
	c.rebuilt++
	c.add(made, offsets)
	return nil
}

// add appends a batch that was encoded here.
func (c *cutter) add(made batch, offsets []int64) {
	first, last := offsets[0], offsets[len(offsets)-1]
	if last-first == int64(len(offsets)-1) {
		offsets = nil
	}
	c.batches = append(c.batches, cutBatch{batch: made, first: first, last: last, offsets: offsets, own: true})
}

// legacy makes a batch of the run of old messages that data begins with, and returns what follows the run.
func (c *cutter) legacy(data []byte) (rest []byte, err error) {
	codec := legacyCodec(data)
	for rest = data; len(rest) > 0 && len(data)-len(rest) < legacyRun; {
		b, after, err := splitBatch(rest)
		if err != nil && !errors.Is(err, errPartial) {
			return nil, err
		}
		if err != nil || b.magic() > 1 || legacyCodec(rest) != codec {
			break
		}
		rest = after
	}
	run := kmsg.NewFetchResponseTopicPartition()
	run.RecordBatches = data[:len(data)-len(rest)]
	read, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: c.from, Topic: c.topic}, &run, decompressor(), nil)
	if read.Err != nil {
		return nil, fmt.Errorf("old messages from offset %d on cannot be decoded: %w", batch(data).baseOffset(), read.Err)
	}
	if len(read.Records) == 0 {
		return rest, nil
	}
	records, offsets := make([]kafka.Record, len(read.Records)), make([]int64, len(read.Records))
	for i, r := range read.Records {
		records[i] = kafka.Record{Key: r.Key, Value: r.Value, Timestamp: r.Timestamp.UnixMilli()}
		if r.Attrs.TimestampType() < 0 { // format 0 has none
			records[i].Timestamp = kafka.NoTimestamp
		}
		offsets[i] = r.Offset
	}
	made, err := encode(records, codec)
	if err != nil {
		return nil, err
	}
	c.rebuilt++
	c.add(made, offsets)
	c.next = max(c.next, offsets[len(offsets)-1]+1)
	return rest, nil
}

// legacyCodec is the codec of the old message that data begins with; its attributes follow the magic byte.
func legacyCodec(data []byte) int8 {
	if len(data) <= legacyHeaderSize {
		return 0
	}
	return int8(data[legacyHeaderSize] & 0x03)
}

// abortedRanges knows which transactional batches of one answer were aborted. Batches come in offset order; a
// producer's data is aborted from the first offset given until its abort marker. A nil one knows of none.
type abortedRanges struct {
	todo []kmsg.FetchResponseTopicPartitionAbortedTransaction // by first offset
	open map[int64]struct{}                                   // producers
}

func newAbortedRanges(aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction) *abortedRanges {
	if len(aborted) == 0 {
		return nil
	}
	slices.SortFunc(aborted, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	return &abortedRanges{todo: aborted, open: make(map[int64]struct{})}
}

func (a *abortedRanges) skips(b batch) bool {
	if a == nil {
		return false
	}
	for len(a.todo) > 0 && a.todo[0].FirstOffset <= b.lastOffset() {
		a.open[a.todo[0].ProducerID] = struct{}{}
		a.todo = a.todo[1:]
	}
	if b.is(controlBit) {
		if b.abortMarker() {
			delete(a.open, b.producerID())
		}
		return true
	}
	_, aborted := a.open[b.producerID()]
	return aborted && b.is(transactionalBit)
}
