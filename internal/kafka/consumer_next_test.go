package kafka

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
)

func TestAnErrorOfAPartitionCostsNoRecordsOfOthersAndIsToldOnce(t *testing.T) {
	cfg := testConfig(t, RoleConsumer, "localhost:1", "group.id", "g", "max.poll.records", "3")
	c, err := NewConsumer(cfg, Subscription{Topics: []string{"a"}}, &member{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(testContext(t))
	bad := errors.New("not readable")
	brings := func(p int32, next int64, values ...string) Fetched {
		f := Fetched{TopicPartition: TopicPartition{"a", p}, NextOffset: next}
		for i, v := range values {
			f.Records = append(f.Records, Record{Topic: "a", Partition: p, Offset: next - int64(len(values)-i), Value: []byte(v)})
		}
		return f
	}
	fails := Fetched{TopicPartition: TopicPartition{"a", 1}, Err: bad}
	for p := range int32(5) {
		c.owned[TopicPartition{"a", p}] = struct{}{}
	}
	c.Pause(TopicPartition{"a", 4})
	for name, test := range map[string]struct {
		pending []Fetched
		want    []string // what each call returns, and the positions of the partitions 0 to 3 after it
	}{
		"behind records":            {[]Fetched{brings(0, 1, "x"), fails, brings(2, 1, "y")}, []string{"x y [1 0 1 0]", "not readable [1 0 1 0]"}},
		"between more than fit":     {[]Fetched{brings(0, 2, "x", "X"), fails, brings(2, 2, "y", "Y")}, []string{"x X y [2 0 1 0]", "not readable [2 0 1 0]", "Y [2 0 2 0]"}},
		"before records":            {[]Fetched{fails, brings(2, 1, "y")}, []string{"not readable [0 0 0 0]", "y [0 0 1 0]"}},
		"behind a move of position": {[]Fetched{brings(0, 7), fails}, []string{"not readable [7 0 0 0]"}},
		"behind what is gone":       {[]Fetched{brings(5, 1, "z"), fails}, []string{"not readable [0 0 0 0]"}},
		"behind what rests":         {[]Fetched{brings(4, 1, "z"), fails, brings(3, 1, "y")}, []string{"not readable [0 0 0 0]", "y [0 0 0 1]"}},
	} {
		clear(c.positions)
		c.pending = test.pending
		var got []string
		for range len(test.want) + 1 {
			records, err := c.next()
			text := ""
			for _, r := range records {
				text += string(r.Value) + " "
			}
			if err != nil {
				text += err.Error() + " "
			}
			if text == "" {
				break
			}
			var at [4]int64
			for p := range at {
				at[p] = c.positions[TopicPartition{"a", int32(p)}]
			}
			got = append(got, text+fmt.Sprint(at))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("an error %s: %s", name, diff)
		}
	}
}

// A caller tells by it that nothing is wrong but that its wait has ended.
func TestAPollThatEndsWhilePositionsCannotBeLookedUpReturnsTheContextsError(t *testing.T) {
	cluster := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1}})
	loading := cluster.Fail(localkafka.Fault{API: localkafka.OffsetFetch, Code: int16(sarama.ErrOffsetsLoadInProgress), Times: -1})
	c, err := NewConsumer(testConfig(t, RoleConsumer, cluster.Bootstrap(), "group.id", "g"), Subscription{Topics: []string{"a"}}, &member{owns: map[TopicPartition]int64{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(testContext(t))
	all := testContext(t)
	for tries := 0; tries < 3 || loading.Hits() < 3; tries++ {
		ctx, cancel := context.WithTimeout(all, 50*time.Millisecond)
		records, err := c.Poll(ctx)
		ended := ctx.Err()
		cancel()
		if all.Err() != nil {
			t.Fatal("positions were never looked up")
		}
		if len(records) > 0 || err == nil || err != ended { //nolint:errorlint // exactly this
			t.Fatalf("got %d records, %v; want %v", len(records), err, ended)
		}
	}
}
