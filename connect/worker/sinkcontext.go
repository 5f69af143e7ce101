package worker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
)

// sinkContext is the connect.SinkTaskContext of a sink task. What the task asks for is
// kept until the lane takes it.
type sinkContext struct {
	run    *taskRun
	errant connect.ErrantRecordReporter // nil if there is none

	mu       sync.Mutex
	assigned []connect.TopicPartition
	paused   map[connect.TopicPartition]struct{} // by the task
	pauses   map[connect.TopicPartition]bool     // asked for: true to pause
	rewinds  positions
	retry    time.Time
	commit   bool
	cancel   context.CancelFunc // ends the lane's poll; nil while there is none
	woken    bool               // somebody wanted to while there was none
}

func newSinkContext(t *taskRun, errant connect.ErrantRecordReporter) *sinkContext {
	return &sinkContext{
		run: t, errant: errant,
		paused: map[connect.TopicPartition]struct{}{}, pauses: map[connect.TopicPartition]bool{}, rewinds: positions{},
	}
}

func (c *sinkContext) ID() connect.TaskID { return c.run.id }

func (c *sinkContext) Logger() *slog.Logger { return c.run.logger }

func (c *sinkContext) Metrics() connect.Metrics { return c.run.scope }

func (c *sinkContext) ErrantRecords() connect.ErrantRecordReporter { return c.errant }

func (c *sinkContext) Assignment() []connect.TopicPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.assigned)
}

func (c *sinkContext) Pause(partitions ...connect.TopicPartition) { c.ask(partitions, true) }

func (c *sinkContext) Resume(partitions ...connect.TopicPartition) { c.ask(partitions, false) }

func (c *sinkContext) ask(partitions []connect.TopicPartition, pause bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tp := range partitions {
		if !slices.Contains(c.assigned, tp) {
			continue
		}
		c.pauses[tp] = pause
		if pause {
			c.paused[tp] = struct{}{}
		} else {
			delete(c.paused, tp)
		}
	}
	c.wakeLocked()
}

func (c *sinkContext) Rewind(offsets map[connect.TopicPartition]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.rewinds, offsets)
	c.wakeLocked()
}

func (c *sinkContext) RetryAfter(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retry = time.Now().Add(d)
}

func (c *sinkContext) RequestCommit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commit = true
	c.wakeLocked()
}

// wake ends the lane's wait for records, or the next one.
func (c *sinkContext) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakeLocked()
}

func (c *sinkContext) wakeLocked() {
	c.woken = true
	if c.cancel != nil {
		c.cancel()
	}
}

// wakeWith says what ends the lane's wait, nil when it does not wait. It is called at once
// if somebody wanted to wake the lane since sleepAgain.
func (c *sinkContext) wakeWith(cancel context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = cancel
	if cancel != nil && c.woken {
		cancel()
	}
}

// sleepAgain forgets earlier wakes: the lane is about to look at everything.
func (c *sinkContext) sleepAgain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken = false
}

func (c *sinkContext) takeCommitRequest() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.commit
	c.commit = false
	return asked
}

func (c *sinkContext) takeRetry() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.retry
	c.retry = time.Time{}
	return at
}

// takeRequests hands over what is to be paused (true) or resumed, and rewound.
func (c *sinkContext) takeRequests() (pauses map[connect.TopicPartition]bool, rewinds positions) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pauses, rewinds = c.pauses, c.rewinds
	c.pauses, c.rewinds = map[connect.TopicPartition]bool{}, positions{}
	return pauses, rewinds
}

func (c *sinkContext) isPaused(tp kafka.TopicPartition) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, paused := c.paused[connect.TopicPartition(tp)]
	return paused
}

func (c *sinkContext) assign(partitions []connect.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.assigned = partitions
}

func (c *sinkContext) unassign(gone []connect.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tp := range gone {
		delete(c.paused, tp)
		delete(c.pauses, tp)
		delete(c.rewinds, tp)
	}
	c.assigned = slices.DeleteFunc(slices.Clone(c.assigned), func(tp connect.TopicPartition) bool { return slices.Contains(gone, tp) })
}
