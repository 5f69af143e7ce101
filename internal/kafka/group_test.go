package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
)

func newTestGroup(t *testing.T, c *localkafka.Cluster) *GroupConn {
	t.Helper()
	g, err := NewGroupConn(testConfig(t, RoleGroup, c.Bootstrap()), "workers", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	eventually(t, "coordinator found", func() bool { return g.FindCoordinator(t.Context()) == nil })
	return g
}

func joinRequest(memberID string) JoinRequest {
	return JoinRequest{
		MemberID: memberID, SessionTimeout: 10 * time.Second, RebalanceTimeout: 60 * time.Second,
		Protocols: []GroupProtocol{{"sessioned", []byte("s-" + memberID)}, {"compatible", []byte("c")}}, Reason: "test",
	}
}

// join joins as a new member, following the coordinator's request for a member id.
func join(t *testing.T, g *GroupConn) JoinResult {
	t.Helper()
	_, err := g.Join(testContext(t), joinRequest(""))
	again, ok := errors.AsType[*MemberIDRequiredError](err)
	if !ok {
		t.Fatalf("first join: %v", err)
	}
	r, err := g.Join(testContext(t), joinRequest(again.MemberID))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAMemberJoinsSyncsBeatsAndLeaves(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	g := newTestGroup(t, c)
	ctx := testContext(t)

	r := join(t, g)

	if !r.IsLeader() || r.Protocol != "sessioned" || r.Generation != 1 {
		t.Errorf("joined as %+v", r)
	}
	if diff := cmp.Diff(map[string][]byte{r.MemberID: []byte("s-" + r.MemberID)}, r.Members); diff != "" {
		t.Error(diff)
	}
	got, err := g.Sync(ctx, r.Generation, r.MemberID, r.Protocol, map[string][]byte{r.MemberID: []byte("work")})
	if err != nil || string(got) != "work" {
		t.Errorf("assignment %q %v", got, err)
	}
	if err := g.Heartbeat(ctx, r.Generation, r.MemberID); err != nil {
		t.Error(err)
	}
	if err := g.Heartbeat(ctx, r.Generation+1, r.MemberID); !errors.Is(err, ErrIllegalGeneration) {
		t.Errorf("heartbeat of another generation: %v", err)
	}
	described, _, err := newTestAdmin(t, c.Bootstrap()).DescribeGroups(ctx, "workers")
	if err != nil || described["workers"].ProtocolType != "connect" || string(described["workers"].Members[0].Assignment) != "work" {
		t.Errorf("described %+v %v", described, err)
	}
	if err := g.Leave(ctx, r.MemberID, "done"); err != nil {
		t.Error(err)
	}
	if err := g.Heartbeat(ctx, r.Generation, r.MemberID); !errors.Is(err, ErrUnknownMemberID) {
		t.Errorf("heartbeat after leaving: %v", err)
	}
}

func TestHeartbeatsDoNotWaitBehindAJoin(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	first, second := newTestGroup(t, c), newTestGroup(t, c)
	ctx := testContext(t)
	r := join(t, first)
	if _, err := first.Sync(ctx, r.Generation, r.MemberID, r.Protocol, map[string][]byte{r.MemberID: nil}); err != nil {
		t.Fatal(err)
	}
	joined := make(chan JoinResult, 1)
	go func() { joined <- join(t, second) }()
	eventually(t, "the first member hears of the rebalance", func() bool {
		return errors.Is(first.Heartbeat(ctx, r.Generation, r.MemberID), ErrRebalanceInProgress)
	})

	again, err := first.Join(ctx, joinRequest(r.MemberID))

	if err != nil {
		t.Fatal(err)
	}
	other := <-joined
	if again.Generation != other.Generation || again.LeaderID != other.LeaderID {
		t.Errorf("members are in different generations: %+v %+v", again, other)
	}
	if len(again.Members)+len(other.Members) != 2 {
		t.Errorf("only the leader gets the members: %+v %+v", again, other)
	}
}

func TestAJoinThatBlocksEndsWithItsContext(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	g := newTestGroup(t, c)
	held := c.Hold(localkafka.JoinGroup)
	defer held.Undo()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := g.Join(ctx, joinRequest("")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestALostCoordinatorIsFoundAgain(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	g := newTestGroup(t, c)
	r := join(t, g)
	c.DropConnections()
	err := g.Heartbeat(testContext(t), r.Generation, r.MemberID)
	if _, ok := errors.AsType[*ConnectionError](err); !ok && err != nil && !errors.Is(err, ErrRebalanceInProgress) {
		t.Errorf("heartbeat over a lost connection: %v", err)
	}
	c.Fail(localkafka.Fault{API: localkafka.Heartbeat, Code: 16, Group: "workers", TopLevel: true})
	if err := g.FindCoordinator(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := g.Heartbeat(testContext(t), r.Generation, r.MemberID); !errors.Is(err, ErrNotCoordinator) {
		t.Errorf("heartbeat to the wrong broker: %v", err)
	}
	if err := g.Heartbeat(testContext(t), r.Generation, r.MemberID); !errors.Is(err, ErrCoordinatorNotAvailable) {
		t.Errorf("heartbeat without a coordinator: %v", err)
	}
	if err := g.FindCoordinator(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Join(testContext(t), joinRequest(r.MemberID)); err != nil {
		t.Errorf("joining again: %v", err)
	}
}

func TestCallsOfAClosedGroupConnFail(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	g := newTestGroup(t, c)
	held := c.Hold(localkafka.JoinGroup)
	defer held.Undo()
	failed := make(chan error, 1)
	go func() {
		_, err := g.Join(context.Background(), joinRequest(""))
		failed <- err
	}()
	eventually(t, "the join is under way", func() bool { return held.Hits() > 0 })
	g.Close()
	if err := <-failed; !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
}
