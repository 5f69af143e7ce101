package group

import (
	"context"

	"tributary/internal/kafka"
)

// Coordinator speaks to the group's coordinator; *kafka.GroupConn is one. A Member
// makes one call at a time, from several goroutines, except that it beats, and looks for
// the coordinator if it must, while Join or Sync waits. Every call returns soon after its
// ctx has ended, and the next one works on a fresh connection if it must. The errors
// are those of *kafka.GroupConn.
type Coordinator interface {
	FindCoordinator(ctx context.Context) error
	Join(ctx context.Context, request kafka.JoinRequest) (kafka.JoinResult, error)
	Sync(ctx context.Context, generation int32, memberID, protocol string, assignments map[string][]byte) ([]byte, error)
	Heartbeat(ctx context.Context, generation int32, memberID string) error
	Leave(ctx context.Context, memberID, reason string) error
	Close()
}

var _ Coordinator = (*kafka.GroupConn)(nil)
