package distributed

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/storage"
)

// starts counts how often each task was started, as "name-task:value".
func (c *cluster) startsOf(id string) (n int) {
	for _, e := range c.ledger.events {
		if f := strings.Fields(e); f[1] == "start" && f[2] == id {
			n++
		}
	}
	return n
}

func TestATaskWhoseConfigurationDidNotChangeRunsOnWhenOthersDo(t *testing.T) {
	for _, exactlyOnce := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t)
			var mu sync.Mutex
			shares := []string{"x", "y", "z"}
			h := c.start("a", func(o *Options, r *runner) {
				o.ExactlyOnce = exactlyOnce
				r.divide = func() (configs []map[string]string) {
					mu.Lock()
					defer mu.Unlock()
					for _, share := range shares {
						configs = append(configs, map[string]string{"v": share})
					}
					return configs
				}
			})
			c.put(t.Context(), "mirror", config("v", "1"))
			mu.Lock()
			shares = []string{"x", "Y", "z", "new"}
			mu.Unlock()
			h.TaskConfigsRequested("mirror")
			synctest.Wait()
			want := map[string]int{"mirror-0": 1, "mirror-1": 2, "mirror-2": 1, "mirror-3": 1}
			if exactlyOnce { // the leader fences them all
				want["mirror-0"], want["mirror-2"] = 2, 2
			}
			for id, n := range want {
				if got := c.startsOf(id); got != n {
					t.Errorf("exactly once %v: %s was started %d times, want %d\n%s", exactlyOnce, id, got, n, strings.Join(c.ledger.events, "\n"))
				}
			}

			// A changed connector concerns every task, for transformations and converters are its.
			c.put(t.Context(), "mirror", config("v", "2"))
			synctest.Wait()
			for id, n := range want {
				if got := c.startsOf(id); got != n+1 {
					t.Errorf("after a change of the connector %s was started %d times, want %d", id, got, n+1)
				}
			}
		})
	}
}

func TestAConnectorThatHasDoneItsWorkIsStoppedByTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.start("a", nil)
		c.start("b", nil)
		for _, name := range []string{"one", "two"} { // each worker runs one of them
			c.put(t.Context(), name, config("n", "1", "v", "1"))
		}
		owners := c.ledger.owners()
		for _, name := range []string{"one", "two"} {
			c.herders[owners[connect.TaskID{Connector: name, Task: -1}]].StopRequested(name, "all is copied")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, name := range []string{"one", "two"} {
			target, _ := c.leader().snapshot().TargetState(name)
			status, err := c.leader().ConnectorStatus(t.Context(), name)
			if target != storage.Stopped || err != nil || status.Connector.State != "STOPPED" || len(status.Tasks) != 0 {
				t.Errorf("%s has the target state %v and the status %+v, %v", name, target, status, err)
			}
		}
	})
}
