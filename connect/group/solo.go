package group

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connect/group/assign"
	"tributary/connect/group/protocol"
)

// SoloMemberID is the member id, and the leader, of a worker without a group.
const SoloMemberID = "standalone"

// Solo is the membership of a worker that is alone: the leader of a group of one, in
// generation 0, that always holds everything configured. It needs no network. Its
// methods may be called from any goroutine.
type Solo struct {
	url    string
	log    *slog.Logger
	cancel context.CancelFunc
	ended  chan struct{}
	wake   chan struct{}

	mu        sync.Mutex
	asked     bool
	suspended bool
}

// NewSolo returns a membership that does nothing until Start. url is the worker's
// advertised REST address.
func NewSolo(url string, logger *slog.Logger) *Solo {
	return &Solo{url: url, log: logger, ended: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// Start reports a first round, and one more after each Rejoin, until Stop or the end
// of ctx. It is called once.
func (s *Solo) Start(ctx context.Context, handler Handler) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.Rejoin("the worker has started")
	go s.run(ctx, handler)
}

// Stop awaits the goroutine, but not longer than ctx lasts.
func (s *Solo) Stop(ctx context.Context) {
	if s.cancel == nil {
		return
	}
	s.cancel()
	select {
	case <-s.ended:
	case <-ctx.Done():
		s.log.Warn("The worker has not given back its work in time")
	}
}

// Rejoin asks for a round with what is configured now, and ends a suspension.
func (s *Solo) Rejoin(string) {
	s.mu.Lock()
	s.asked, s.suspended = true, false
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Suspend keeps rounds back until Rejoin. What runs goes on: nobody else could be
// given it.
func (s *Solo) Suspend(string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.suspended = false, true
}

// Settled has no meaning without others to place revoked work on.
func (s *Solo) Settled() {}

// Contact is never lost: there is nobody to lose.
func (s *Solo) Contact() (lost time.Time, back <-chan struct{}) { return time.Time{}, nil }

// MemberDeparted has no meaning either: there are no others.
func (s *Solo) MemberDeparted(string) {}

// OwnerURL knows no owner: what this worker does not hold runs nowhere.
func (s *Solo) OwnerURL(connect.TaskID) string { return "" }

func (s *Solo) takeAsked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = false
	return asked
}

func (s *Solo) run(ctx context.Context, handler Handler) {
	defer close(s.ended)
	var held assign.Work
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		if !s.takeAsked() {
			continue
		}
		handler.BeforeJoin(ctx)
		configured := handler.Configured()
		all := everything(configured)
		if gone := beyond(held, all); !gone.Empty() {
			handler.Revoke(ctx, gone)
		}
		if ctx.Err() != nil {
			return
		}
		held = all
		// Work stays in place in a round, as it does under the incremental protocols, and
		// there are no internal requests to sign: that is the compatible protocol.
		handler.Assigned(Round{MemberID: SoloMemberID, Protocol: protocol.Compatible, Snapshot: protocol.Assignment{
			Version: protocol.Compatible.Version, Leader: SoloMemberID, LeaderURL: s.url,
			ConfigOffset: configured.Offset,
			Assigned:     assign.Work{Connectors: slices.Clone(all.Connectors), Tasks: slices.Clone(all.Tasks)},
		}})
	}
}

// everything lists what is configured, in order.
func everything(configured assign.Configured) assign.Work {
	var all assign.Work
	for _, name := range slices.Sorted(maps.Keys(configured.Connectors)) {
		all.Connectors = append(all.Connectors, name)
		for n := range configured.Connectors[name] {
			all.Tasks = append(all.Tasks, assign.ConnectorTaskID{Connector: name, Task: n})
		}
	}
	return all
}
