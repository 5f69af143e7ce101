package mirror

import (
	"context"
	"strconv"
	"strings"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
)

const (
	throttleKey = "throttle.bytes.per.second"
	// throttleStep is how long what is handed out at a time should take.
	throttleStep = 250 * time.Millisecond
)

var throttleKeys = []connect.ConfigKey{
	live(valid(low(throttleKey, connect.TypeLong, int64(0), "How many bytes a second are mirrored at most, divided evenly among the tasks: keys, values and headers of records, or whole batches as compressed as they are. 0 is no limit. A change takes effect within a second and restarts nothing but the connector itself."), connect.AtLeast(0))),
}

var _ connect.LiveTask = (*SourceTask)(nil)

// UseLive implements connect.LiveTask.
func (t *SourceTask) UseLive(values map[string]string, tasks int) {
	limit, err := strconv.ParseInt(strings.TrimSpace(values[throttleKey]), 10, 64)
	if err != nil {
		limit = 0 // it is not set; validation refuses anything else
	}
	t.limit.Store(taskShare(limit, max(tasks, 1)))
}

// throttle bounds the bytes that a task hands out. The zero value bounds nothing. It is
// pure: time is an argument.
type throttle struct {
	perSecond int64
	// free is when what was handed out so far has had its time.
	free time.Time
}

// taskShare is what one of several tasks may have of a limit, 0 for no limit.
func taskShare(limit int64, tasks int) int64 {
	if limit == 0 {
		return 0
	}
	return max(limit/int64(tasks), 1)
}

// set changes the limit. What was handed out under another one is forgotten.
func (t *throttle) set(perSecond int64) {
	if t.perSecond != perSecond {
		*t = throttle{perSecond: perSecond}
	}
}

// wait is how long nothing may be handed out.
func (t *throttle) wait(now time.Time) time.Duration { return t.free.Sub(now) }

// took notes what was handed out.
func (t *throttle) took(bytes int64, now time.Time) {
	if t.perSecond == 0 {
		return
	}
	if t.free.Before(now) {
		t.free = now
	}
	t.free = t.free.Add(time.Duration(float64(bytes) / float64(t.perSecond) * float64(time.Second)))
}

// rest waits until something may be handed out again, but no longer than most. It
// reports whether it may.
func (t *throttle) rest(ctx context.Context, most time.Duration) bool {
	wait := t.wait(time.Now())
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(min(wait, most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return wait <= most
	case <-ctx.Done():
		return false
	}
}

// affordable is how many of the records at the front of portions may be handed out
// together, at least one, and at most most.
func (t *throttle) affordable(portions []portion, most int) int {
	if t.perSecond == 0 {
		return most
	}
	left, n := int64(float64(t.perSecond)*throttleStep.Seconds()), 0
	for _, p := range portions {
		for i := range p.records {
			if left -= sizeOf(&p.records[i]); left < 0 && n > 0 || n == most {
				return n
			}
			n++
		}
	}
	return most
}

// sizeOf counts the bytes of a record, or of the batch that it stands for.
func sizeOf(r *kafka.Record) int64 {
	if r.Batch != nil {
		return int64(len(r.Batch.Data))
	}
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return int64(n)
}

// sizeOfAll is the size of what portions hold.
func sizeOfAll(portions []portion) (n int64) {
	for _, p := range portions {
		for i := range p.records {
			n += sizeOf(&p.records[i])
		}
	}
	return n
}
