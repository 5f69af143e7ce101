package mirror

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
	"tributary/internal/rawkafka"
)

// Keys of the raw lane.
const (
	rawBatchesKey = "raw.batches"
	rawMemoryKey  = "raw.buffer.memory"
)

// leastRawMemory is the least with which batches of the usual size fit.
const leastRawMemory = 2 << 20

var rawKeys = []connect.ConfigKey{
	low(rawBatchesKey, connect.TypeBoolean, true, "Whether to copy whole record batches as they are wherever nothing in the configuration needs to look inside. Off, every record is unpacked."),
	valid(low(rawMemoryKey, connect.TypeLong, int64(32<<20), "How many bytes of whole batches a task holds at most, between source and target. A partition of the target that is stuck gets a third of it, so that others go on."), connect.AtLeast(leastRawMemory)),
}

var _ connect.BatchTask = (*SourceTask)(nil)

// OffersBatches implements connect.BatchTask.
func (t *SourceTask) OffersBatches(config map[string]string) (ok bool, reason string) {
	if on, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(config[rawBatchesKey]))); err == nil && !on {
		return false, rawBatchesKey + "=false"
	}
	if policy := config[onRecordErrorKey]; policy == recordSkip || policy == recordDeadLetter {
		return false, onRecordErrorKey + "=" + policy + " concerns single records"
	}
	return true, ""
}

// TakeLane implements connect.BatchTask.
func (t *SourceTask) TakeLane(batches bool, lane, reason string) {
	t.lane = laneChoice{batches: batches, name: lane, reason: reason}
}

// laneChoice is what the worker has chosen for the task.
type laneChoice struct {
	batches      bool
	name, reason string
}

// newFetcher reads records, or whole batches, as the lane wants it.
func (t *SourceTask) newFetcher(reading *kafka.Config) *kafka.Fetcher {
	if !t.lane.batches {
		return kafka.NewFetcher(t.client, reading, t.logger)
	}
	memory := rawkafka.NewMemory(t.settings.Int(rawMemoryKey))
	t.reader = rawkafka.NewReader(t.client, reading, memory, t.logger)
	return t.reader.NewFetcher()
}

// wholes makes a record of each fetched batch, which stands for the batch on its way: its
// offset is that of the batch's first record, its timestamp the youngest record's. What
// lies behind the end of the partition's batch, in the batch mode, is cut off.
func (p *sourcePartition) wholes(fetched []kafka.Batch) ([]kafka.Record, error) {
	records := make([]kafka.Record, 0, len(fetched))
	for i := range fetched {
		b := fetched[i]
		if p.end >= 0 {
			rest, some, err := rawkafka.Before(b, p.end)
			if err != nil {
				return records, fmt.Errorf("the batch at offset %d of %s cannot be cut where the mirrored batch ends: %w", b.First, p.tp, err)
			}
			if !some {
				continue
			}
			b = rest
		}
		records = append(records, kafka.Record{Topic: p.tp.Topic, Partition: p.tp.Partition, Offset: b.First, Timestamp: b.MaxTimestamp, Batch: &b})
	}
	return records, nil
}

// behind is the offset behind a record, or behind the batch that it stands for.
func behind(r *kafka.Record) int64 {
	if r.Batch != nil {
		return r.Batch.Last + 1
	}
	return r.Offset + 1
}

// refused is the offset of the record that the target has refused, which for a batch need
// not be its first.
func (o *sourceOffset) refused(err error) int64 {
	if o.whole == nil {
		return o.offset
	}
	stored := int32(0)
	if partial, ok := errors.AsType[*kafka.PartialBatchError](err); ok {
		stored = partial.Stored
	}
	if o.whole.Offsets != nil {
		return o.whole.Offsets[stored]
	}
	return o.whole.First + int64(stored)
}

// drop forgets records that are not handed out.
func drop(records []kafka.Record) {
	for i := range records {
		if b := records[i].Batch; b != nil {
			b.Release()
		}
	}
}

// ackedBatch tells of a batch that was written to the target, as far as it is known where.
func (w *syncWriter) ackedBatch(tp replica.TopicPartition, b *kafka.Batch, md *connect.RecordMetadata) {
	n := min(md.Offset-md.First+1, int64(b.Records))
	if b.Offsets == nil {
		w.ackedRun(tp, b.Last-n+1, md.Offset-n+1, n)
		return
	}
	upstream := b.Offsets[int64(len(b.Offsets))-n:]
	downstream := md.Offset - n + 1
	for len(upstream) > 0 {
		run := 1
		for run < len(upstream) && upstream[run] == upstream[run-1]+1 {
			run++
		}
		w.ackedRun(tp, upstream[0], downstream, int64(run))
		downstream += int64(run)
		upstream = upstream[run:]
	}
}
