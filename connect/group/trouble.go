package group

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tributary/internal/kafka"
)

// retries is how often something failed since it last worked, and what was said of it.
type retries struct {
	attempts int
	told     trouble
}

// trouble is a kind of failure. Users are told when it changes, not each time.
type trouble int

const (
	well        trouble = iota
	passing             // the group itself will resolve it
	unreachable         // no coordinator, or no answer from it
	denied              // the broker does not let this worker
	refused             // a setting does not fit the group or the broker
)

// permanentError is a failure that comes back with every try until somebody changes
// something.
type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// Pauses between attempts: doubled up to maxBackoff while the coordinator cannot be
// reached, slowRetry when somebody has to change something first.
const (
	maxBackoff = time.Second
	slowRetry  = 10 * time.Second
)

// hiccup is how long a heartbeat may be late without a word in the log. If it is the whole cluster that is away, its
// clients have said so by then, and that says it all.
const hiccup = time.Second

// invalidSessionTimeout is the broker's INVALID_SESSION_TIMEOUT.
var invalidSessionTimeout = &kafka.ServerError{Code: 26}

func classify(err error) trouble {
	var permanent *permanentError
	var denial *kafka.AuthorizationError
	var answer *kafka.ServerError
	switch {
	case errors.Is(err, kafka.ErrRebalanceInProgress), errors.Is(err, kafka.ErrIllegalGeneration), errors.Is(err, kafka.ErrUnknownMemberID):
		return passing
	case errors.As(err, &denial):
		return denied
	case errors.As(err, &permanent), errors.As(err, &answer) && !kafka.IsRetriable(err):
		return refused
	}
	return unreachable
}

// note draws the consequences of an error for the membership and tells the user.
func (m *Member) note(err error) {
	kind := classify(err)
	switch {
	case errors.Is(err, kafka.ErrIllegalGeneration):
		m.generation = noGeneration
	case errors.Is(err, kafka.ErrUnknownMemberID):
		m.thrownOut()
	case kind == unreachable:
		m.found = false
		m.setContact(false)
	}
	m.retries.attempts++
	if kind == passing {
		m.log.Info("The rebalance did not complete; joining again", "cause", err)
		return
	}
	if kind == unreachable && time.Since(m.session.kept) < m.opts.HeartbeatInterval+hiccup {
		return
	}
	if kind != m.retries.told {
		m.retries.told = kind
		m.tell(kind, err)
	}
}

func (m *Member) tell(kind trouble, err error) {
	switch {
	case kind == denied:
		m.log.Error("The broker does not let this worker take part in the group: allow its principal Read on the group; trying again", "error", err)
	case errors.Is(err, kafka.ErrInconsistentProtocol):
		names := make([]string, len(m.opts.Protocols))
		for i, p := range m.opts.Protocols {
			names[i] = p.Name
		}
		m.log.Error("The group refuses this worker: either group.id names a group that is not a Connect cluster, or the workers' connect.protocol have nothing in common; trying again",
			"group.id", m.opts.GroupID, slog.Any("protocols", names), "error", err)
	case errors.Is(err, invalidSessionTimeout):
		m.log.Error("The broker refuses session.timeout.ms: it must lie between the broker's group.min.session.timeout.ms and group.max.session.timeout.ms; trying again",
			"session.timeout.ms", m.opts.SessionTimeout.Milliseconds(), "error", err)
	case kind == refused:
		m.log.Error("The worker cannot take part in the group; trying again", "error", err)
	default:
		level := slog.LevelWarn
		if m.opts.ClusterAway() {
			level = slog.LevelDebug
		}
		m.log.Log(context.Background(), level, "The group's coordinator cannot be reached; trying again", "error", err)
	}
}

// fail notes an error and pauses before the next attempt: not at all the first time
// that the group itself asks to join again.
func (m *Member) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	m.note(err)
	pause := slowRetry
	switch classify(err) {
	case passing:
		if m.retries.attempts == 1 {
			return
		}
		pause = m.backoff()
	case unreachable:
		pause = m.backoff()
	}
	if !m.held().Empty() {
		pause = min(pause, time.Until(m.stopBy()))
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (m *Member) backoff() time.Duration {
	limit := max(maxBackoff, m.opts.RetryBackoff)
	pause := m.opts.RetryBackoff
	for n := 1; n < m.retries.attempts && pause < limit; n++ {
		pause *= 2
	}
	return min(pause, limit)
}

// recovered ends a time of trouble.
func (m *Member) recovered() {
	if m.retries.told != well {
		m.log.Info("The group's coordinator answers again")
	}
	m.retries.told = well
}
