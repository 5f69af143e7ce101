package distributed

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect/group"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/storage"
)

// stalledConfigs is a config topic that takes no connector's configuration until stall is closed, whoever has given up.
type stalledConfigs struct {
	storage.ConfigStore
	stall chan struct{}
}

func (s *stalledConfigs) PutConnectorConfig(ctx context.Context, connector string, config storage.ConnectorConfig, target *storage.TargetState) error {
	select {
	case <-s.stall:
		return s.ConfigStore.PutConnectorConfig(ctx, connector, config, target)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stalledStatuses is a status topic that takes nothing until stall is closed.
type stalledStatuses struct {
	storage.StatusStore
	stall chan struct{}
}

func (s *stalledStatuses) Flush(ctx context.Context) error {
	select {
	case <-s.stall:
		return s.StatusStore.Flush(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// within bounds something by a second.
func within(t *testing.T, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	return f(ctx)
}

func expectStage(t *testing.T, h *Herder, what string) {
	t.Helper()
	if got := h.Stage(); !strings.HasPrefix(got, "The worker is currently "+what+", which began at ") {
		t.Errorf("the stage is %q, want %s", got, what)
	}
}

func TestAWorkerWithoutItsGroupIsNotHealthyAndWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		flush := make(chan struct{})
		var member *hubMember
		h := c.start("a", func(o *Options, _ *runner) {
			member = o.Group.(*hubMember)
			o.Statuses = &stalledStatuses{o.Statuses, flush}
		})
		close(flush)
		synctest.Wait()
		if err := within(t, h.Health); err != nil {
			t.Fatalf("before: %v", err)
		}

		found := member.lose()
		if err := within(t, h.Health); err != context.DeadlineExceeded {
			t.Errorf("health without a group: %v", err)
		}
		err := within(t, func(ctx context.Context) error {
			_, _, err := h.PutConnectorConfig(ctx, "x", config("v", "1"), nil, true)
			return err
		})
		if err != context.DeadlineExceeded || h.snapshot().Contains("x") {
			t.Errorf("a write without a group: %v; written is %v", err, h.snapshot().Connectors())
		}
		expectStage(t, h, herder.StageJoining)

		found()
		if err := within(t, h.Health); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		c.put(t.Context(), "x", config("n", "1", "v", "1"))
		c.expectTasks("x", 1, "1")
	})
}

func TestAWriteThatWaitedForTheGroupIsNotMadeByAFormerLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		var member *hubMember
		h := c.start("a", func(o *Options, _ *runner) { member = o.Group.(*hubMember) })
		synctest.Wait()
		found := member.lose()
		answer := make(chan error, 1)
		go func() {
			_, _, err := h.PutConnectorConfig(t.Context(), "x", config("v", "1"), nil, true)
			answer <- err
		}()
		synctest.Wait()

		busy := make(chan struct{})
		defer close(busy)
		h.loop.post(func() { <-busy })
		h.Assigned(group.Round{Generation: 9, MemberID: "a", Snapshot: protocol.Assignment{Leader: "b", LeaderURL: "http://b/"}})
		found()

		err := <-answer
		if other, ok := errors.AsType[*herder.NotLeaderError](err); !ok || other.LeaderURL != "http://b/" {
			t.Errorf("the write was answered with %v", err)
		}
		if h.snapshot().Contains("x") {
			t.Error("it was written")
		}
	})
}

// What the group has decided since is in the topic, and must not be overwritten.
func TestAWriteThatIsQueuedWhenTheGroupIsLostWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		configs := &stalledConfigs{stall: make(chan struct{})}
		var member *hubMember
		h := c.start("a", func(o *Options, _ *runner) {
			member = o.Group.(*hubMember)
			configs.ConfigStore, o.Configs = o.Configs, configs
		})
		synctest.Wait()
		answers := map[string]chan error{}
		put := func(connector string) {
			answer := make(chan error, 1)
			answers[connector] = answer
			go func() {
				_, _, err := h.PutConnectorConfig(t.Context(), connector, config("n", "1", "v", "1"), nil, true)
				answer <- err
			}()
			synctest.Wait()
		}
		put("begun")
		put("queued")
		found := member.lose()
		close(configs.stall)
		synctest.Wait()
		if err := <-answers["begun"]; err != nil {
			t.Errorf("the write that had begun: %v", err)
		}
		if h.snapshot().Contains("queued") {
			t.Error("the queued write was made without a group")
		}

		h.Assigned(group.Round{Generation: 9, MemberID: "a", Snapshot: protocol.Assignment{Leader: "b", LeaderURL: "http://b/"}})
		found()
		if err := <-answers["queued"]; !errors.As(err, new(*herder.NotLeaderError)) {
			t.Errorf("the queued write was answered with %v", err)
		}
		if h.snapshot().Contains("queued") {
			t.Error("the queued write was made by a former leader")
		}
	})
}

// claimedConfigs counts the claims of the leader's write privileges.
type claimedConfigs struct {
	storage.ConfigStore
	claims atomic.Int32
}

func (c *claimedConfigs) ClaimWritePrivileges(ctx context.Context) error {
	c.claims.Add(1)
	return c.ConfigStore.ClaimWritePrivileges(ctx)
}

func TestAFormerLeaderDoesNotFenceTheOneThatFollowed(t *testing.T) {
	for _, leader := range []string{"a", "b"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t)
			configs := &claimedConfigs{}
			var found func()
			h := c.start("a", func(o *Options, _ *runner) {
				found = o.Group.(*hubMember).lose()
				configs.ConfigStore, o.Configs = o.Configs, configs
			})
			synctest.Wait() // it leads, and waits for the group before it fences the leader before it

			h.Assigned(group.Round{Generation: 9, MemberID: "a", Snapshot: protocol.Assignment{Leader: leader, LeaderURL: "http://" + leader + "/", ConfigOffset: h.snapshot().Offset()}})
			found()
			synctest.Wait()

			if claims := configs.claims.Load(); (claims > 0) != (leader == "a") {
				t.Errorf("%s leads: %d claims", leader, claims)
			}
		})
	}
}

func TestAWorkerThatIsFlushingStatusesSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		statuses := &stalledStatuses{stall: make(chan struct{})}
		h := c.start("a", func(o *Options, _ *runner) {
			statuses.StatusStore, o.Statuses = o.Statuses, statuses
		})
		synctest.Wait() // it is about to join
		expectStage(t, h, "flushing updates to the status topic")
		close(statuses.stall)
		synctest.Wait()
		if got := h.Stage(); strings.Contains(got, "currently") {
			t.Errorf("the stage is %q after all was done", got)
		}
	})
}

func TestAStatusTopicThatTakesNothingKeepsNoWorkerFromItsRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.hub.maxDelay = 5 * time.Minute
		away := func(o *Options, _ *runner) { o.Statuses = &stalledStatuses{o.Statuses, make(chan struct{})} }
		c.start("a", away)
		time.Sleep(time.Minute)
		c.put(t.Context(), "one", config("n", "2", "v", "1"))
		c.put(t.Context(), "two", config("n", "2", "v", "1"))
		c.start("b", away)
		time.Sleep(time.Minute)
		c.expectOwners(map[string]int{"a": 3, "b": 3})

		// What stops says so, or the others wait for it.
		c.stop("b")
		time.Sleep(time.Minute)
		c.expectOwners(map[string]int{"a": 6})
	})
}

func TestAWriteThatHasBegunOutlastsItsRequestAndHoldsUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		configs := &stalledConfigs{stall: make(chan struct{})}
		h := c.start("a", func(o *Options, _ *runner) { configs.ConfigStore, o.Configs = o.Configs, configs })
		synctest.Wait()
		began := time.Now()
		put := func(ctx context.Context) error {
			created, info, err := h.PutConnectorConfig(ctx, "x", config("n", "1", "v", "1"), nil, true)
			if created || info.Name != "" {
				t.Errorf("a request that failed returned %v %+v", created, info)
			}
			return err
		}
		if err := within(t, put); err != context.DeadlineExceeded {
			t.Errorf("the write: %v", err)
		}
		const writing = "writing a config for connector x to the config topic"
		expectStage(t, h, writing)
		if err := within(t, func(ctx context.Context) error { return h.DeleteConnector(ctx, "y") }); err != context.DeadlineExceeded {
			t.Errorf("the next write: %v", err)
		}
		if err := within(t, h.Health); err != context.DeadlineExceeded {
			t.Errorf("health: %v", err)
		}
		expectStage(t, h, writing)

		time.Sleep(writeLimit - time.Since(began) + time.Millisecond)
		synctest.Wait()
		if err := within(t, h.Health); err != nil {
			t.Errorf("health when the write was given up: %v", err)
		}
		if err := within(t, put); err != context.DeadlineExceeded {
			t.Errorf("the write once more: %v", err)
		}
		close(configs.stall)
		synctest.Wait()
		c.expectTasks("x", 1, "1")
	})
}
