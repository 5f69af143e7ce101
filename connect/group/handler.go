package group

import (
	"context"

	"tributary/connect/group/assign"
	"tributary/connect/group/protocol"
)

// Handler is the worker's side of its membership: what it reports, what it is
// given, what it must give back. All calls come from the member's goroutine, one at
// a time; none while another is running.
type Handler interface {
	// BeforeJoin is called before each JoinGroup. It returns when work that a change of
	// the config topic made stale has stopped, so that a completed round means that
	// nobody runs it any more, and not later than ctx ends.
	BeforeJoin(ctx context.Context)
	// Configured is what the config topic says now. Its offset goes into the metadata,
	// and the leader assigns from it: so what is assigned is what that offset stands for.
	Configured() assign.Configured
	// Gathered is called on the leader once the group has gathered, before it is told how
	// the work is shared: what nobody holds runs nowhere at that moment. Only the
	// incremental protocols know. It holds up the group, so it returns soon.
	Gathered(ctx context.Context, g Gathering)
	// Revoke returns when the given work has stopped and its statuses are written, or
	// when ctx ends: the member goes on then whatever has become of it.
	Revoke(ctx context.Context, work assign.Work)
	// Assigned reports a completed round. It must not block. If the round failed, or
	// cannot be settled, the handler asks for another one once it has done its part.
	Assigned(round Round)
}

// Gathering is what a leader knows of its group before it assigns.
type Gathering struct {
	Generation int
	// Held maps the members' URLs to what each of them runs.
	Held map[string]assign.Work
}

// Round is a completed rebalance, as its member sees it.
type Round struct {
	Generation int
	MemberID   string
	Protocol   protocol.Subprotocol
	// Snapshot is all the work the member now holds, with the leader, the config offset
	// and the error of the round.
	Snapshot protocol.Assignment
}

// Leader reports whether the member leads the group.
func (r Round) Leader() bool { return r.MemberID != "" && r.MemberID == r.Snapshot.Leader }
