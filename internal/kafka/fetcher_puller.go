package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
)

// Puller asks one broker for what lies at positions: it is the part of a Fetcher that knows how requests
// and answers look. One goroutine uses it.
type Puller interface {
	// Pull sends one fetch request and returns its answer. The broker waits for data as fetch.min.bytes says,
	// but not longer than wait. Pull ends with ctx, and may be called again. Partitions of which there is nothing to tell may be left
	// out of the answers. throttle is how long the broker wants to be left alone. The error is that of
	// the request as a whole.
	Pull(ctx context.Context, asks []Ask, wait time.Duration) (answers []Answer, throttle time.Duration, err error)
	// Close gives up what the puller holds.
	Close()
}

// Ask is a partition and the position to read from.
type Ask struct {
	TopicPartition
	Offset int64
}

// Answer is what a broker says of one partition.
type Answer struct {
	Fetched
	// Refusal is the broker's error code for the partition, nil when it answered.
	Refusal error
	// Replica is the broker that is nearer to client.rack and should be asked instead (KIP-392), -1 for
	// none; the answer is empty then.
	Replica int32
}

// recordPuller unpacks records. It has a connection of its own: sarama's Broker is locked while a fetch
// waits for data.
//
// sarama decodes an answer as a whole, so a damaged batch costs those of all other partitions. Such an answer is asked
// for again in halves, until the partition is found; that one is a suspect from then on and asked alone.
type recordPuller struct {
	client   *Client
	cfg      *Config
	node     int32
	conn     *connection
	suspects map[TopicPartition]struct{}
}

// Close implements Puller.
func (r *recordPuller) Close() {
	if r.conn != nil {
		r.conn.close()
		r.conn = nil
	}
}

// Pull implements Puller.
func (r *recordPuller) Pull(ctx context.Context, asks []Ask, wait time.Duration) (answers []Answer, throttle time.Duration, err error) {
	if len(r.suspects) > 0 {
		sound := make([]Ask, 0, len(asks))
		for _, a := range asks {
			if _, suspect := r.suspects[a.TopicPartition]; !suspect {
				sound = append(sound, a)
				continue
			}
			found, muted, err := r.single(ctx, a)
			if err != nil {
				return nil, 0, err
			}
			throttle = max(throttle, muted)
			for i := range found {
				if found[i].Refusal != nil || found[i].Err != nil || found[i].NextOffset != a.Offset {
					wait = 0 // there is something to tell
				}
			}
			answers = append(answers, found...)
		}
		asks = sound
	}
	if len(asks) == 0 {
		return answers, throttle, nil
	}
	found, muted, err := r.together(ctx, asks, wait)
	return append(answers, found...), max(throttle, muted), err
}

// together asks for several partitions at once, and in halves if the answer cannot be decoded.
func (r *recordPuller) together(ctx context.Context, asks []Ask, wait time.Duration) ([]Answer, time.Duration, error) {
	answers, throttle, err := r.request(ctx, asks, wait, r.cfg.Consumer.MaxPartitionFetchBytes)
	switch {
	case err == nil || !undecodable(ctx, err):
		return answers, throttle, err
	case len(asks) == 1:
		if r.suspects == nil {
			r.suspects = map[TopicPartition]struct{}{}
		}
		r.suspects[asks[0].TopicPartition] = struct{}{}
		return r.first(ctx, asks[0])
	}
	half := len(asks) / 2
	answers, throttle, err = r.together(ctx, asks[:half], 0)
	if err != nil {
		return nil, 0, err
	}
	more, muted, err := r.together(ctx, asks[half:], 0)
	return append(answers, more...), max(throttle, muted), err
}

// single asks for a suspect alone, which is no suspect any more when its answer can be decoded.
func (r *recordPuller) single(ctx context.Context, a Ask) ([]Answer, time.Duration, error) {
	answers, throttle, err := r.request(ctx, []Ask{a}, 0, r.cfg.Consumer.MaxPartitionFetchBytes)
	if err != nil && undecodable(ctx, err) {
		return r.first(ctx, a)
	}
	if err == nil {
		delete(r.suspects, a.TopicPartition)
	}
	return answers, throttle, err
}

// first asks for the first batch alone: those before the damaged one are good.
func (r *recordPuller) first(ctx context.Context, a Ask) ([]Answer, time.Duration, error) {
	answers, throttle, err := r.request(ctx, []Ask{a}, 0, 1)
	if err != nil && undecodable(ctx, err) {
		damaged := Answer{Replica: -1}
		damaged.TopicPartition, damaged.NextOffset = a.TopicPartition, a.Offset
		if cause, ok := errors.AsType[sarama.PacketDecodingError](err); ok {
			err = cause
		}
		damaged.Err = &DamagedBatchError{TopicPartition: a.TopicPartition, Offset: a.Offset, Err: err}
		return []Answer{damaged}, 0, nil
	}
	return answers, throttle, err
}

// undecodable tells a failure to decode an answer from one to get it.
func undecodable(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if _, ok := errors.AsType[sarama.PacketDecodingError](err); ok {
		return true
	}
	if _, answered := errors.AsType[*ServerError](err); answered {
		return false
	}
	return !broken(err)
}

// request sends one request for at most maxBytes of each partition, or one batch if that is larger, and unpacks the
// answer.
func (r *recordPuller) request(ctx context.Context, asks []Ask, wait time.Duration, maxBytes int) ([]Answer, time.Duration, error) {
	resp, err := r.ask(ctx, asks, wait, maxBytes)
	if err == nil {
		err = r.cfg.answerError(sarama.KError(resp.ErrorCode), nil, OpRead, "")
	}
	if err != nil {
		if broken(err) && !undecodable(ctx, err) {
			r.Close()
		}
		return nil, 0, err
	}
	answers := make([]Answer, 0, len(asks))
	for _, a := range asks {
		block := resp.GetBlock(a.Topic, a.Partition)
		if block == nil {
			continue
		}
		answer := Answer{Replica: -1}
		if block.Err != sarama.ErrNoError {
			answer.Fetched.TopicPartition, answer.Refusal = a.TopicPartition, r.cfg.answerError(block.Err, nil, OpRead, a.Topic)
		} else {
			answer.Fetched = *decodeBlock(a.TopicPartition, a.Offset, block, r.cfg.Consumer.ReadCommitted)
			if len(answer.Records) == 0 {
				answer.Replica = block.PreferredReadReplica
			}
		}
		answers = append(answers, answer)
	}
	return answers, resp.ThrottleTime, nil
}

func (r *recordPuller) ask(ctx context.Context, asks []Ask, wait time.Duration, maxBytes int) (*sarama.FetchResponse, error) {
	c := r.cfg.Consumer
	if r.conn == nil {
		limited, cancel := context.WithTimeout(ctx, r.cfg.RequestTimeout)
		defer cancel()
		addr, err := r.client.brokerAddr(limited, r.node)
		if err != nil {
			return nil, err
		}
		if r.conn, err = open(r.cfg, addr, 1, r.cfg.RequestTimeout+c.FetchMaxWait); err != nil {
			return nil, err
		}
	}
	req := &sarama.FetchRequest{
		Version:      12,
		MaxWaitTime:  int32(wait / time.Millisecond),
		MinBytes:     int32(c.FetchMinBytes),
		MaxBytes:     int32(c.FetchMaxBytes),
		RackID:       r.cfg.ClientRack,
		SessionEpoch: -1, // no fetch session
	}
	if c.ReadCommitted {
		req.Isolation = sarama.ReadCommitted
	}
	for _, a := range asks {
		req.AddBlock(a.Topic, a.Partition, a.Offset, int32(maxBytes), -1)
	}
	var resp *sarama.FetchResponse
	err := r.conn.do(ctx, func(broker *sarama.Broker) (err error) {
		resp, err = broker.Fetch(req)
		return err
	})
	return resp, err
}
