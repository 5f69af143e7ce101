package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"tributary/internal/kafka"
)

const (
	firstReopenPause = 100 * time.Millisecond
	maxReopenPause   = 10 * time.Second
	// drainLimit is how long records in flight have to be resolved when a producer
	// is replaced; after that it is closed over them.
	drainLimit = 30 * time.Second
	// stuckAfter is how long records may be in flight without any acknowledgement
	// before it is worth a line in the log.
	stuckAfter = time.Minute
	// producerCloseLimit bounds closing a producer.
	producerCloseLimit = 30 * time.Second
)

// reopening is what delivery.run knows alone.
type reopening struct {
	current Producer // the open producer, published or not
	pause   time.Duration
	acks    uint64          // when the producer was last replaced
	unsent  []*entry        // that the last replacement did not come to; some may have been dropped since
	hard    context.Context // of the task; ends when it is cut off
	cancel  context.CancelFunc
	ended   chan struct{}
}

// start begins run, which lasts until close or until ctx ends.
func (d *delivery) start(ctx context.Context) {
	d.redo.hard = ctx
	ctx, d.redo.cancel = context.WithCancel(ctx)
	go d.run(ctx)
}

// abandon closes the producer of a task that was cut off, whose own goroutine may
// never come to it: nothing is to be written any more.
func (d *delivery) abandon() {
	if d.redo.hard.Err() == nil || d.redo.current == nil {
		return
	}
	d.withhold()
	if err := d.redo.current.Close(d.redo.hard); err != nil {
		d.logger.Debug("Closing the producer of a task that was cut off failed", "error", err)
	}
	d.redo.current = nil
}

func (d *delivery) run(ctx context.Context) {
	defer close(d.redo.ended)
	defer d.abandon()
	if d.reopen(ctx) != nil {
		return
	}
	d.publish()
	var silence silence
	ticker := time.NewTicker(stuckAfter / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.trouble:
			// The call may be late, for failures that were dealt with already.
			if d.failing.Load() && d.replace(ctx) != nil {
				return
			}
		case now := <-ticker.C:
			d.noticeSilence(&silence, now)
		}
	}
}

// close ends run and closes the producer; records in flight are delivered as far as
// ctx lasts. Nobody may be in send.
func (d *delivery) close(ctx context.Context) error {
	d.redo.cancel()
	<-d.redo.ended
	d.sendMu.Lock()
	d.producer = nil
	d.sendMu.Unlock()
	if d.redo.current == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, producerCloseLimit)
	defer cancel()
	return d.redo.current.Close(ctx)
}

// reopen opens a producer, as often as it takes. The error is that the task failed
// or that ctx ended.
func (d *delivery) reopen(ctx context.Context) error {
	err := untilOpen(ctx, d.logger, "The producer", func() (err error) {
		d.redo.current, err = d.open(ctx, d.spec)
		return err
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("the producer cannot be created: %w", err)
		d.die(err)
	}
	return err
}

// untilOpen calls try until it succeeds, or fails for good, or ctx ends.
func untilOpen(ctx context.Context, logger *slog.Logger, what string, try func() error) error {
	for pause := firstReopenPause; ; pause = min(2*pause, maxReopenPause) {
		err := try()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !isRetriable(err):
			return err
		}
		logger.Warn(what+" cannot be opened yet; it is tried again", "error", err, "pause", pause)
		if !sleep(ctx, pause) {
			return context.Cause(ctx)
		}
	}
}

func (d *delivery) publish() {
	d.sendMu.Lock()
	defer d.sendMu.Unlock()
	d.producer = d.redo.current
	close(d.ready)
}

// withhold takes the producer from the senders, if they have it.
func (d *delivery) withhold() {
	d.sendMu.Lock()
	defer d.sendMu.Unlock()
	if d.producer != nil {
		d.producer = nil
		d.ready = make(chan struct{})
	}
}

// replace puts a new producer in place of the one that lost records and sends again
// what was not acknowledged. If that fails too, senders go on waiting and trouble
// calls for the next attempt.
func (d *delivery) replace(ctx context.Context) error {
	d.withhold()
	if err := d.drain(ctx); err != nil {
		return err
	}
	if err := d.reopen(ctx); err != nil {
		return err
	}
	entries, reason := d.beginAgain()
	d.logger.Warn("Records could not be delivered for now; all that were not acknowledged are sent again in order",
		"records", len(entries), "error", reason)
	for i, e := range entries {
		if d.failing.Load() {
			d.redo.unsent = entries[i:]
			return nil
		}
		if err := d.sendAgain(ctx, e); err != nil {
			return err
		}
	}
	if !d.failing.Load() {
		d.publish()
	}
	return nil
}

// drain closes the producer once nothing is in flight, or over what is when that
// takes too long, and pauses if the last replacement brought no acknowledgement.
func (d *delivery) drain(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	late := d.await(limited, resolved) != nil
	if err := context.Cause(ctx); err != nil {
		return err
	}
	d.setClosing(true)
	defer d.setClosing(false)
	closing, stop := context.WithTimeout(ctx, producerCloseLimit)
	defer stop()
	if late {
		stop() // it had its time
	}
	if err := d.redo.current.Close(closing); err != nil {
		d.logger.Debug("Closing a producer that lost records failed", "error", err)
	}
	d.redo.current = nil
	if err := d.await(ctx, resolved); err != nil {
		return err
	}
	if acks := d.acknowledgedSoFar(); acks != d.redo.acks {
		d.redo.acks, d.redo.pause = acks, firstReopenPause
		return nil
	}
	if !sleep(ctx, d.redo.pause) {
		return context.Cause(ctx)
	}
	d.redo.pause = min(2*d.redo.pause, maxReopenPause)
	return nil
}

// beginAgain forgets the failures and returns what is to be sent again.
func (d *delivery) beginAgain() ([]*entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.failed)
	d.failing.Store(false)
	select {
	case <-d.trouble: // it belongs to failures that are dealt with now
	default:
	}
	for _, e := range d.redo.unsent {
		if e.dropped { // with nobody else to resolve it
			d.discardLocked(e)
		}
	}
	d.redo.unsent = nil
	return d.tracker.unackedInOrder(), d.reason
}

func (d *delivery) sendAgain(ctx context.Context, e *entry) error {
	d.mu.Lock()
	if e.dropped {
		d.discardLocked(e)
		d.mu.Unlock()
		return nil
	}
	d.inFlight++
	d.mu.Unlock()
	for {
		err := d.redo.current.Send(ctx, &e.out, e.done)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && isRetriable(err) && sleep(ctx, sendRetryPause) {
			continue
		}
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case d.judged(e, err):
			return nil
		default:
			err = fmt.Errorf("Unrecoverable exception trying to send: %s: %w", describe(e, targetOf(e, kafka.Metadata{})), err)
			d.die(err)
		}
		d.resolve()
		return err
	}
}

func (d *delivery) setClosing(closing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closing = closing
}

func (d *delivery) acknowledgedSoFar() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acks
}

// silence is how long nothing was acknowledged although records are in flight.
type silence struct {
	since  time.Time
	acks   uint64
	logged bool
}

// noticeSilence logs one line for each stretch of silence.
func (d *delivery) noticeSilence(s *silence, now time.Time) {
	d.mu.Lock()
	acks, inFlight := d.acks, d.inFlight
	d.mu.Unlock()
	if acks != s.acks || inFlight == 0 || s.since.IsZero() {
		*s = silence{since: now, acks: acks}
		return
	}
	if !s.logged && now.Sub(s.since) >= stuckAfter {
		s.logged = true
		d.logger.Warn("The target cluster has acknowledged nothing for a while although records are in flight",
			"in_flight", inFlight, "silent_for", now.Sub(s.since))
	}
}
