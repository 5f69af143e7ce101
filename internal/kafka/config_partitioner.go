package kafka

import (
	"math/rand/v2"

	"github.com/IBM/sarama"
)

// javaPartitioner places records of one topic as Java's producer does: at the given partition, else
// by murmur2 of the key, else on one partition until a batch is full (KIP-480). sarama makes one for
// each topic and calls it from a single goroutine.
type javaPartitioner struct {
	keyed sarama.Partitioner
	// batchBytes is how much goes to the sticky partition before the next one is drawn.
	batchBytes int
	sticky     int32
	stuck      int
}

var _ sarama.DynamicConsistencyPartitioner = (*javaPartitioner)(nil)

func newJavaPartitioner(topic string, batchBytes int) *javaPartitioner {
	return &javaPartitioner{keyed: sarama.NewMurmur2Partitioner(topic), batchBytes: batchBytes, sticky: -1}
}

// Partition places one record. A partition other than AnyPartition is taken as it is.
func (p *javaPartitioner) Partition(m *sarama.ProducerMessage, partitions int32) (int32, error) {
	if m.Partition != AnyPartition {
		return m.Partition, nil
	}
	if m.Key != nil {
		return p.keyed.Partition(m, partitions)
	}
	size := 0
	if m.Value != nil {
		size = m.Value.Length()
	}
	return p.unkeyed(size, partitions), nil
}

// unkeyed places a record without a key by the size of its value.
func (p *javaPartitioner) unkeyed(size int, partitions int32) int32 {
	if p.sticky < 0 || p.sticky >= partitions || p.stuck >= p.batchBytes {
		p.draw(partitions)
	}
	p.stuck += size
	return p.sticky
}

// draw picks another partition than the last one.
func (p *javaPartitioner) draw(partitions int32) {
	p.stuck = 0
	if p.sticky < 0 || p.sticky >= partitions || partitions == 1 {
		p.sticky = rand.Int32N(partitions)
		return
	}
	p.sticky = (p.sticky + 1 + rand.Int32N(partitions-1)) % partitions
}

// RequiresConsistency is asked only of partitioners that cannot tell by record.
func (p *javaPartitioner) RequiresConsistency() bool { return true }

// MessageRequiresConsistency is false for records that may avoid partitions without a leader.
func (p *javaPartitioner) MessageRequiresConsistency(m *sarama.ProducerMessage) bool {
	return m.Key != nil || m.Partition != AnyPartition
}
