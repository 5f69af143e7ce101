package rawkafka

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/internal/awake"
	"tributary/internal/kafka"
)

// fetchVersion is the newest that names topics; newer ones want their ids.
const fetchVersion = 12

// Reader is what the pullers of one fetcher share.
type Reader struct {
	client *kafka.Client
	cfg    *kafka.Config
	memory *Memory
	logger *slog.Logger
	// rebuilt counts batches that were encoded again.
	rebuilt atomic.Int64
}

// NewReader makes pullers that hold what they fetch in memory. cfg must be of RoleConsumer.
func NewReader(client *kafka.Client, cfg *kafka.Config, memory *Memory, logger *slog.Logger) *Reader {
	return &Reader{client: client, cfg: cfg, memory: memory, logger: logger}
}

// NewFetcher returns a fetcher of whole batches without partitions: what it fetches is in Fetched.Batches.
func (r *Reader) NewFetcher() *kafka.Fetcher {
	return kafka.NewFetcherOf(r.client, r.cfg, r.logger, func(node int32) kafka.Puller {
		r.memory.join()
		return &puller{Reader: r, node: node}
	})
}

// Rebuilt is how many batches had to be encoded again so far.
func (r *Reader) Rebuilt() int64 { return r.rebuilt.Load() }

// puller is a kafka.Puller of whole batches.
type puller struct {
	*Reader
	node    int32
	conn    *connection
	session session
}

// Close implements kafka.Puller.
func (p *puller) Close() {
	p.drop()
	p.memory.leave()
}

func (p *puller) drop() {
	p.session.reset()
	if p.conn != nil {
		p.conn.close()
		p.conn = nil
	}
}

// Pull implements kafka.Puller.
func (p *puller) Pull(ctx context.Context, asks []kafka.Ask, wait time.Duration) ([]kafka.Answer, time.Duration, error) {
	if err := p.connect(ctx); err != nil {
		return nil, 0, err
	}
	share, err := p.memory.reserve(ctx, p.memory.share(int64(p.cfg.Consumer.FetchMaxBytes)))
	if err != nil {
		return nil, 0, err
	}
	request := p.request(asks, share, wait)
	var held *buffer
	answer, err := p.conn.roundTrip(ctx, request, p.cfg.Consumer.FetchMaxWait, func(size int) []byte {
		if size >= piece { // much is moved
			awake.Keep()
		}
		p.memory.giveBack(share)
		held = p.memory.take(size)
		return held.bytes
	})
	if held == nil {
		p.memory.giveBack(share)
	} else {
		defer held.release()
	}
	if err != nil {
		p.drop()
		return nil, 0, err
	}
	resp := request.ResponseKind().(*kmsg.FetchResponse)
	if err := resp.ReadFrom(answer); err != nil {
		p.drop()
		return nil, 0, fmt.Errorf("the answer to a fetch request cannot be decoded: %w", err)
	}
	throttle := time.Duration(resp.ThrottleMillis) * time.Millisecond
	if err := p.client.AnswerError(resp.ErrorCode, nil, kafka.OpRead, ""); err != nil {
		lost := p.session.id != 0 && sessionLost(resp.ErrorCode)
		p.session.reset()
		if lost {
			return nil, throttle, nil // the next request begins another
		}
		return nil, throttle, err
	}
	p.session.answered(resp.SessionID)
	return p.answers(resp, held), throttle, nil
}

// sessionLost are the codes of brokers that have forgotten a session, or have another idea of it.
func sessionLost(code int16) bool { return code == 70 || code == 71 || code == 106 }

func (p *puller) connect(ctx context.Context) error {
	if p.conn != nil && !p.conn.expired() && !p.conn.broken() {
		return nil
	}
	p.drop()
	addr, err := p.client.Addr(ctx, p.node)
	if err != nil {
		return err
	}
	p.conn, err = dial(ctx, p.client, p.cfg, addr)
	return err
}

// request makes the next request of the session.
func (p *puller) request(asks []kafka.Ask, most int64, wait time.Duration) *kmsg.FetchRequest {
	c := p.cfg.Consumer
	request := kmsg.NewPtrFetchRequest()
	request.Version = p.conn.version(kmsg.Fetch, fetchVersion)
	request.ReplicaID = -1
	request.MaxWaitMillis = int32(wait / time.Millisecond)
	request.MinBytes = int32(c.FetchMinBytes)
	request.MaxBytes = int32(most)
	request.Rack = p.cfg.ClientRack
	if c.ReadCommitted {
		request.IsolationLevel = 1
	}
	request.SessionID, request.SessionEpoch = p.session.id, p.session.epoch
	changed, forgotten := p.session.next(asks)
	topics := map[string]int{}
	for _, a := range changed {
		i, ok := topics[a.Topic]
		if !ok {
			i = len(request.Topics)
			topics[a.Topic] = i
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic = a.Topic
			request.Topics = append(request.Topics, topic)
		}
		partition := kmsg.NewFetchRequestTopicPartition()
		partition.Partition, partition.FetchOffset = a.Partition, a.Offset
		partition.CurrentLeaderEpoch, partition.LastFetchedEpoch, partition.LogStartOffset = -1, -1, -1
		partition.PartitionMaxBytes = int32(min(int64(c.MaxPartitionFetchBytes), most))
		request.Topics[i].Partitions = append(request.Topics[i].Partitions, partition)
	}
	for _, tp := range forgotten {
		topic := kmsg.NewFetchRequestForgottenTopic()
		topic.Topic, topic.Partitions = tp.Topic, []int32{tp.Partition}
		request.ForgottenTopics = append(request.ForgottenTopics, topic)
	}
	return request
}

// answers takes an answer apart. Its batches hold the buffer until they are released.
func (p *puller) answers(resp *kmsg.FetchResponse, held *buffer) []kafka.Answer {
	var answers []kafka.Answer
	for i := range resp.Topics {
		topic := &resp.Topics[i]
		for j := range topic.Partitions {
			part := &topic.Partitions[j]
			tp := kafka.TopicPartition{Topic: topic.Topic, Partition: part.Partition}
			if offset, asked := p.session.sent[tp]; asked {
				answers = append(answers, p.answer(tp, offset, part, held))
			}
		}
	}
	return answers
}

func (p *puller) answer(tp kafka.TopicPartition, offset int64, part *kmsg.FetchResponseTopicPartition, held *buffer) kafka.Answer {
	a := kafka.Answer{Replica: -1}
	a.TopicPartition, a.NextOffset = tp, offset
	if a.Refusal = p.client.AnswerError(part.ErrorCode, nil, kafka.OpRead, tp.Topic); a.Refusal != nil {
		return a
	}
	a.HighWatermark, a.LastStableOffset, a.LogStartOffset = part.HighWatermark, part.LastStableOffset, part.LogStartOffset
	c := cutter{topic: tp.Topic, from: offset}
	if p.cfg.Consumer.ReadCommitted {
		c.aborted = newAbortedRanges(part.AbortedTransactions)
	}
	err := c.cut(part.RecordBatches)
	a.NextOffset = c.next
	p.rebuilt.Add(int64(c.rebuilt))
	for _, b := range c.batches {
		a.Batches = append(a.Batches, p.hand(b, held))
	}
	switch {
	case err != nil && len(a.Batches) == 0 && a.NextOffset == offset:
		a.Err = &kafka.DamagedBatchError{TopicPartition: tp, Offset: offset, Err: err}
	case err == nil && len(part.RecordBatches) > 0 && len(a.Batches) == 0 && a.NextOffset == offset:
		a.Err = fmt.Errorf("the record batch at offset %d of %s-%d does not arrive whole: %w", offset, tp.Topic, tp.Partition, errPartial)
	}
	if len(part.RecordBatches) == 0 {
		a.Replica = part.PreferredReadReplica
	}
	return a
}

// hand makes a batch that can be given away.
func (p *puller) hand(b cutBatch, held *buffer) kafka.Batch {
	out := kafka.Batch{
		Data: b.batch, First: b.first, Last: b.last, Records: int32(b.count()), Offsets: b.offsets,
		MaxTimestamp: b.maxTimestamp(),
	}
	l := &loan{memory: p.memory, bytes: b.batch}
	if b.own {
		p.memory.charge(int64(len(b.batch)))
	} else {
		held.hold()
		l.of, out.Own = held, l.own
	}
	out.Release = l.release
	return out
}

var _ kafka.Puller = (*puller)(nil)
