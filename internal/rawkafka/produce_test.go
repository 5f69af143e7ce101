package rawkafka

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

// loadOf makes one parcel for each partition of some topics, in turn, so that topics come mixed.
func loadOf(t *testing.T, topics, partitions int) []result {
	var batches []batch
	for codec := range int8(5) {
		batches = append(batches, mustEncode(t, sample(), codec))
	}
	var load []result
	for partition := range partitions {
		for topic := range topics {
			st := &stream{TopicPartition: kafka.TopicPartition{Topic: fmt.Sprintf("topic-%d", topic), Partition: int32(partition)}, bundleLimit: bundleBytes}
			p := &parcel{data: slices.Clone(batches[partition%5]), id: identity{int64(topic), 3}, sequence: int32(partition)}
			load = append(load, result{stream: st, parcel: p})
		}
	}
	return load
}

// A request says what kmsg reads, in both forms that lengths have, with lengths of one byte and of more.
func TestRequestsAreEncodedAsKmsgReadsThem(t *testing.T) {
	for version := int16(3); version <= implicitAddVersion; version++ {
		for _, size := range [][2]int{{1, 1}, {2, 8}, {150, 2}, {1, 150}} {
			t.Run(fmt.Sprintf("version %d, %d topics of %d", version, size[0], size[1]), func(t *testing.T) {
				request := &produceRequest{ProduceRequest: kmsg.NewPtrProduceRequest(), load: loadOf(t, size[0], size[1])}
				request.Version, request.Acks, request.TimeoutMillis = version, -1, 1234
				var id *string
				if version%2 == 0 {
					name := "a transaction"
					id = &name
				}
				request.TransactionID = id
				want := map[kafka.TopicPartition][]byte{}
				for _, r := range request.load {
					data := append(batch(nil), r.parcel.data...)
					data.stamp(r.parcel.id, r.parcel.sequence, id != nil)
					want[r.stream.TopicPartition] = data
				}

				encoded := request.AppendTo([]byte("before"))

				read := kmsg.NewPtrProduceRequest()
				read.Version = version
				if err := read.ReadFrom(encoded[len("before"):]); err != nil {
					t.Fatal(err)
				}
				got, answer := map[kafka.TopicPartition][]byte{}, kmsg.NewPtrProduceResponse()
				answer.Version = version
				for _, topic := range read.Topics {
					told := kmsg.NewProduceResponseTopic()
					told.Topic = topic.Topic
					for _, p := range topic.Partitions {
						got[kafka.TopicPartition{Topic: topic.Topic, Partition: p.Partition}] = p.Records
						told.Partitions = append(told.Partitions, kmsg.NewProduceResponseTopicPartition())
					}
					answer.Topics = append(answer.Topics, told)
				}
				if !maps.EqualFunc(want, got, bytes.Equal) {
					t.Errorf("%d partitions have other batches than the %d that were to be sent", len(got), len(want))
				}
				if len(read.Topics) != size[0] || read.Acks != -1 || read.TimeoutMillis != 1234 || !cmp.Equal(read.TransactionID, id) {
					t.Errorf("%d topics, acks %d, timeout %d, transaction %v", len(read.Topics), read.Acks, read.TimeoutMillis, read.TransactionID)
				}
				least := 0
				if version >= 9 { // before the answer stand its size, the correlation and tags
					least = 9 + len(answer.AppendTo(nil))
				}
				if got := request.leastAnswer(); got != least {
					t.Errorf("the answer has at least %d bytes, not %d", least, got)
				}
			})
		}
	}
}

// A bundle with a record that cannot be decoded is left out of the request, and nothing else is.
func TestABundleThatCannotBeMadeIsLeftOut(t *testing.T) {
	load := loadOf(t, 1, 3)
	st := load[1].stream
	bad := &parcel{data: mustEncode(t, sample(), 0), id: noIdentity}
	bad.data[headerSize] = 0xff
	st.parcels = []*parcel{{data: mustEncode(t, sample(), 0), id: noIdentity}, bad}
	if load[1].parcel = st.bundle(st.parcels[0]); load[1].parcel.parts == nil {
		t.Fatal("no bundle was made")
	}
	request := &produceRequest{ProduceRequest: kmsg.NewPtrProduceRequest(), load: load}
	request.Version = produceVersion

	encoded := request.AppendTo(nil)

	read := kmsg.NewPtrProduceRequest()
	read.Version = produceVersion
	if err := read.ReadFrom(encoded); err != nil {
		t.Fatal(err)
	}
	var partitions []int32
	for _, p := range read.Topics[0].Partitions {
		partitions = append(partitions, p.Partition)
	}
	if diff := cmp.Diff([]int32{0, 2}, partitions); diff != "" {
		t.Error(diff)
	}
	if len(request.load) != 2 || len(request.left) != 1 || request.left[0].stream != st || request.left[0].err == nil {
		t.Errorf("sent %d, left %+v", len(request.load), request.left)
	}
}

// What a partition does not take is copied, for its bytes lie in an answer that holds more. Who sends it again, because it was given
// up, sends the copy: what was at its old place is something else by then.
func TestABatchThatWasCopiedIsSentAgainFromItsCopy(t *testing.T) {
	target := start(t, localkafka.Options{Topics: map[string]int32{"t": 1}})
	p := Producer{newSender(t, target.Bootstrap(), "request.timeout.ms", "100", "delivery.timeout.ms", "500")}
	stuck := target.Fail(localkafka.Fault{API: localkafka.Produce, Code: notEnoughReplicas, Topic: "t", Times: -1})

	lent, copies := []byte(mustEncode(t, []kafka.Record{{Timestamp: 1, Value: []byte("kept")}}, 0)), 0
	rec := &kafka.Record{Topic: "t", Batch: &kafka.Batch{Data: lent, Records: 1, Own: func() []byte {
		copies++
		own := slices.Clone(lent)
		copy(lent, mustEncode(t, []kafka.Record{{Timestamp: 1, Value: []byte("next")}}, 0))
		return own
	}}}
	outcome := make(chan error, 1)
	send := func() error {
		t.Helper()
		if err := p.Send(t.Context(), rec, func(_ kafka.Metadata, err error) { outcome <- err }); err != nil {
			t.Fatal(err)
		}
		return <-outcome
	}
	if _, late := errors.AsType[*kafka.TimeoutError](send()); !late || copies != 1 {
		t.Fatalf("the batch was not given up for being late, or was copied %d times", copies)
	}
	stuck.Undo()
	if err := send(); err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, r := range kafkatest.Dial(t, target.Bootstrap()).ReadPartition("t", 0, kafkatest.ReadUncommitted) {
		values = append(values, string(r.Value))
	}
	if diff := cmp.Diff([]string{"kept"}, values); diff != "" || copies != 1 {
		t.Errorf("copied %d times: %s", copies, diff)
	}
}
