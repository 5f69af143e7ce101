package distributed

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect/herder"
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
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		h.BeforeJoin(ctx)

		if took := time.Since(began); took != time.Second {
			t.Errorf("it was ready to join after %s, want 1s, when the task had stopped", took)
		}
		if err := <-restarted; err != nil {
			t.Error(err)
		}
		c.expectTasks("mirror", 1, "1")
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
