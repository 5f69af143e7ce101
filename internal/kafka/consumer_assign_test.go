package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// FuzzParseAssignment: what the leader of a consumer group hands out is another client's; nothing of it may crash a
// member.
func FuzzParseAssignment(f *testing.F) {
	whole := kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{{Topic: "t", Partitions: []int32{0, 3}}}}
	encoded := whole.AppendTo(nil)
	f.Add(encoded)
	f.Add(encoded[:len(encoded)-5])
	f.Add([]byte{0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Add([]byte{})
	balancer := kgo.RangeBalancer()
	f.Fuzz(func(t *testing.T, data []byte) {
		assigned, err := parseAssignment(balancer, data)
		if err != nil {
			return
		}
		for tp := range assigned {
			if len(tp.Topic) > len(data) || len(assigned) > len(data) {
				t.Errorf("%d partitions, %v among them, come from %d bytes", len(assigned), tp, len(data))
			}
		}
	})
}
