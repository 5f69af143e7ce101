package rawkafka

import (
	"context"
	"time"

	"tributary/internal/kafka"
)

// Producer is a Sender for who writes one thing at a time and wants to hear of each: batches, and now and then a
// record. Methods may be called from any goroutine.
type Producer struct{ *Sender }

// Send hands over what rec holds: a batch, or a single record, which makes a batch of its own and may leave its
// partition to its key. It does not block but to look up partitions. When it returns nil, done is called once, as
// Outgoing.Done is; done may be nil. Until then the batch is the producer's, which may put a copy of it in its place.
func (p Producer) Send(ctx context.Context, rec *kafka.Record, done func(kafka.Metadata, error)) error {
	o := &Outgoing{TopicPartition: kafka.TopicPartition{Topic: rec.Topic, Partition: rec.Partition}, Stale: rec.Stale, told: done}
	if rec.Batch != nil {
		o.Data, o.Own, o.lent = rec.Batch.Data, rec.Batch.Own, rec.Batch
	} else if err := p.pack(ctx, rec, o); err != nil {
		return err
	}
	return p.Sender.Send(o)
}

func (p Producer) pack(ctx context.Context, rec *kafka.Record, o *Outgoing) (err error) {
	if rec.Partition == kafka.AnyPartition {
		partitions, err := p.partitions(ctx, rec.Topic)
		if err != nil {
			return err
		}
		if o.Partition, err = kafka.KeyPartition(rec.Key, partitions); err != nil {
			return err
		}
	}
	one := *rec
	if one.Timestamp == kafka.NoTimestamp {
		one.Timestamp = time.Now().UnixMilli()
	}
	o.Data, err = encode([]kafka.Record{one}, 0)
	return err
}

// topicSize is how many partitions a topic has, as of a time.
type topicSize struct {
	partitions int32
	asked      time.Time
}

// partitions is how many a topic has, asked anew after metadata.max.age.ms.
func (p Producer) partitions(ctx context.Context, topic string) (int32, error) {
	p.mu.Lock()
	known, ok := p.sizes[topic]
	p.mu.Unlock()
	if ok && time.Since(known.asked) < p.cfg.MetadataMaxAge {
		return known.partitions, nil
	}
	n, err := p.client.PartitionCount(ctx, topic)
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sizes[topic] = topicSize{n, time.Now()}
	return n, nil
}

// metadata says where the last records of a batch are.
func metadata(tp kafka.TopicPartition, pieces []Piece) kafka.Metadata {
	md := kafka.Metadata{Topic: tp.Topic, Partition: tp.Partition, Offset: -1, First: -1, Timestamp: kafka.NoTimestamp}
	for _, piece := range pieces {
		if piece.Base < 0 {
			md.Offset, md.First = -1, -1
			continue
		}
		if md.Offset < 0 || piece.Base != md.Offset+1 {
			md.First = piece.Base
		}
		md.Offset = piece.Base + int64(piece.Records) - 1
	}
	return md
}

// Before returns the part of a batch that lies before an offset of the source, encoded again; false if nothing does.
// The batch is released if it is not the result.
func Before(b kafka.Batch, end int64) (kafka.Batch, bool, error) {
	switch {
	case b.Last < end:
		return b, true, nil
	case b.First >= end:
		b.Release()
		return kafka.Batch{}, false, nil
	}
	defer b.Release()
	at := func(i int) int64 {
		if b.Offsets != nil {
			return b.Offsets[i]
		}
		return b.First + int64(i)
	}
	made, kept, err := rebuild(b.Data, func(i int, _ int64) bool { return at(i) < end })
	if err != nil || made == nil {
		return kafka.Batch{}, false, err
	}
	n := len(kept)
	out := kafka.Batch{Data: made, First: b.First, Last: at(n - 1), Records: int32(n), MaxTimestamp: made.maxTimestamp(), Release: func() {}}
	if b.Offsets != nil {
		out.Offsets = b.Offsets[:n]
	}
	return out, true, nil
}
