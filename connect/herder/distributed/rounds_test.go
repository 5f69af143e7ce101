package distributed

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/connect/herder"
	"tributary/storage"
)

// A task that is stopped for its new configuration may be started again by the round in force, before this worker has
// joined the next one.
func TestAJoinWaitsForTheStopOfATaskNotForTheEndOfTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", func(_ *Options, r *runner) { r.stopDelay = time.Second })
		c.put(t.Context(), "mirror", config("n", "1", "v", "1"))
		c.expectTasks("mirror", 1, "1")

		restarted := make(chan error, 1)
		go func() { restarted <- h.RestartTask(t.Context(), taskID("mirror", 0)) }()
		synctest.Wait() // the task is stopping
		expectReadyToJoin(t, h, time.Second, "when the task had stopped")
		if err := <-restarted; err != nil {
			t.Error(err)
		}
		c.expectTasks("mirror", 1, "1")
	})
}

// expectReadyToJoin checks how long a worker takes to be ready to join.
func expectReadyToJoin(t *testing.T, h *Herder, want time.Duration, when string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	h.BeforeJoin(ctx)
	if took := time.Since(began); took != want {
		t.Errorf("it was ready to join after %s, want %s, %s", took, want, when)
	}
}

func TestAJoinWaitsForNoTaskThatStartedAgainWhileAnotherStillStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", func(_ *Options, r *runner) { r.stopDelay = time.Second })
		c.put(t.Context(), "mirror", config("n", "2", "v", "1"))
		c.expectTasks("mirror", 2, "1")

		restarted := make(chan error, 2)
		for task := range 2 {
			go func() { restarted <- h.RestartTask(t.Context(), taskID("mirror", task)) }()
			if task == 0 {
				time.Sleep(time.Second / 2) // the second stops half a second later
			}
		}
		synctest.Wait()
		expectReadyToJoin(t, h, time.Second, "when the second task had stopped")
		for range 2 {
			if err := <-restarted; err != nil {
				t.Error(err)
			}
		}
		c.expectTasks("mirror", 2, "1")
	})
}

func TestARestartThatRunsOutOfTimeSaysThatTheConnectorIsStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", func(_ *Options, r *runner) { r.silent = "mute" })
		c.put(t.Context(), "mute", config("n", "1", "v", "1"))
		var stages herder.Stages
		ctx, cancel := context.WithTimeout(herder.WithStages(t.Context(), &stages), time.Minute)
		defer cancel()

		err := h.RestartConnector(ctx, "mute")

		if err != context.DeadlineExceeded || !strings.HasPrefix(stages.Current(), "The worker is currently starting the connector, which began at ") {
			t.Errorf("%v, while %q", err, stages.Current())
		}
	})
}

// readTogether lets every worker read all that write puts into the config topic before it acts on any of it.
func (c *cluster) readTogether(write func()) {
	synctest.Wait()
	read := make(chan struct{})
	for _, h := range c.herders {
		h.loop.post(func() { <-read })
	}
	synctest.Wait()
	defer close(read)
	write()
}

func TestAConnectorStoppedAndResumedAtOnceHasItsTasksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.start("a", nil)
		c.start("b", nil)
		c.put(t.Context(), "mirror", config("n", "2", "v", "1"))
		c.expectTasks("mirror", 2, "1")
		leader := c.leader()

		c.readTogether(func() {
			if err := leader.StopConnector(t.Context(), "mirror"); err != nil {
				t.Fatal(err)
			}
			if err := leader.ResumeConnector(t.Context(), "mirror"); err != nil {
				t.Fatal(err)
			}
		})

		c.expectTasks("mirror", 2, "1")
		status, err := leader.ConnectorStatus(t.Context(), "mirror")
		if err != nil || status.Connector.State != "RUNNING" || len(status.Tasks) != 2 || status.Tasks[0].State != "RUNNING" || status.Tasks[1].State != "RUNNING" {
			t.Errorf("status %+v, %v", status, err)
		}
	})
}

func TestAConnectorDeletedAndMadeAnewAtOnceRunsAsTheNewOne(t *testing.T) {
	for _, next := range []string{"1", "2"} { // the configuration may be the same as before
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t)
			c.start("a", nil)
			c.start("b", nil)
			c.put(t.Context(), "mirror", config("n", "2", "v", "1"))
			c.expectTasks("mirror", 2, "1")
			leader := c.leader()
			before := c.startsOf("mirror--1")

			c.readTogether(func() {
				if err := leader.DeleteConnector(t.Context(), "mirror"); err != nil {
					t.Fatal(err)
				}
				if _, _, err := leader.PutConnectorConfig(t.Context(), "mirror", config("n", "2", "v", next), nil, false); err != nil {
					t.Fatal(err)
				}
			})

			c.expectTasks("mirror", 2, next)
			if got := c.startsOf("mirror--1") - before; got != 1 {
				t.Errorf("the connector was started %d times, want once:\n%s", got, strings.Join(c.ledger.events, "\n"))
			}
		})
	}
}

// busyConfigs is a config store to which somebody writes as soon as it was looked at.
type busyConfigs struct {
	storage.ConfigStore

	mu    sync.Mutex
	write func() // once
}

func (b *busyConfigs) Snapshot() *storage.ClusterState {
	state := b.ConfigStore.Snapshot()
	b.mu.Lock()
	write := b.write
	b.write = nil
	b.mu.Unlock()
	if write != nil {
		write()
	}
	return state
}

func TestAConnectorCreatedWhileARoundSettlesIsPlaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		busy := &busyConfigs{}
		h := c.start("a", func(o *Options, _ *runner) { busy.ConfigStore, o.Configs = o.Configs, busy })
		c.put(t.Context(), "early", config("n", "1", "v", "1"))
		c.expectTasks("early", 1, "1")

		round := h.view.Load().round
		busy.mu.Lock()
		busy.write = func() {
			if err := busy.PutConnectorConfig(context.Background(), "late", config("n", "1", "v", "1"), nil); err != nil {
				t.Error(err)
			}
		}
		busy.mu.Unlock()
		h.Assigned(round)

		c.expectTasks("late", 1, "1")
		c.expectTasks("early", 1, "1")
	})
}

// deafStatuses is a status topic that forgets what is written to it while it is deaf, as the store does with what it could
// not write when the worker's generation has passed.
type deafStatuses struct {
	storage.StatusStore
	deaf atomic.Bool
}

func (d *deafStatuses) PutConnector(connector string, status storage.Status) {
	if !d.deaf.Load() {
		d.StatusStore.PutConnector(connector, status)
	}
}

func (d *deafStatuses) PutTask(task connect.TaskID, status storage.Status) {
	if !d.deaf.Load() {
		d.StatusStore.PutTask(task, status)
	}
}

func (d *deafStatuses) PutTaskSafe(task connect.TaskID, status storage.Status) {
	if !d.deaf.Load() {
		d.StatusStore.PutTaskSafe(task, status)
	}
}

func TestAStatusThatWasLostWithItsGenerationIsWrittenInTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		statuses := &deafStatuses{}
		h := c.start("a", func(o *Options, _ *runner) { statuses.StatusStore, o.Statuses = o.Statuses, statuses })
		c.put(t.Context(), "mirror", config("n", "2", "v", "1"))
		c.expectTasks("mirror", 2, "1")

		statuses.deaf.Store(true)
		if err := h.PauseConnector(t.Context(), "mirror"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.TaskState(taskID("mirror", 1), storage.StateFailed, "told to fail", "1")
		statuses.deaf.Store(false)
		c.start("b", nil)
		synctest.Wait()

		want := map[connect.TaskID]storage.State{
			connectorID("mirror"): storage.StatePaused, taskID("mirror", 0): storage.StatePaused, taskID("mirror", 1): storage.StateFailed,
		}
		owners := c.ledger.owners()
		for id, status := range h.statuses("mirror") {
			if owners[id] == "a" && status.State != want[id] {
				t.Errorf("%v is shown as %s, want %s", id, status.State, want[id])
			}
		}
		before := c.statuses.Len()
		h.opts.Group.Rejoin("somebody asks")
		synctest.Wait()
		if now := c.statuses.Len(); now != before {
			t.Errorf("%d statuses were written that the topic had", now-before)
		}
	})
}
