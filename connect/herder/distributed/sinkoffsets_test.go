package distributed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/connect/herder"
	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/storage"
)

// checkedDrain is a sink connector that sees changes of its offsets.
type checkedDrain struct {
	drain
	seen *[]string
}

func (checkedDrain) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }

func (d checkedDrain) AlterSinkOffsets(_ context.Context, config map[string]string, offsets map[connect.TopicPartition]*int64) (bool, error) {
	for tp, offset := range offsets {
		shown := "removed"
		if offset != nil {
			shown = fmt.Sprint(*offset)
			if *offset < 0 {
				return false, errors.New("offsets are not negative")
			}
		}
		*d.seen = append(*d.seen, fmt.Sprintf("%s %s-%d %s", config["v"], tp.Topic, tp.Partition, shown))
	}
	return true, nil
}

type plainDrain struct{ drain }

func (plainDrain) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }

// fakeGroup is a consumer group in memory.
type fakeGroup struct {
	offsets map[connect.TopicPartition]int64
	members bool
	refusal error
	closed  int
}

func (g *fakeGroup) Offsets(context.Context) (map[connect.TopicPartition]int64, error) {
	return maps.Clone(g.offsets), g.refusal
}

func (g *fakeGroup) Alter(_ context.Context, offsets map[connect.TopicPartition]int64) error {
	if g.members {
		return ErrGroupHasMembers
	}
	maps.Copy(g.offsets, offsets)
	return nil
}

func (g *fakeGroup) Remove(_ context.Context, partitions []connect.TopicPartition) error {
	for _, tp := range partitions {
		delete(g.offsets, tp)
	}
	return nil
}

func (g *fakeGroup) Delete(context.Context) error {
	if g.members {
		return ErrGroupHasMembers
	}
	clear(g.offsets)
	return nil
}

func (g *fakeGroup) Close() error { g.closed++; return nil }

func drainWorker(t *testing.T, group *fakeGroup, seen *[]string) func(*Options, *runner) {
	return func(o *Options, _ *runner) {
		plugins, err := plugin.NewRegistry(
			plugin.Plugin{Class: "test.Checked", Kind: plugin.Sink, New: func() any { return checkedDrain{seen: seen} }},
			plugin.Plugin{Class: "test.Drain", Kind: plugin.Sink, New: func() any { return plainDrain{} }},
		)
		if err != nil {
			t.Fatal(err)
		}
		o.Plugins = plugins
		o.Validator = &herder.Validator{Plugins: plugins, Resolve: func(_ context.Context, _ string, config map[string]string) (map[string]string, error) {
			config = maps.Clone(config)
			config["v"] = "resolved"
			return config, nil
		}}
		o.SinkGroups = func(connector string, config map[string]string, _ *provider.Concealment) (SinkGroup, error) {
			if config["v"] != "resolved" {
				t.Errorf("the group of %s was opened with %v", connector, config)
			}
			return group, nil
		}
	}
}

func TestOffsetsOfASinkConnectorAreItsConsumerGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		group := &fakeGroup{offsets: map[connect.TopicPartition]int64{{Topic: "b", Partition: 1}: 7, {Topic: "a", Partition: 10}: 9007199254740993}}
		var seen []string
		h := c.start("a", drainWorker(t, group, &seen))
		ctx := t.Context()
		c.put(ctx, "s", config("name", "s", "connector.class", "Checked", "n", "1", "topics", "a", "v", "1"))
		want := `{"offsets":[{"partition":{"kafka_partition":10,"kafka_topic":"a"},"offset":{"kafka_offset":9007199254740993}},{"partition":{"kafka_partition":1,"kafka_topic":"b"},"offset":{"kafka_offset":7}}]}`
		if got := offsetsOf(t, h, "s"); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
		if err := h.StopConnector(ctx, "s"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()

		partition := func(topic string, p any) map[string]any {
			return map[string]any{"kafka_topic": topic, "kafka_partition": p}
		}
		message, err := h.AlterOffsets(ctx, "s", []connect.OffsetChange{
			change(partition("a", "10"), map[string]any{"kafka_offset": "5"}),
			change(partition("b", int64(1)), nil),
		})
		if err != nil || message.Message != "The offsets for this connector have been altered successfully" {
			t.Fatalf("altered: %q, %v", message.Message, err)
		}
		if got, want := offsetsOf(t, h, "s"), `{"offsets":[{"partition":{"kafka_partition":10,"kafka_topic":"a"},"offset":{"kafka_offset":5}}]}`; got != want {
			t.Fatalf("got %s", got)
		}
		if _, err := h.AlterOffsets(ctx, "s", []connect.OffsetChange{change(partition("a", int64(10)), map[string]any{"kafka_offset": int64(-1)})}); err == nil || err.Error() != "offsets are not negative" {
			t.Errorf("a refusal of the connector: %v", err)
		}
		group.members = true
		for verb, call := range map[string]func() error{
			"alter": func() error {
				_, err := h.AlterOffsets(ctx, "s", []connect.OffsetChange{change(partition("a", int64(10)), map[string]any{"kafka_offset": int64(1)})})
				return err
			},
			"reset": func() error { _, err := h.ResetOffsets(ctx, "s"); return err },
		} {
			err := call()
			if err == nil || !strings.HasPrefix(err.Error(), "Failed to "+verb+" consumer group offsets for connector s either because its tasks haven't stopped completely yet") ||
				!strings.HasSuffix(err.Error(), "zombie sink tasks.") {
				t.Errorf("%s with members: %v", verb, err)
			}
		}
		group.members = false
		message, err = h.ResetOffsets(ctx, "s")
		if err != nil || message.Message != "The offsets for this connector have been reset successfully" {
			t.Fatalf("reset: %q, %v", message.Message, err)
		}
		if got := offsetsOf(t, h, "s"); got != `{"offsets":[]}` {
			t.Fatalf("after the reset: %s", got)
		}
		if last := seen[len(seen)-1]; last != "resolved a-10 removed" {
			t.Errorf("the connector saw %v", seen)
		}
		if group.closed != 8 {
			t.Errorf("the group was closed %d times, want 8", group.closed)
		}

		c.put(ctx, "plain", config("name", "plain", "connector.class", "Drain", "n", "1", "topics", "a", "v", "1"))
		if err := h.StopConnector(ctx, "plain"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		message, err = h.ResetOffsets(ctx, "plain")
		if err != nil || !strings.HasPrefix(message.Message, "The Connect framework-managed offsets for this connector have been reset successfully. However,") {
			t.Fatalf("of a connector that does not say: %q, %v", message.Message, err)
		}
	})
}

func TestOffsetsThatCannotBeReadAreSaidToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		var seen []string
		h := c.start("a", drainWorker(t, &fakeGroup{refusal: errors.New("no rights")}, &seen))
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Checked", "n", "1", "topics", "a", "v", "1"))

		_, err := h.ConnectorOffsets(t.Context(), "s")

		if err == nil || err.Error() != "Failed to retrieve consumer group offsets for sink connector s: no rights" {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", func(o *Options, r *runner) {
			o.Plugins, o.Validator = nil, nil
			r.offsets = unreadable{r.offsets}
		})
		c.put(t.Context(), "m", config("n", "1", "v", "1"))

		_, err := h.ConnectorOffsets(t.Context(), "m")

		if err == nil || err.Error() != "Failed to retrieve offsets for source connector m: no rights" {
			t.Error(err)
		}
	})
}

// unreadable are offsets that nobody may read.
type unreadable struct{ storage.OffsetStore }

func (unreadable) Partitions(context.Context, string) ([]map[string]any, error) {
	return nil, errors.New("no rights")
}

func TestRequestedSinkOffsetsAreReadAsInJava(t *testing.T) {
	at := func(pairs ...any) map[string]any {
		out := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1]
		}
		return out
	}
	good := at("kafka_topic", "t", "kafka_partition", int64(2))
	for _, c := range []struct {
		partition, offset map[string]any
		want              string
	}{
		{good, at("kafka_offset", "12"), "{t 2} 12"},
		{at("kafka_topic", int64(5), "kafka_partition", "3", "more", true), nil, "{5 3} removed"},
		{nil, nil, "The partition for a sink connector offset cannot be null or missing"},
		{at("kafka_topic", "t"), nil, "The partition for a sink connector offset must contain the keys 'kafka_topic' and 'kafka_partition'"},
		{at("kafka_topic", nil, "kafka_partition", int64(1)), nil, "Kafka topic names must be valid strings and may not be null"},
		{at("kafka_topic", "t", "kafka_partition", nil), nil, "Kafka partitions must be valid numbers and may not be null"},
		{at("kafka_topic", "t", "kafka_partition", "x"), nil, "Failed to parse the following Kafka partition value in the provided offsets: 'x'. Partition values for sink connectors need to be integers."},
		{good, at("offset", int64(1)), "The offset for a sink connector should either be null or contain the key 'kafka_offset'"},
		{good, at("kafka_offset", 1.5), "Failed to parse the following Kafka offset value in the provided offsets: '1.5'. Offset values for sink connectors need to be integers."},
		{good, at("kafka_offset", nil), "Failed to parse the following Kafka offset value in the provided offsets: 'null'. Offset values for sink connectors need to be integers."},
	} {
		wanted, err := parseSinkOffsets([]connect.OffsetChange{change(c.partition, c.offset)})
		got := ""
		var bad *herder.BadRequestError
		switch {
		case errors.As(err, &bad):
			got = bad.Message
		case err != nil:
			t.Fatal(err)
		}
		for tp, offset := range wanted {
			got = fmt.Sprintf("%v removed", tp)
			if offset != nil {
				got = fmt.Sprintf("%v %d", tp, *offset)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%v %v: %s", c.partition, c.offset, d)
		}
	}
}
