package distributed

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/herder"
	"tributary/connect/plugin"
	"tributary/connect/provider"
)

// meter is a connector that sees changes of its offsets, as far as told.
type meter struct {
	connect.SourceConnector
	seen   *[][]connect.OffsetChange
	answer bool
	refuse *error
}

func (m meter) ConfigDef() *connect.ConfigDef {
	return connect.NewConfigDef(connect.ConfigKey{Name: "pace", Type: connect.TypeString, Default: "", Live: true})
}

func (m meter) AlterOffsets(_ context.Context, config map[string]string, changes []connect.OffsetChange) (bool, error) {
	if config["v"] != "resolved" {
		return false, errors.New("the configuration was not resolved")
	}
	if *m.refuse != nil {
		return false, *m.refuse
	}
	*m.seen = append(*m.seen, changes)
	return m.answer, nil
}

type plainMeter struct{ connect.SourceConnector }

func (plainMeter) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }

type drain struct{ connect.Connector }

// meterWorker changes a worker so that it has the connectors above.
func meterWorker(t *testing.T, m meter) func(*Options, *runner) {
	return func(o *Options, _ *runner) {
		plugins, err := plugin.NewRegistry(
			plugin.Plugin{Class: "test.Meter", Kind: plugin.Source, New: func() any { return m }},
			plugin.Plugin{Class: "test.Plain", Kind: plugin.Source, New: func() any { return plainMeter{} }},
			plugin.Plugin{Class: "test.Drain", Kind: plugin.Sink, New: func() any { return drain{} }},
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
	}
}

func change(partition, offset map[string]any) connect.OffsetChange {
	return connect.OffsetChange{Partition: partition, Offset: offset}
}

func offsetsOf(t *testing.T, h *Herder, connector string) string {
	t.Helper()
	offsets, err := h.ConnectorOffsets(t.Context(), connector)
	if err != nil {
		t.Fatal(err)
	}
	b, err := api.Marshal(offsets)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestOffsetsOfAStoppedConnectorCanBeReadAlteredAndReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		var seen [][]connect.OffsetChange
		var refuse error
		h := c.start("a", meterWorker(t, meter{seen: &seen, answer: true, refuse: &refuse}))
		ctx := t.Context()
		c.put(ctx, "m", config("name", "m", "connector.class", "Meter", "n", "1", "v", "1"))
		if got := offsetsOf(t, h, "m"); got != `{"offsets":[]}` {
			t.Fatalf("at first: %s", got)
		}
		changes := []connect.OffsetChange{
			change(map[string]any{"topic": "x", "partition": int64(3)}, map[string]any{"o": int64(9007199254740993)}),
			change(map[string]any{"partition": int64(3), "topic": "x"}, map[string]any{"o": int64(9007199254740995)}),
			change(map[string]any{"topic": "y", "partition": 3.0}, map[string]any{"o": 1.0}),
		}

		var running *herder.BadRequestError
		if _, err := h.AlterOffsets(ctx, "m", changes); !errors.As(err, &running) || !strings.Contains(err.Error(), "a 'PUT' request to the '/connectors/m/stop' endpoint") {
			t.Fatalf("while it runs: %v, want a BadRequestError", err)
		}
		if err := h.StopConnector(ctx, "m"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()

		message, err := h.AlterOffsets(ctx, "m", changes)
		if err != nil || message.Message != "The offsets for this connector have been altered successfully" {
			t.Fatalf("altered: %q, %v", message.Message, err)
		}
		want := `{"offsets":[{"partition":{"partition":3,"topic":"x"},"offset":{"o":9007199254740995}},{"partition":{"partition":3.0,"topic":"y"},"offset":{"o":1.0}}]}`
		if got := offsetsOf(t, h, "m"); got != want {
			t.Fatalf("altered:\n%s\nwant\n%s", got, want)
		}
		if d := cmp.Diff([][]connect.OffsetChange{{changes[1], changes[2]}}, seen); d != "" {
			t.Fatalf("the connector saw: %s", d)
		}

		refuse = errors.New("not those")
		if _, err := h.ResetOffsets(ctx, "m"); !errors.Is(err, refuse) {
			t.Fatalf("a refusal of the connector: %v", err)
		}
		if got := offsetsOf(t, h, "m"); got != want {
			t.Fatalf("after a refusal: %s", got)
		}
		refuse = nil
		if _, err := h.AlterOffsets(ctx, "m", []connect.OffsetChange{change(changes[0].Partition, nil)}); err != nil {
			t.Fatal(err)
		}
		if got, want := offsetsOf(t, h, "m"), `{"offsets":[{"partition":{"partition":3.0,"topic":"y"},"offset":{"o":1.0}}]}`; got != want {
			t.Fatalf("after one was removed: %s", got)
		}
		for range 2 { // a reset without offsets is a success, too
			message, err = h.ResetOffsets(ctx, "m")
			if err != nil || message.Message != "The offsets for this connector have been reset successfully" {
				t.Fatalf("reset: %q, %v", message.Message, err)
			}
			if got := offsetsOf(t, h, "m"); got != `{"offsets":[]}` {
				t.Fatalf("after the reset: %s", got)
			}
		}
	})
}

func TestErrorsAboutOffsetsDoNotShowWhatAReferenceStandsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		refusal := errors.New("no login with resolved, and none with resolved-twice")
		own := &provider.Concealment{}
		own.Add(map[string]string{"p": "${vault:worker}"}, map[string]string{"p": "resolved-twice"})
		h := c.start("a", func(o *Options, r *runner) {
			meterWorker(t, meter{refuse: &refusal})(o, r)
			o.Concealment = own
		})
		ctx := t.Context()
		c.put(ctx, "m", config("name", "m", "connector.class", "Meter", "n", "1", "v", "${vault:v}"))
		if err := h.StopConnector(ctx, "m"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_, err := h.AlterOffsets(ctx, "m", []connect.OffsetChange{change(map[string]any{"topic": "x"}, map[string]any{"o": int64(1)})})
		if err == nil || err.Error() != "no login with ${vault:v}, and none with ${vault:worker}" || !errors.Is(err, refusal) {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		var seen []string
		group := &fakeGroup{refusal: errors.New("no login with resolved")}
		h := c.start("a", drainWorker(t, group, &seen))
		ctx := t.Context()
		c.put(ctx, "s", config("name", "s", "connector.class", "Checked", "n", "1", "topics", "a", "v", "${vault:v}"))
		_, err := h.ConnectorOffsets(ctx, "s")
		if err == nil || err.Error() != "Failed to retrieve consumer group offsets for sink connector s: no login with ${vault:v}" {
			t.Error(err)
		}
		if err := h.StopConnector(ctx, "s"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_, err = h.ResetOffsets(ctx, "s")
		if err == nil || err.Error() != "Failed to list offsets prior to resetting offsets for sink connector s: no login with ${vault:v}" {
			t.Error(err)
		}
	})
}

func TestConnectorThatDoesNotLookAfterItsOffsetsIsSaidToNeedMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", meterWorker(t, meter{}))
		ctx := t.Context()
		stopped := config("name", "p", "connector.class", "Plain", "n", "1", "v", "1")
		c.put(ctx, "p", stopped)
		if err := h.StopConnector(ctx, "p"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		message, err := h.AlterOffsets(ctx, "p", []connect.OffsetChange{change(map[string]any{"a": true}, map[string]any{"b": nil})})
		want := "The Connect framework-managed offsets for this connector have been altered successfully. However, if this connector manages offsets externally, " +
			"they will need to be manually altered in the system that the connector uses."
		if err != nil || message.Message != want {
			t.Errorf("%q, %v", message.Message, err)
		}
		for want, partition := range map[string]map[string]any{
			"field q contains MAP":                        {"q": map[string]any{}},
			"field q contains ARRAY":                      {"q": []any{}},
			"field q contains a number that is too large": {"q": json.Number("18446744073709551616")},
		} {
			if _, err := h.AlterOffsets(ctx, "p", []connect.OffsetChange{change(partition, nil)}); err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%v: %v, want …%s", partition, err, want)
			}
		}
		if got := offsetsOf(t, h, "p"); got != `{"offsets":[{"partition":{"a":true},"offset":{"b":null}}]}` {
			t.Errorf("afterwards: %s", got)
		}
	})
}

func TestOffsetsAreModifiedByTheLeaderOfConnectorsThatThereAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.start("a", meterWorker(t, meter{}))
		c.start("b", meterWorker(t, meter{}))
		ctx := t.Context()
		leader := c.leader()
		follower := c.herders["a"]
		if follower == leader {
			follower = c.herders["b"]
		}
		var elsewhere *herder.NotLeaderError
		if _, err := follower.ResetOffsets(ctx, "nosuch"); !errors.As(err, &elsewhere) || elsewhere.LeaderURL != "http://"+leader.opts.WorkerID+"/" {
			t.Errorf("follower: %v", err)
		}
		var missing *herder.NotFoundError
		if _, err := leader.ResetOffsets(ctx, "nosuch"); !errors.As(err, &missing) || err.Error() != "Connector nosuch not found" {
			t.Errorf("reset of none: %v", err)
		}
		if _, err := follower.ConnectorOffsets(ctx, "nosuch"); !errors.As(err, &missing) {
			t.Errorf("offsets of none: %v", err)
		}
	})
}

func TestPatchMergesOverTheRawConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", nil)
		ctx := t.Context()
		c.put(ctx, "mirror", config("n", "1", "v", "1", "old", "${x:y}", "gone", "z"))
		patch := config("v", "2", "new", "y")
		patch["gone"], patch["never"] = nil, nil
		info, err := h.PatchConnectorConfig(ctx, "mirror", patch)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]string{"n": "1", "v": "2", "old": "${x:y}", "new": "y"}, withoutNulls(info.Config)); d != "" || len(info.Config) != 4 {
			t.Errorf("patched: %s", d)
		}
		c.expectTasks("mirror", 1, "2")

		var missing *herder.NotFoundError
		if _, err := h.PatchConnectorConfig(ctx, "nosuch", patch); !errors.As(err, &missing) || err.Error() != "Connector nosuch not found" {
			t.Errorf("patch of none: %v", err)
		}
	})
}

func TestPatchesAtTheSameTimeAllCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", nil)
		c.put(t.Context(), "mirror", config("n", "1", "v", "1"))
		keys := []string{"k1", "k2", "k3", "k4", "k5"}
		failures := make(chan error, len(keys))
		for _, key := range keys {
			go func() {
				_, err := h.PatchConnectorConfig(t.Context(), "mirror", config(key, "x"))
				failures <- err
			}()
		}
		for range keys {
			if err := <-failures; err != nil {
				t.Fatal(err)
			}
		}
		now, err := h.ConnectorConfig(t.Context(), "mirror")
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if now[key] == nil || *now[key] != "x" {
				t.Errorf("the patch of %s is lost: %v", key, withoutNulls(now))
			}
		}
	})
}

func TestLevelsForTheGroupReachEveryWorkerThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		heard := map[string][]string{}
		hears := func(name string) func(*Options, *runner) {
			return func(o *Options, _ *runner) {
				o.SetLoggerLevel = func(namespace, level string) { heard[name] = append(heard[name], namespace+"="+level) }
			}
		}
		c.start("a", hears("a"))
		b := c.start("b", hears("b"))
		synctest.Wait()
		if err := b.SetClusterLoggerLevel(t.Context(), "x.y", "debug"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.start("late", hears("late"))
		synctest.Wait()
		want := map[string][]string{"a": {"x.y=debug"}, "b": {"x.y=debug"}}
		if d := cmp.Diff(want, heard); d != "" {
			t.Error(d)
		}
	})
}
