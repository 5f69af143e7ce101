package replica

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type change struct{ partition, offset map[string]any }

func with(m map[string]any, field string, value any) map[string]any {
	own := map[string]any{}
	for k, v := range m {
		own[k] = v
	}
	own[field] = value
	return own
}

func without(m map[string]any, field string) map[string]any {
	own := with(m, field, nil)
	delete(own, field)
	return own
}

func TestOffsetChangesAreCheckedFieldByField(t *testing.T) {
	source := SourcePartitionMap("A", "t", 3)
	checkpoint := CheckpointPartitionMap("g", TopicPartition{"A.t", 3})
	heartbeat := HeartbeatPartitionMap("A", "B")
	zero := WrapOffset(0)
	tests := []struct {
		name   string
		check  func(partition, offset map[string]any) error
		good   []change
		bad    []change
		inText []string // what the error for bad[i] names
	}{
		{
			name: "source", check: CheckSourceOffset,
			good: []change{
				{source, zero}, {source, WrapOffset(math.MaxInt64)},
				{source, map[string]any{"offset": 12}}, {source, map[string]any{"offset": json.Number("12")}},
				{with(source, "partition", json.Number("7")), zero}, {with(source, "partition", math.MaxInt32), zero},
				{with(source, "extra", true), with(zero, "extra", true)},
				{source, nil}, {nil, nil}, {map[string]any{"garbage": 1}, nil},
			},
			bad: []change{
				{nil, zero},
				{without(source, "cluster"), zero}, {with(source, "cluster", 1), zero}, {with(source, "cluster", nil), zero},
				{without(source, "topic"), zero}, {with(source, "topic", 1), zero},
				{without(source, "partition"), zero}, {with(source, "partition", "3"), zero},
				{with(source, "partition", 1.5), zero}, {with(source, "partition", -1), zero},
				{with(source, "partition", math.MaxInt32+1), zero}, {with(source, "partition", nil), zero},
				{source, map[string]any{}}, {source, map[string]any{"offset": nil}}, {source, map[string]any{"offset": "1"}},
				{source, map[string]any{"offset": 1.0}}, {source, map[string]any{"offset": json.Number("1.5")}}, {source, WrapOffset(-1)},
			},
			inText: []string{
				"null", "cluster", "cluster", "cluster", "topic", "topic",
				"partition", "partition", "partition", "partition", "partition", "partition",
				"offset", "offset", "offset", "offset", "offset", "0 or more",
			},
		},
		{
			name: "checkpoint", check: CheckCheckpointOffset,
			good: []change{{checkpoint, zero}, {checkpoint, nil}, {nil, nil}},
			bad: []change{
				{nil, zero}, {without(checkpoint, "group"), zero}, {with(checkpoint, "group", 4), zero},
				{without(checkpoint, "topic"), zero}, {with(checkpoint, "partition", -2), zero},
				{checkpoint, WrapOffset(1)}, {checkpoint, WrapOffset(-1)}, {checkpoint, map[string]any{}},
			},
			inText: []string{"null", "group", "group", "topic", "partition", "must be 0", "must be 0", "offset"},
		},
		{
			name: "heartbeat", check: CheckHeartbeatOffset,
			good: []change{{heartbeat, zero}, {heartbeat, nil}, {nil, nil}},
			bad: []change{
				{nil, zero}, {without(heartbeat, "sourceClusterAlias"), zero}, {with(heartbeat, "targetClusterAlias", true), zero},
				{heartbeat, WrapOffset(5)}, {heartbeat, map[string]any{"offset": "0"}},
			},
			inText: []string{"null", "sourceClusterAlias", "targetClusterAlias", "must be 0", "offset"},
		},
	}
	for _, test := range tests {
		for _, c := range test.good {
			if err := test.check(c.partition, c.offset); err != nil {
				t.Errorf("%s: %v → %v is refused: %v", test.name, c.partition, c.offset, err)
			}
		}
		for i, c := range test.bad {
			err := test.check(c.partition, c.offset)
			if err == nil {
				t.Errorf("%s: %v → %v is accepted", test.name, c.partition, c.offset)
			} else if !strings.Contains(err.Error(), test.inText[i]) {
				t.Errorf("%s: error %q does not say %q", test.name, err, test.inText[i])
			}
		}
	}
}

func TestStoredOffsetsAreUnwrapped(t *testing.T) {
	tests := []struct {
		stored map[string]any
		want   int64
	}{
		{nil, NoOffset}, {map[string]any{}, NoOffset}, {map[string]any{"offset": nil}, NoOffset},
		{map[string]any{"other": 3}, NoOffset}, {WrapOffset(0), 0}, {WrapOffset(math.MaxInt64), math.MaxInt64},
		{map[string]any{"offset": int32(7)}, 7}, {map[string]any{"offset": 7}, 7}, {map[string]any{"offset": json.Number("7")}, 7},
	}
	for _, test := range tests {
		if got, err := UnwrapOffset(test.stored); err != nil || got != test.want {
			t.Errorf("UnwrapOffset(%v) = %d, %v; want %d", test.stored, got, err, test.want)
		}
	}
	for _, bad := range []any{"7", 7.0, true, json.Number("7.5")} {
		if got, err := UnwrapOffset(map[string]any{"offset": bad}); err == nil {
			t.Errorf("UnwrapOffset of %v (%T) = %d, want an error", bad, bad, got)
		}
	}
}

func TestPartitionMapsHoldJavasFields(t *testing.T) {
	tests := []struct{ got, want map[string]any }{
		{SourcePartitionMap("A", "t", 3), map[string]any{"cluster": "A", "topic": "t", "partition": int64(3)}},
		{CheckpointPartitionMap("g", TopicPartition{"A.t", 3}), map[string]any{"group": "g", "topic": "A.t", "partition": int64(3)}},
		{HeartbeatPartitionMap("A", "B"), map[string]any{"sourceClusterAlias": "A", "targetClusterAlias": "B"}},
		{WrapOffset(5), map[string]any{"offset": int64(5)}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Error(diff)
		}
	}
	for _, m := range []map[string]any{SourcePartitionMap("A", "t", 3), CheckpointPartitionMap("g", TopicPartition{"t", 3})} {
		if tp, err := UnwrapTopicPartition(m); err != nil || tp != (TopicPartition{"t", 3}) {
			t.Errorf("UnwrapTopicPartition(%v) = %v, %v", m, tp, err)
		}
	}
	for _, bad := range []map[string]any{
		nil, HeartbeatPartitionMap("A", "B"), with(SourcePartitionMap("A", "t", 3), "topic", 3),
		SourcePartitionMap("A", "t", -1), with(SourcePartitionMap("A", "t", 3), "partition", int64(math.MaxInt32)+1),
	} {
		if tp, err := UnwrapTopicPartition(bad); err == nil {
			t.Errorf("UnwrapTopicPartition(%v) = %v, want an error", bad, tp)
		}
	}
}
