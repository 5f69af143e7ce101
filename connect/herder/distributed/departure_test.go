package distributed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/storage"
)

// startTwo starts workers a, which leads, and b in a group that waits long for missing
// workers, with two connectors of two tasks each shared between them.
func (c *cluster) startTwo() {
	c.hub.maxDelay = 5 * time.Minute
	c.start("a", nil)
	for _, name := range []string{"one", "two"} {
		c.put(c.t.Context(), name, config("n", "2", "v", "1"))
	}
	c.start("b", nil)
	time.Sleep(5 * time.Second)
	c.expectOwners(map[string]int{"a": 3, "b": 3})
}

func (c *cluster) expectOwners(want map[string]int) {
	c.t.Helper()
	synctest.Wait()
	got := map[string]int{}
	for _, w := range c.ledger.owners() {
		got[w]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Fatalf("work is shared as %v, want %v", got, want)
	}
}

// shown is what a worker's status store says of all instances, by their owners.
func (c *cluster) shown(worker string) map[connect.TaskID]storage.Status {
	c.t.Helper()
	all := map[connect.TaskID]storage.Status{}
	for _, connector := range []string{"one", "two"} {
		for id, status := range c.herders[worker].statuses(connector) {
			all[id] = status
		}
	}
	if len(all) != 6 {
		c.t.Fatalf("worker %s knows the status of %d instances, want 6: %v", worker, len(all), all)
	}
	return all
}

func TestWorkOfAWorkerThatStopsMovesWithoutTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.startTwo()

		c.stop("b")
		time.Sleep(5 * time.Second)

		c.expectOwners(map[string]int{"a": 6})
		for id, status := range c.shown("a") {
			if status.State != storage.StateRunning || status.WorkerID != "a" {
				t.Errorf("%v is shown as %+v, want it running on a", id, status)
			}
		}
	})
}

func TestGoodbyeThatTheLeaderDoesNotTakeKeepsNobodyFromLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.startTwo()
		c.herders["b"].opts.HTTP.Transport = refusing{}

		c.stop("b")
		time.Sleep(5 * time.Second)
		c.expectOwners(map[string]int{"a": 3})
		time.Sleep(5 * time.Minute)
		c.expectOwners(map[string]int{"a": 6})
	})
}

// refusing answers as a worker does that does not know the path.
type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody}, nil
}

func TestGoodbyesAreTakenOnlyByTheLeaderAndWithASignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.startTwo()
		sealed := func() protocol.SignedRequest {
			r, err := c.herders["a"].SignRequest("POST /internal/departures", []byte(`{"member":"b"}`))
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		signed := sealed()
		forged := signed
		forged.Body = []byte(`{"member":"a"}`)

		var refused *protocol.SignatureError
		if err := c.herders["a"].MemberDeparted(t.Context(), "a", forged); !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
			t.Errorf("a forged goodbye: %v", err)
		}
		var elsewhere *herder.NotLeaderError
		if err := c.herders["b"].MemberDeparted(t.Context(), "b", signed); !errors.As(err, &elsewhere) {
			t.Errorf("a goodbye to a follower: %v", err)
		}
		var bad *herder.BadRequestError
		if err := c.herders["a"].MemberDeparted(t.Context(), "", sealed()); !errors.As(err, &bad) {
			t.Errorf("a goodbye of nobody: %v", err)
		}
		if len(c.hub.departed) != 0 {
			t.Errorf("the group heard of %v", c.hub.departed)
		}
		if err := c.herders["a"].MemberDeparted(t.Context(), "b", signed); err != nil || !c.hub.departed["b"] {
			t.Errorf("a proper goodbye: %v, the group heard of %v", err, c.hub.departed)
		}
	})
}

func TestNothingIsShownAsRunningOnAWorkerThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.startTwo()
		before := c.shown("a")
		b := c.herders["b"].opts.Group.(*hubMember)

		b.unheard()
		time.Sleep(5 * time.Second)

		for _, reader := range []string{"a", "b"} {
			for id, status := range c.shown(reader) {
				want := before[id]
				if want.WorkerID == "b" {
					want.State, want.Generation = storage.StateUnassigned, status.Generation
				}
				if status != want {
					t.Errorf("worker %s shows %v as %+v, want %+v", reader, id, status, want)
				}
				if status.WorkerID == "b" && id.Task != connectorInstance && status.Generation <= before[id].Generation {
					t.Errorf("Java ignores an UNASSIGNED of generation %d over a RUNNING of generation %d", status.Generation, before[id].Generation)
				}
			}
		}

		// It was only unheard of, and has its work still.
		b.Rejoin("heard again")
		time.Sleep(5 * time.Second)

		c.expectOwners(map[string]int{"a": 3, "b": 3})
		for id, status := range c.shown("b") {
			want := before[id]
			want.Generation = status.Generation
			if status != want {
				t.Errorf("%v is shown as %+v, want %+v", id, status, want)
			}
		}
	})
}

func TestFailuresAreShownAfterTheirWorkerHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.startTwo()
		failed := slices.SortedFunc(func(yield func(connect.TaskID) bool) {
			for id, worker := range c.ledger.owners() {
				if worker == "b" && id.Task != connectorInstance && !yield(id) {
					return
				}
			}
		}, func(x, y connect.TaskID) int { return x.Task - y.Task })[0]
		c.herders["b"].TaskState(failed, storage.StateFailed, "the disk is full", "1")
		synctest.Wait()

		c.herders["b"].opts.Group.(*hubMember).unheard()
		time.Sleep(5 * time.Second)

		if status := c.shown("a")[failed]; status.State != storage.StateFailed || status.Trace != "the disk is full" {
			t.Errorf("%v is shown as %+v", failed, status)
		}
	})
}

// slowStore is a status store whose UNASSIGNED records take their time: they arrive when
// release is called.
type slowStore struct {
	storage.StatusStore

	mu   sync.Mutex
	held []func()
}

func (s *slowStore) PutConnector(connector string, status storage.Status) {
	s.hold(status, func() { s.StatusStore.PutConnector(connector, status) })
}

func (s *slowStore) PutTask(id connect.TaskID, status storage.Status) {
	s.hold(status, func() { s.StatusStore.PutTask(id, status) })
}

func (s *slowStore) hold(status storage.Status, write func()) {
	if status.State != storage.StateUnassigned {
		write()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, write)
}

// Flush gives those who have a limit the time to reach it.
func (s *slowStore) Flush(ctx context.Context) error {
	s.mu.Lock()
	waits := len(s.held) > 0
	s.mu.Unlock()
	if _, limited := ctx.Deadline(); waits && limited {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (s *slowStore) release() (records int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, write := range s.held {
		write()
	}
	records, s.held = len(s.held), nil
	return records
}

// crash ends a worker whose last words nobody hears.
func (c *cluster) crash(name string) {
	h := c.herders[name]
	h.opts.HTTP = &http.Client{Transport: refusing{}}
	h.opts.Statuses.Stop() // what is written after it is dropped
	c.stop(name)
}

// The leader waits only so long for its word that work runs nowhere: the new owners' may
// arrive before it, even that of the same worker, back under its address.
func TestTheLeadersLateWordDoesNotHideTheNewOwners(t *testing.T) {
	for _, back := range []bool{false, true} {
		t.Run(fmt.Sprintf("back=%t", back), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				c.hub.maxDelay = time.Minute
				slow := &slowStore{}
				c.start("a", func(o *Options, _ *runner) {
					slow.StatusStore = o.Statuses
					o.Statuses = slow
				})
				for _, name := range []string{"one", "two"} {
					c.put(t.Context(), name, config("n", "2", "v", "1"))
				}
				c.start("b", nil)
				time.Sleep(5 * time.Second)
				c.expectOwners(map[string]int{"a": 3, "b": 3})

				c.crash("b")
				time.Sleep(5 * time.Second)
				want := map[string]int{"a": 6}
				if back {
					c.start("b", nil)
					want = map[string]int{"a": 3, "b": 3}
				}
				time.Sleep(2 * time.Minute)
				c.expectOwners(want)
				if records := slow.release(); records < 3 {
					t.Fatalf("the leader has written %d records about the missing worker, want one for each of its instances", records)
				}
				synctest.Wait()

				owners := c.ledger.owners()
				for id, status := range c.shown("a") {
					if status.State != storage.StateRunning || status.WorkerID != owners[id] {
						t.Errorf("%v is shown as %+v, want it running on %s", id, status, owners[id])
					}
				}
			})
		})
	}
}
