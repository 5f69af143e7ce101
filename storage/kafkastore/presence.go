package kafkastore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tributary/internal/beat"
	"tributary/internal/kafka"
	"tributary/storage"
)

const (
	// lookInterval is the pause between looks at a topic that nobody asks about.
	lookInterval = 5 * time.Second
	// lookFresh is how long a look is good for those who are about to write.
	lookFresh = time.Second
	// lookShared is how long it is good for who looks now and then: several tasks may write at the same time.
	lookShared = lookInterval / 50
	// lookLimit bounds one look.
	lookLimit = 10 * time.Second
	// missingFor is how long a topic is missing before that is believed: a broker that has
	// just started may not know its topics yet. Meanwhile writes wait, and requests that do
	// not are told that they do.
	missingFor = 6 * time.Second
)

// presence knows whether an internal topic is still the one that was opened. One that was
// deleted, and made anew by a broker or by another worker, does not hold what this worker
// knows. Configurations only make sense together: nothing is written to such a topic, nor
// read from it, as if it were the old one. Offsets and statuses stand each for itself, so
// theirs is taken as it is.
type presence struct {
	topic   Topic
	content content
	logger  *slog.Logger
	admin   *kafka.Admin
	turn    chan struct{} // holds one token, for who asks: who comes meanwhile has the answer, too

	mu      sync.Mutex
	id      [16]byte          // all zero: the brokers are too old to tell
	former  map[[16]byte]bool // ids of topics in whose place there is another
	looked  time.Time
	missing time.Time // since when, zero: it is there
	told    bool
	lost    error // for good: it was made anew
	again   bool  // it was made anew and is to be read from its beginning
}

// look asks for the topic unless it was seen a moment ago. It returns an error that wraps
// storage.ErrTopicLost when the topic is not the one that was opened, and nil where the
// brokers do not say.
func (p *presence) look(ctx context.Context, fresh time.Duration) error {
	if known, err := p.known(fresh); known {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil
	}
	if known, err := p.known(fresh); known {
		return err
	}
	infos, err := p.admin.DescribeTopics(ctx, p.topic.Name)
	if err != nil {
		return nil // whoever wants something of the brokers will be told
	}
	info, there := infos[p.topic.Name]
	return p.seen(time.Now(), info.ID, there)
}

// known reports whether no look is needed, because of what the last one saw.
func (p *presence) known(fresh time.Duration) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost != nil || time.Since(p.looked) < fresh, p.lost
}

// guard lets through only records of the topic that was opened: one that was made anew meanwhile may have records where
// the old one ended. Looks end with ctx.
func (p *presence) guard(ctx context.Context, apply func(kafka.Record)) func(kafka.Record) {
	if p.content.replaceable {
		return apply
	}
	var asked time.Time // also by brokers that did not answer: records are not to wait for them one by one
	return func(record kafka.Record) {
		known, err := p.known(lookFresh)
		if !known && time.Since(asked) >= lookFresh {
			err = p.look(ctx, lookFresh)
			asked = time.Now()
		}
		if err == nil {
			apply(record)
		}
	}
}

// seen draws the consequences of a look.
func (p *presence) seen(now time.Time, id [16]byte, there bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	none := [16]byte{}
	if p.former[id] {
		id = none // told by a broker that is not up to date
	}
	switch {
	case p.lost != nil:
		return p.lost
	case !there:
		if p.missing.IsZero() {
			p.missing = now
		}
		if now.Sub(p.missing) < missingFor {
			return nil
		}
		err := p.gone("does not exist any more")
		if !p.told {
			p.told = true
			p.logger.Error(err.Error())
		}
		return err
	case p.id != none && id != none && id != p.id:
		err := p.gone("was deleted under the running worker, and the topic of that name is another one")
		p.logger.Error(err.Error())
		if !p.content.replaceable {
			p.lost = err
			return err
		}
		p.again = true
		if p.former == nil {
			p.former = map[[16]byte]bool{}
		}
		p.former[p.id] = true
	}
	if id != none {
		p.id = id
	}
	if p.told {
		p.logger.Info("The topic is there again, and it is the same")
	}
	p.looked, p.missing, p.told = now, time.Time{}, false
	return nil
}

// during runs what waits for brokers, and ends it when the topic turns out to be gone.
func (p *presence) during(ctx context.Context, work func(ctx context.Context) error) error {
	if err := p.look(ctx, lookFresh); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(lookFresh)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			if err := p.look(ctx, lookFresh); err != nil {
				cancel(err)
				return
			}
		}
	}()
	err := work(ctx)
	cause := context.Cause(ctx)
	cancel(nil) // which ends a look
	close(done)
	<-ended
	if err != nil && errors.Is(cause, storage.ErrTopicLost) {
		return cause
	}
	return err
}

func (p *presence) gone(how string) error {
	return fmt.Errorf("%w: %s=%s: the topic for %s %s. %s", storage.ErrTopicLost, p.topic.Key, p.topic.Name, p.topic.purpose, how, p.content.remedy)
}

// watch looks now and then until ctx ends, and has the log read on after what it stumbled over.
func (p *presence) watch(ctx context.Context, log *kafka.Log) {
	for {
		timer := time.NewTimer(beat.Until(lookInterval))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if p.look(ctx, lookShared) != nil {
			continue
		}
		p.mu.Lock()
		again := p.again
		p.again = false
		p.mu.Unlock()
		// Brokers that lost records have the same topic, with an earlier end.
		if again || errors.Is(log.Err(), kafka.ErrOffsetOutOfRange) {
			p.logger.Warn("Reading the topic again from its beginning")
			if err := log.Restart(ctx); err != nil && ctx.Err() == nil {
				p.logger.Warn("The topic cannot be read again yet", "error", err)
				p.mu.Lock()
				p.again = true
				p.mu.Unlock()
			}
		}
	}
}
