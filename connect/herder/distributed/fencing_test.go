package distributed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/storage"
	"tributary/storage/memstore"
)

// exactlyOnceWorker changes a worker so that it delivers exactly once.
func exactlyOnceWorker(t *testing.T, c *cluster, keep **runner) func(*Options, *runner) {
	sources := meterWorker(t, meter{})
	return func(o *Options, r *runner) {
		sources(o, r)
		o.Validator = nil
		o.ExactlyOnce = true
		o.Configs = memstore.NewConfigStore(c.configs, true, o.Logger)
		if keep != nil {
			*keep = r
		}
		c.t.Cleanup(func() {
			synctest.Wait() // for a herder that still begins one
			r.preflights.Wait()
		})
	}
}

// happened returns the events that contain one of the words, and forgets all.
func (l *ledger) happened(words ...string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, e := range l.events {
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(e, w) }) {
			out = append(out, e)
		}
	}
	l.events = nil
	return strings.Join(out, "; ")
}

// expectRecord checks the task count record of a connector.
func expectRecord(t *testing.T, h *Herder, connector string, want int) {
	t.Helper()
	got, ok := h.snapshot().TaskCountRecord(connector)
	if !ok || got != want || h.snapshot().PendingFencing(connector) {
		t.Errorf("task count record %d (there: %v), fencing pending: %v; want %d and not pending", got, ok, h.snapshot().PendingFencing(connector), want)
	}
}

func TestFormerTasksAreFencedOnceBeforeTheNewOnesStart(t *testing.T) {
	for _, test := range []struct {
		name     string
		from, to string
		fence    string
		record   int
	}{
		{"fewer tasks", "3", "2", "a fence s 3", 2},
		{"more tasks", "2", "3", "a fence s 2", 3},
		{"one and one fences itself", "1", "1", "", 1},
		{"one and two", "1", "2", "a fence s 1", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				h := c.start("a", exactlyOnceWorker(t, c, nil))
				c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", test.from, "v", "1"))
				// The first tasks have nobody before them.
				if got := c.ledger.happened("fence"); got != "" {
					t.Errorf("fenced at first: %s", got)
				}
				n := 0
				fmt.Sscan(test.from, &n)
				expectRecord(t, h, "s", n)

				c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", test.to, "v", "2"))
				events := c.ledger.happened("fence", "init")
				if test.fence != "" && !strings.HasPrefix(events, test.fence+"; a init") || strings.Count(events, "fence") != strings.Count(test.fence, "fence") {
					t.Errorf("happened: %s; want %q once, first", events, test.fence)
				}
				if strings.Count(events, "init") != test.record {
					t.Errorf("happened: %s; want %d tasks", events, test.record)
				}
				expectRecord(t, h, "s", test.record)
			})
		})
	}
}

func TestFollowersAskTheLeaderToFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.start("a", exactlyOnceWorker(t, c, nil))
		c.start("b", exactlyOnceWorker(t, c, nil))
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", "4", "v", "1"))
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", "4", "v", "2"))
		time.Sleep(time.Minute) // what was told to wait has tried again
		events := c.ledger.happened("fence")
		if want := c.leader().opts.WorkerID + " fence s 4"; events != want {
			t.Errorf("fenced: %s, want %s: once, by the leader", events, want)
		}
		expectRecord(t, c.herders["a"], "s", 4)
		expectRecord(t, c.herders["b"], "s", 4)
		owners := c.ledger.owners()
		if owners[connect.TaskID{Connector: "s", Task: 0}] == "" || len(owners) != 5 {
			t.Errorf("running: %v", owners)
		}
	})
}

func TestFencingWaitsForALeaderThatDoesNotKnowYetThatItLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.start("a", exactlyOnceWorker(t, c, nil))
		c.start("b", exactlyOnceWorker(t, c, nil))
		var asked atomic.Int32
		for _, h := range c.herders {
			h.opts.HTTP = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
				if !strings.HasSuffix(req.URL.Path, "/fence") || asked.Add(1) > 2 {
					return c.RoundTrip(req)
				}
				answer := httptest.NewRecorder()
				answer.WriteHeader(http.StatusInternalServerError)
				_, _ = answer.WriteString(`{"error_code":500,"message":"IO Error trying to forward REST request: dial tcp 127.0.0.1:8083: connect: connection refused"}`)
				return answer.Result(), nil
			})}
		}
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", "4", "v", "1"))
		time.Sleep(time.Minute) // what was told to wait has tried again
		status, err := c.leader().ConnectorStatus(t.Context(), "s")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range status.Tasks {
			if task.State != "RUNNING" {
				t.Errorf("task %d is %s: %s", task.ID, task.State, task.Trace)
			}
		}
		if asked.Load() < 3 || len(status.Tasks) != 4 {
			t.Errorf("%d requests were made to fence, for %d tasks", asked.Load(), len(status.Tasks))
		}
		expectRecord(t, c.herders["a"], "s", 4)
	})
}

func TestTasksFailWhenTheFormerOnesCannotBeFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		var r *runner
		h := c.start("a", exactlyOnceWorker(t, c, &r))
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", "2", "v", "1"))
		r.fenced = func(context.Context) error { return errors.New("no rights") }
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", "2", "v", "2"))
		status, err := h.ConnectorStatus(t.Context(), "s")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range status.Tasks {
			if task.State != "FAILED" || !strings.Contains(task.Trace, "Failed to perform zombie fencing: no rights") {
				t.Errorf("task %d is %s: %s", task.ID, task.State, task.Trace)
			}
		}
		if !h.snapshot().PendingFencing("s") {
			t.Error("fencing counts as done")
		}

		r.fenced = nil
		if _, err := h.RestartConnectorAndTasks(t.Context(), storage.RestartRequest{Connector: "s", IncludeTasks: true}); err != nil {
			t.Fatal(err)
		}
		c.expectTasks("s", 2, "2")
		expectRecord(t, h, "s", 2)
	})
}

func TestFencingIsInVainWhenNewTaskConfigurationsCameMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		var r *runner
		h := c.start("a", exactlyOnceWorker(t, c, &r))
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", "2", "v", "1"))
		held := make(chan struct{})
		r.fenced = func(context.Context) error { <-held; return nil }
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", "2", "v", "2"))
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", "3", "v", "3"))
		if !h.snapshot().PendingFencing("s") {
			t.Fatal("fencing counts as done while it lasts")
		}
		close(held)
		time.Sleep(time.Minute)
		expectRecord(t, h, "s", 3)
		failures := c.ledger.happened("fail")
		if !strings.Contains(failures, "Cannot start source task s-0 with exactly-once support as the connector has already generated a new set of task configs") {
			t.Errorf("failures: %s", failures)
		}
	})
}

func TestTaskTakenAwayMeanwhileIsNotConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", exactlyOnceWorker(t, c, nil))
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", "1", "v", "1"))
		generation, _ := h.snapshot().TaskConfigGeneration("s")
		err := h.confirm(t.Context(), connect.TaskID{Connector: "s", Task: 7}, generation)
		if err == nil || err.Error() != "Cannot start source task s-7 as it has already been revoked from this worker" {
			t.Errorf("a task of nobody: %v", err)
		}
		if err := h.confirm(t.Context(), connect.TaskID{Connector: "s"}, generation); err != nil {
			t.Errorf("a task of this worker: %v", err)
		}
	})
}

func TestFenceRequestIsRefusedWithoutSignatureAndForWhatIsNoSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", exactlyOnceWorker(t, c, nil))
		c.put(t.Context(), "k", config("name", "k", "connector.class", "Drain", "n", "1", "v", "1"))
		var unsigned *protocol.SignatureError
		if err := h.FenceZombies(t.Context(), "k", protocol.SignedRequest{}); !errors.As(err, &unsigned) {
			t.Errorf("unsigned: %v", err)
		}
		var wrong *herder.BadRequestError
		if err := h.fenceZombies(t.Context(), "k"); !errors.As(err, &wrong) || err.Error() != "Connector k is not a source connector" {
			t.Errorf("a sink: %v", err)
		}
		var unknown *herder.NotFoundError
		if err := h.fenceZombies(t.Context(), "x"); !errors.As(err, &unknown) {
			t.Errorf("an unknown connector: %v", err)
		}
	})
}

func TestOffsetsOfExactlyOnceSourcesAreModifiedInATransactionAfterFencing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		var r *runner
		h := c.start("a", exactlyOnceWorker(t, c, &r))
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", "2", "v", "1"))
		if err := h.StopConnector(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.ledger.happened()
		_, err := h.AlterOffsets(t.Context(), "s", []connect.OffsetChange{change(map[string]any{"p": int64(1)}, map[string]any{"o": int64(7)})})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.ledger.happened("fence"); got != "a fence s 2" {
			t.Errorf("fenced: %s", got)
		}
		if got := offsetsOf(t, h, "s"); got != `{"offsets":[{"partition":{"p":1},"offset":{"o":7}}]}` || r.committed != 1 {
			t.Errorf("offsets %s, written in %d transactions, want 1", got, r.committed)
		}
		if _, err := h.ResetOffsets(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
		if got := offsetsOf(t, h, "s"); got != `{"offsets":[]}` || r.committed != 2 {
			t.Errorf("after the reset: offsets %s, written in %d transactions, want 2", got, r.committed)
		}
		expectRecord(t, h, "s", 0)
	})
}

func TestFencedLeaderClaimsTheConfigTopicAgainForTheNextWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", exactlyOnceWorker(t, c, nil))
		c.put(t.Context(), "s", config("name", "s", "connector.class", "Plain", "n", "1", "v", "1"))
		zombie := memstore.NewConfigStore(c.configs, true, h.log)
		if err := zombie.Start(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		defer zombie.Stop()
		if err := zombie.ClaimWritePrivileges(t.Context()); err != nil {
			t.Fatal(err)
		}
		changed := config("name", "s", "connector.class", "Plain", "n", "1", "v", "2")
		_, _, err := h.PutConnectorConfig(t.Context(), "s", changed, nil, true)
		if !errors.Is(err, storage.ErrNotPrivileged) || !strings.Contains(err.Error(), "the request can be safely retried") {
			t.Errorf("the first write: %v", err)
		}
		if _, _, err := h.PutConnectorConfig(t.Context(), "s", changed, nil, true); err != nil {
			t.Errorf("the second write: %v", err)
		}
	})
}
