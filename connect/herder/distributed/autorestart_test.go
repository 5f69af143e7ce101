package distributed

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/storage"
)

var testPolicy = RestartPolicy{First: 4 * time.Second, Longest: time.Minute}

func TestPausesBeforeRestartsDoubleUpToTheLongest(t *testing.T) {
	var got []string
	for attempt := 1; attempt <= 6; attempt++ {
		got = append(got, testPolicy.pause(attempt).String())
	}
	if diff := cmp.Diff("4s 8s 16s 32s 1m0s 1m0s", strings.Join(got, " ")); diff != "" {
		t.Error(diff)
	}
	if p := (RestartPolicy{First: time.Hour, Longest: time.Second}).pause(1); p != time.Second {
		t.Errorf("a first pause above the longest is %s", p)
	}
}

// startClock counts the starts of an instance from one look to the next.
type startClock struct {
	c    *cluster
	seen int
}

// next counts the starts since the last call.
func (s *startClock) next(id connect.TaskID) int {
	synctest.Wait()
	s.c.ledger.mu.Lock()
	defer s.c.ledger.mu.Unlock()
	n := 0
	for _, e := range s.c.ledger.events {
		if strings.Contains(e, fmt.Sprintf(" start %s-%d ", id.Connector, id.Task)) {
			n++
		}
	}
	defer func() { s.seen = n }()
	return n - s.seen
}

func TestWhatFailedIsRestartedWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		var listener *runner
		h := c.start("a", func(o *Options, r *runner) { o.Restarts, listener = testPolicy, r })
		c.put(t.Context(), "mirror", config("n", "2", "v", "1"))
		task := taskID("mirror", 1)
		clock := &startClock{c: c}
		clock.next(task)
		fail := func() { listener.listener.TaskState(task, storage.StateFailed, "torn\n\tat here", "1") }
		restartsAfter := func(pause time.Duration) {
			t.Helper()
			fail()
			time.Sleep(pause - time.Millisecond)
			if n := clock.next(task); n != 0 {
				t.Errorf("%d restarts before %s had passed", n, pause)
			}
			time.Sleep(2 * time.Millisecond)
			if n := clock.next(task); n != 1 {
				t.Errorf("%d restarts after %s, want one", n, pause)
			}
		}
		page := func() string {
			t.Helper()
			p, err := h.Replication(t.Context(), "mirror")
			if err != nil {
				t.Fatal(err)
			}
			out := ""
			for _, r := range p.Restarts {
				out += fmt.Sprintf("%d %s count=%d attempt=%d waiting=%v", *r.Task, r.WorkerID, r.Count, r.Attempt, r.Next != nil)
			}
			return out
		}

		restartsAfter(4 * time.Second)
		restartsAfter(8 * time.Second)
		if got := page(); got != "1 a count=2 attempt=2 waiting=false" {
			t.Errorf("the page: %s", got)
		}
		time.Sleep(testPolicy.Longest) // well for long enough
		restartsAfter(4 * time.Second)
		fail()
		synctest.Wait()
		if got := page(); got != "1 a count=3 attempt=2 waiting=true" {
			t.Errorf("the page: %s", got)
		}

		// Somebody restarts it before its time has come: nothing is left to do.
		if err := h.RestartTask(t.Context(), task); err != nil {
			t.Fatal(err)
		}
		clock.next(task)
		time.Sleep(time.Hour)
		if n := clock.next(task); n != 0 {
			t.Errorf("a task that runs was restarted %d times", n)
		}
		c.expectTasks("mirror", 2, "1")
	})
}

func TestAConnectorThatFailsIsRestartedOnlyIfThatIsAskedFor(t *testing.T) {
	for _, policy := range []RestartPolicy{testPolicy, {}} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t)
			h := c.start("a", func(o *Options, _ *runner) { o.Restarts = policy })
			c.put(t.Context(), "bad", config("n", "1", "v", "1", "fail", "yes"))
			clock := &startClock{c: c}
			clock.next(connectorID("bad"))
			time.Sleep(4*time.Second + 8*time.Second + time.Second)
			want := 2
			if policy.First == 0 {
				want = 0
			}
			if n := clock.next(connectorID("bad")); n != want {
				t.Errorf("%+v: %d restarts, want %d", policy, n, want)
			}
			if err := h.DeleteConnector(t.Context(), "bad"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if n := clock.next(connectorID("bad")); n != 0 {
				t.Errorf("%+v: a deleted connector was restarted %d times", policy, n)
			}
		})
	}
}
