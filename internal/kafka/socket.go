package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/IBM/sarama"
)

// Socket is a connection to a broker on which nothing was said yet, with TLS where security.protocol asks
// for it. It is for clients that speak the protocol themselves.
type Socket struct {
	net.Conn
	addr string
	cfg  *Config
	dial *socketDialer
}

// Dial connects to a broker as the client's configuration says. The error names addr and the reason.
func (c *Client) Dial(ctx context.Context, addr string) (*Socket, error) {
	dialling, cancel := context.WithCancel(ctx)
	s := &Socket{addr: addr, cfg: c.cfg, dial: &socketDialer{dialer: c.cfg.dialer, ctx: dialling, cancel: cancel}}
	conn, err := s.dial.Dial("tcp", addr)
	if err != nil {
		cancel()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, s.Explain(err, false)
	}
	s.Conn = conn
	return s, nil
}

// Close cuts the connection.
func (s *Socket) Close() error {
	s.dial.cut()
	return nil
}

// Gather has reads wait until n bytes are there, so that a long answer does not wake its reader for each piece of it. Who
// reads must be sure that so many will come, and set it back to 1. Where the system cannot do it, and with TLS, it
// does nothing.
func (s *Socket) Gather(n int) { gather(s.dial.socket, n) }

// RoundTrip is the shortest time in which the other side's system has acknowledged anything, 0 where that is not known.
func (s *Socket) RoundTrip() time.Duration { return roundTrip(s.dial.socket) }

// Explain says in one clause what went wrong with the connection; answered is whether a request was answered
// on it before. The error is a *ConnectionError.
func (s *Socket) Explain(err error, answered bool) error {
	c := &connection{addr: s.addr, dial: s.dial, cfg: s.cfg, used: answered}
	return c.explain(err)
}

// Addr is where a broker listens, asked of the cluster when it is not known.
func (c *Client) Addr(ctx context.Context, node int32) (string, error) {
	return c.brokerAddr(ctx, node)
}

// Forget drops the address of a broker that does not answer, so that it is asked for anew.
func (c *Client) Forget(node int32) { c.forget(node) }

// TransactionCoordinator is where the coordinator of a transactional id listens.
func (c *Client) TransactionCoordinator(ctx context.Context, transactionalID string) (addr string, err error) {
	_, addr, err = c.coordinator(ctx, sarama.CoordinatorTransaction, transactionalID, OpUse)
	return addr, err
}

// AnyAddr is where some broker of the cluster listens.
func (c *Client) AnyAddr() string { return c.candidates()[0] }

// Report logs, once for all clients of a cluster, that it cannot be used for the reason given, or with nil that
// it can be used again.
func (c *Client) Report(err error) {
	if err == nil {
		c.report("")
		return
	}
	c.report(err.Error())
}

// FindLeaders asks which brokers lead partitions. With create, topics that do not exist are created if the brokers'
// configuration allows it. The second map holds the partitions that have no leader, or must not be seen.
func (c *Client) FindLeaders(ctx context.Context, partitions []TopicPartition, create bool) (map[TopicPartition]int32, map[TopicPartition]error, error) {
	topics := make(map[TopicPartition]struct{}, len(partitions))
	for _, tp := range partitions {
		topics[tp] = struct{}{}
	}
	leaders, refused, err := c.leaders(ctx, topicsOf(topics), OpWrite, create)
	if err != nil {
		return nil, nil, err
	}
	nodes, failed := make(map[TopicPartition]int32, len(partitions)), map[TopicPartition]error{}
	for _, tp := range partitions {
		l, known := leaders[tp]
		switch {
		case refused[tp.Topic] != nil:
			failed[tp] = refused[tp.Topic]
		case !known:
			failed[tp] = fmt.Errorf("the topic %s has no partition %d: %w", tp.Topic, tp.Partition, ErrUnknownTopicOrPartition)
		case l.err != nil:
			failed[tp] = l.err
		default:
			nodes[tp] = l.leader
		}
	}
	return nodes, failed, nil
}

// PartitionCount asks how many partitions a topic has.
func (c *Client) PartitionCount(ctx context.Context, topic string) (int32, error) {
	leaders, refused, err := c.leaders(ctx, []string{topic}, OpWrite, true)
	if err == nil {
		err = refused[topic]
	}
	if err != nil {
		return 0, err
	}
	return int32(len(leaders)), nil
}

// KeyPartition is where Java's producer puts records with that key, of so many partitions.
func KeyPartition(key []byte, partitions int32) (int32, error) {
	m := &sarama.ProducerMessage{Key: sarama.ByteEncoder(key)}
	return sarama.NewMurmur2Partitioner("").Partition(m, partitions)
}

// AnswerError turns an error code of a broker into an error, nil for 0. op and resource say, for refusals of rights,
// what was tried on what.
func (c *Client) AnswerError(code int16, message *string, op Operation, resource string) error {
	return c.cfg.answerError(sarama.KError(code), message, op, resource)
}

// IsFenced says whether an answer means that another producer with the transactional.id took over.
func IsFenced(err error) bool {
	return errors.Is(fencing(err), ErrFenced)
}
