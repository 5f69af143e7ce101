package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tributary/internal/beat"
)

// A failed chore is tried again after shortRetry, then after twice that and so on up
// to longRetry, or at its own period if that is shorter.
const (
	shortRetry = time.Second
	longRetry  = 30 * time.Second
)

// gentleness is how many times longer a gentle chore rests than it took: looking at a
// cluster with very many topics must not become its main load.
const gentleness = 20

// gentleRest is how long it rests at most: a new topic waits for it.
const gentleRest = 30 * time.Second

// errNotYet is returned by a chore that waits for another one. It is no failure.
var errNotYet = errors.New("not yet")

// chore is something done now and again for as long as a connector or task runs.
type chore struct {
	// name is a clause for the log: "what failed" is "failed to <name>".
	name string
	// every is the pause between two runs; 0 ends the chore with its first success.
	every time.Duration
	// delay comes before the first run.
	delay time.Duration
	// gentle rests in proportion to how long a run took, or what cost says of it.
	gentle bool
	// cost is the part of the last run that comes again with every run.
	cost func() time.Duration
	// patient may take any time: its steps are bounded on their own.
	patient bool
	do      func(ctx context.Context) error
}

// doChores does each chore when it is due, in their order, one at a time, until ctx
// ends. One run may take limit at most.
func doChores(ctx context.Context, limit time.Duration, troubles *troubles, chores ...chore) {
	type plan struct {
		due      time.Time
		failures int
		done     bool
	}
	plans := make([]plan, len(chores))
	for i, c := range chores {
		plans[i].due = time.Now().Add(c.delay)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next := time.Now().Add(time.Hour)
		for i, c := range chores {
			p := &plans[i]
			if p.done {
				continue
			}
			began := time.Now()
			if !began.Before(p.due) {
				most := limit
				if c.patient {
					most = 0
				}
				err := runLimited(ctx, most, c.do)
				if ctx.Err() != nil {
					return
				}
				if errors.Is(err, errNotYet) {
					p.due = time.Now().Add(shortRetry)
					next = earlier(next, p.due)
					continue
				}
				troubles.report(c.name, err, "Failed to "+c.name+"; it is tried again")
				pause := c.every
				if c.gentle {
					took := time.Since(began)
					if c.cost != nil {
						took = c.cost()
					}
					pause = max(pause, min(gentleness*took, gentleRest))
				}
				if err != nil {
					pause = retryPause(p.failures, c.every)
					p.failures++
				} else {
					p.failures = 0
					p.done = c.every == 0
				}
				p.due = time.Now().Add(pause)
				if err == nil {
					p.due = beat.Next(time.Now(), pause)
				}
			}
			if !p.done {
				next = earlier(next, p.due)
			}
		}
		timer.Reset(time.Until(next))
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// retryPause is how long to wait after so many failures before that one. period, unless
// 0, bounds it.
func retryPause(failures int, period time.Duration) time.Duration {
	pause := min(shortRetry<<min(failures, 10), longRetry)
	if period > 0 {
		pause = min(pause, period)
	}
	return pause
}

func runLimited(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	if limit <= 0 {
		return do(ctx)
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %s = %d", adminTimeoutKey, limit.Milliseconds()))
	defer cancel()
	err := do(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", context.Cause(limited), err)
	}
	return err
}

// sleep waits until d is over (true) or ctx ends (false).
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
