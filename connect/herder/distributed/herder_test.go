package distributed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/connect/herder"
	"tributary/storage"
)

func config(pairs ...string) storage.ConnectorConfig {
	c := storage.ConnectorConfig{}
	for i := 0; i < len(pairs); i += 2 {
		c[pairs[i]] = &pairs[i+1]
	}
	return c
}

// put creates or replaces a connector through whichever worker leads.
func (c *cluster) put(ctx context.Context, name string, cfg storage.ConnectorConfig) {
	c.t.Helper()
	if _, _, err := c.leader().PutConnectorConfig(ctx, name, cfg, nil, true); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
}

func (c *cluster) leader() *Herder {
	synctest.Wait()
	for _, name := range slices.Sorted(maps.Keys(c.herders)) {
		if h := c.herders[name]; c.stops[name] != nil && h.view.Load().round.Leader() {
			return h
		}
	}
	c.t.Fatal("nobody leads")
	return nil
}

// kill ends a worker; its work moves on.
func (c *cluster) stop(name string) {
	c.stops[name]()
	delete(c.stops, name)
	synctest.Wait()
}

// expectTasks waits until things are quiet and checks that a connector's instance and
// exactly n tasks run somewhere, each once, all with the given value of v.
func (c *cluster) expectTasks(connector string, n int, v string) {
	c.t.Helper()
	synctest.Wait()
	owners := c.ledger.owners()
	var got []string
	for id := range owners {
		if id.Connector == connector {
			got = append(got, fmt.Sprint(id.Task))
		}
	}
	slices.Sort(got)
	want := []string{"-1"}
	for i := range n {
		want = append(want, fmt.Sprint(i))
	}
	if !slices.Equal(got, want) {
		c.t.Fatalf("connector %s runs as %v, want %v\nhistory:\n%s", connector, got, want, strings.Join(c.ledger.events, "\n"))
	}
	last := map[string]string{}
	for _, e := range c.ledger.events {
		f := strings.Fields(e)
		if f[1] == "start" {
			last[f[2]] = f[3]
		}
	}
	for i := -1; i < n; i++ {
		if key := fmt.Sprintf("%s-%d", connector, i); last[key] != "v="+v {
			c.t.Fatalf("%s runs with %s, want v=%s\nhistory:\n%s", key, last[key], v, strings.Join(c.ledger.events, "\n"))
		}
	}
}

func TestConnectorOfOneWorkerRunsFromCreationToDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", nil)
		ctx := t.Context()

		created, info, err := h.PutConnectorConfig(ctx, "mirror", config("connector.class", "X", "n", "2", "v", "1"), nil, false)
		if err != nil || !created || info.Name != "mirror" || *info.Config["n"] != "2" {
			t.Fatalf("create: created=%v info=%+v err=%v", created, info, err)
		}
		c.expectTasks("mirror", 2, "1")

		status, err := h.ConnectorStatus(ctx, "mirror")
		if err != nil || status.Connector.State != "RUNNING" || status.Connector.WorkerID != "a" || len(status.Tasks) != 2 || status.Tasks[1].State != "RUNNING" {
			t.Fatalf("status %+v, %v", status, err)
		}
		tasks, err := h.TaskInfos(ctx, "mirror")
		if err != nil || len(tasks) != 2 || tasks[1].Config["i"] != "1" {
			t.Fatalf("tasks %+v, %v", tasks, err)
		}

		var exists *herder.AlreadyExistsError
		if _, _, err := h.PutConnectorConfig(ctx, "mirror", config("n", "1", "v", "2"), nil, false); !errors.As(err, &exists) {
			t.Fatalf("creating it again: %v, want an AlreadyExistsError", err)
		}

		if err := h.DeleteConnector(ctx, "mirror"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if left := c.ledger.owners(); len(left) != 0 {
			t.Fatalf("after the deletion %v still run", left)
		}
		var gone *herder.NotFoundError
		if _, err := h.ConnectorStatus(ctx, "mirror"); !errors.As(err, &gone) {
			t.Fatalf("status of a deleted connector: %v, want a NotFoundError", err)
		}
	})
}

func TestChangedConfigurationReachesConnectorAndTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.start("a", nil)
		c.put(t.Context(), "mirror", config("n", "1", "v", "1"))
		c.expectTasks("mirror", 1, "1")

		c.put(t.Context(), "mirror", config("n", "3", "v", "2"))
		c.expectTasks("mirror", 3, "2")

		c.put(t.Context(), "mirror", config("n", "1", "v", "3"))
		c.expectTasks("mirror", 1, "3")
	})
}

// A key that is Live reaches the running tasks; the connector is started anew, its tasks are not.
func TestAChangeOfLiveKeysRestartsNoTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.start("a", meterWorker(t, meter{}))
		c.put(t.Context(), "mirror", config("name", "mirror", "connector.class", "test.Meter", "n", "2", "v", "1", "pace", "slow"))
		c.expectTasks("mirror", 2, "1")
		before := len(c.ledger.events)

		c.put(t.Context(), "mirror", config("name", "mirror", "connector.class", "test.Meter", "n", "2", "v", "1", "pace", "fast"))

		c.expectTasks("mirror", 2, "1")
		history := strings.Join(c.ledger.events[before:], "\n")
		for text, count := range map[string]int{"start mirror-0": 0, "stop mirror-0": 0, "start mirror-1": 0, "start mirror--1": 1, "tell mirror pace=fast of 2": 1} {
			if got := strings.Count(history, text); got != count {
				t.Errorf("%q %d times, want %d:\n%s", text, got, count, history)
			}
		}
	})
}

func TestPauseResumeStopAreCarriedOutAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", nil)
		ctx := t.Context()
		c.put(ctx, "mirror", config("n", "2", "v", "1"))
		c.expectTasks("mirror", 2, "1")

		for _, step := range []struct {
			do    func(context.Context, string) error
			state string
			tasks int
		}{{h.PauseConnector, "PAUSED", 2}, {h.ResumeConnector, "RUNNING", 2}, {h.StopConnector, "STOPPED", 0}, {h.ResumeConnector, "RUNNING", 2}} {
			if err := step.do(ctx, "mirror"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			status, err := h.ConnectorStatus(ctx, "mirror")
			if err != nil || status.Connector.State != step.state || len(status.Tasks) != step.tasks {
				t.Fatalf("want %s with %d tasks, have %+v, %v\n%s", step.state, step.tasks, status, err, strings.Join(c.ledger.events, "\n"))
			}
			for _, task := range status.Tasks {
				if task.State != step.state {
					t.Fatalf("task %d is %s, want %s", task.ID, task.State, step.state)
				}
			}
		}
		var unknown *herder.NotFoundError
		if err := h.PauseConnector(ctx, "other"); !errors.As(err, &unknown) || unknown.Message != "Unknown connector other" {
			t.Fatalf("pausing an unknown connector: %v", err)
		}
	})
}

func TestWorkIsSharedAndMovesWhenAWorkerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		slow := func(_ *Options, r *runner) { r.stopDelay = 300 * time.Millisecond }
		c.start("a", slow)
		c.put(t.Context(), "one", config("n", "3", "v", "1"))
		c.put(t.Context(), "two", config("n", "3", "v", "1"))
		c.start("b", slow)
		time.Sleep(5 * time.Second)
		c.expectTasks("one", 3, "1")
		c.expectTasks("two", 3, "1")
		load := map[string]int{}
		for _, w := range c.ledger.owners() {
			load[w]++
		}
		if load["a"] != 4 || load["b"] != 4 {
			t.Fatalf("work is shared as %v, want 4 each\n%s", load, strings.Join(c.ledger.events, "\n"))
		}

		// The configuration now changes through a group of two: one of them publishes task
		// configurations over the leader's internal endpoint.
		c.put(t.Context(), "one", config("n", "4", "v", "2"))
		c.put(t.Context(), "two", config("n", "2", "v", "2"))
		time.Sleep(5 * time.Second)
		c.expectTasks("one", 4, "2")
		c.expectTasks("two", 2, "2")

		c.stop("b")
		time.Sleep(5 * time.Second)
		c.expectTasks("one", 4, "2")
		c.expectTasks("two", 2, "2")
		for id, w := range c.ledger.owners() {
			if w != "a" {
				t.Fatalf("%v still runs on %s", id, w)
			}
		}
		status, err := c.herders["a"].ConnectorStatus(t.Context(), "two")
		if err != nil || status.Connector.State != "RUNNING" || status.Connector.WorkerID != "a" || len(status.Tasks) != 2 {
			t.Fatalf("status after the move: %+v, %v", status, err)
		}
	})
}

func TestFollowerNamesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.start("a", nil)
		synctest.Wait()
		b := c.start("b", nil)
		synctest.Wait()
		var elsewhere *herder.NotLeaderError
		if _, _, err := b.PutConnectorConfig(t.Context(), "x", config("n", "1"), nil, false); !errors.As(err, &elsewhere) || elsewhere.LeaderURL != "http://a/" {
			t.Fatalf("a follower's answer: %v", err)
		}
	})
}

func TestRestartsOfInstancesAndOfEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", nil)
		ctx := t.Context()
		c.put(ctx, "mirror", config("n", "2", "v", "1"))
		c.expectTasks("mirror", 2, "1")
		starts := func(id connect.TaskID) int {
			n := 0
			for _, e := range c.ledger.events {
				if strings.HasPrefix(e, fmt.Sprintf("a start %s-%d ", id.Connector, id.Task)) {
					n++
				}
			}
			return n
		}

		if err := h.RestartTask(ctx, connect.TaskID{Connector: "mirror", Task: 1}); err != nil {
			t.Fatal(err)
		}
		if got := []int{starts(connectorID("mirror")), starts(connect.TaskID{Connector: "mirror", Task: 0}), starts(connect.TaskID{Connector: "mirror", Task: 1})}; !slices.Equal(got, []int{1, 1, 2}) {
			t.Fatalf("restart of task 1: starts %v", got)
		}
		if err := h.RestartConnector(ctx, "mirror"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := []int{starts(connectorID("mirror")), starts(connect.TaskID{Connector: "mirror", Task: 0})}; !slices.Equal(got, []int{2, 1}) {
			t.Fatalf("restart of the connector alone: starts %v", got)
		}
		status, err := h.RestartConnectorAndTasks(ctx, storage.RestartRequest{Connector: "mirror", IncludeTasks: true})
		if err != nil || status.Connector.State != "RESTARTING" || status.Tasks[0].State != "RESTARTING" {
			t.Fatalf("restart of all: %+v, %v", status, err)
		}
		synctest.Wait()
		if got := []int{starts(connectorID("mirror")), starts(connect.TaskID{Connector: "mirror", Task: 0}), starts(connect.TaskID{Connector: "mirror", Task: 1})}; !slices.Equal(got, []int{3, 2, 3}) {
			t.Fatalf("restart of all: starts %v", got)
		}
		// Nothing has failed: a restart of what failed restarts nothing.
		if _, err := h.RestartConnectorAndTasks(ctx, storage.RestartRequest{Connector: "mirror", IncludeTasks: true, OnlyFailed: true}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := starts(connectorID("mirror")); got != 3 {
			t.Fatalf("onlyFailed restarted a running connector: %d starts", got)
		}
	})
}

func TestFailedConnectorIsReportedAndRestartSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", nil)
		ctx := t.Context()
		c.put(ctx, "bad", config("n", "1", "v", "1", "fail", "yes"))
		status, err := h.ConnectorStatus(ctx, "bad")
		if err != nil || status.Connector.State != "FAILED" || status.Connector.Trace != "told to fail" {
			t.Fatalf("status %+v, %v", status, err)
		}
		if err := h.RestartConnector(ctx, "bad"); err == nil || !strings.Contains(err.Error(), "Failed to start connector: bad") {
			t.Fatalf("restart: %v", err)
		}
		c.put(ctx, "bad", config("n", "1", "v", "2"))
		c.expectTasks("bad", 1, "2")
	})
}

func TestRestartSaysThatATaskCannotBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", func(_ *Options, r *runner) {
			r.divide = func() []map[string]string { return []map[string]string{{"fail": "yes"}} }
		})
		c.put(t.Context(), "bad", config("n", "1", "v", "1"))
		status, err := h.TaskStatus(t.Context(), taskID("bad", 0))
		if err != nil || status.State != "FAILED" || status.Trace != "told to fail" {
			t.Fatalf("status %+v, %v", status, err)
		}

		err = h.RestartTask(t.Context(), taskID("bad", 0))

		if err == nil || !strings.HasPrefix(err.Error(), "Failed to start task: bad-0") {
			t.Errorf("restart: %v", err)
		}
	})
}
