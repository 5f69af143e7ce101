package kafka

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

// Puller asks one broker for what lies at positions: it is the part of a Fetcher that knows how requests
// and answers look. One goroutine uses it.
type Puller interface {
	// Pull sends one fetch request and returns its answer. It waits for data as fetch.min.bytes and
	// fetch.max.wait.ms say, and ends with ctx. Partitions of which there is nothing to tell may be left
	// out of the answers. throttle is how long the broker wants to be left alone. The error is that of
	// the request as a whole.
	Pull(ctx context.Context, asks []Ask) (answers []Answer, throttle time.Duration, err error)
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
type recordPuller struct {
	client *Client
	cfg    *Config
	node   int32
	conn   *connection
}

// Close implements Puller.
func (r *recordPuller) Close() {
	if r.conn != nil {
		r.conn.close()
		r.conn = nil
	}
}

// Pull implements Puller.
func (r *recordPuller) Pull(ctx context.Context, asks []Ask) ([]Answer, time.Duration, error) {
	resp, err := r.ask(ctx, asks)
	if err == nil {
		err = r.cfg.answerError(sarama.KError(resp.ErrorCode), nil, OpRead, "")
	}
	if err != nil {
		if broken(err) {
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

func (r *recordPuller) ask(ctx context.Context, asks []Ask) (*sarama.FetchResponse, error) {
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
		MaxWaitTime:  int32(c.FetchMaxWait / time.Millisecond),
		MinBytes:     int32(c.FetchMinBytes),
		MaxBytes:     int32(c.FetchMaxBytes),
		RackID:       r.cfg.ClientRack,
		SessionEpoch: -1, // no fetch session
	}
	if c.ReadCommitted {
		req.Isolation = sarama.ReadCommitted
	}
	for _, a := range asks {
		req.AddBlock(a.Topic, a.Partition, a.Offset, int32(c.MaxPartitionFetchBytes), -1)
	}
	var resp *sarama.FetchResponse
	err := r.conn.do(ctx, func(broker *sarama.Broker) (err error) {
		resp, err = broker.Fetch(req)
		return err
	})
	return resp, err
}
