package worker

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
)

const (
	toleranceNone = "none"
	toleranceAll  = "all"

	firstRetryDelay = 300 * time.Millisecond
)

// stage says where a record could not be handled (KIP-298).
type stage string

const (
	stageTransformation  stage = "TRANSFORMATION"
	stageKeyConverter    stage = "KEY_CONVERTER"
	stageValueConverter  stage = "VALUE_CONVERTER"
	stageHeaderConverter stage = "HEADER_CONVERTER"
	stageKafkaProduce    stage = "KAFKA_PRODUCE"
	stageTaskPut         stage = "TASK_PUT"
)

// tolerance is what a connector's errors.* settings say about records that cannot
// be handled (KIP-298): how long to try again, and whether to skip them.
type tolerance struct {
	retryTimeout time.Duration // negative is for ever
	maxDelay     time.Duration
	skip         bool
	log          bool
	logRecord    bool

	logger  *slog.Logger
	metrics *errorMetrics
	task    connect.TaskID
	// deadLetter takes records that could not be handled; nil if there is no queue. The
	// channel is closed when the queue has the record, or has refused it.
	deadLetter func(at failurePoint, err error) (done <-chan struct{})
}

func newTolerance(v connect.Values, id connect.TaskID, logger *slog.Logger, metrics *errorMetrics) *tolerance {
	return &tolerance{
		retryTimeout: millis(v.Int("errors.retry.timeout")),
		maxDelay:     millis(v.Int("errors.retry.delay.max.ms")),
		skip:         v.String("errors.tolerance") == toleranceAll,
		log:          v.Bool("errors.log.enable"),
		logRecord:    v.Bool("errors.log.include.messages"),
		logger:       logger, metrics: metrics, task: id,
	}
}

// retry is called when attempt failed with err for the first time. It repeats the
// attempt while the failure is a *connect.RetriableError and time is left, and
// returns nil as soon as one succeeds. Otherwise it decides: errSkipped when the
// record is to be skipped, the error that fails the task when not, ctx's cause when
// ctx ended.
func (t *tolerance) retry(ctx context.Context, at failurePoint, err error, attempt func() error) error {
	deadline := time.Now().Add(t.retryTimeout)
	for n := 1; ; n++ {
		t.metrics.failures.Add(1)
		left := time.Until(deadline)
		if !asksAgain(err) {
			return t.giveUp(at, err)
		}
		if t.retryTimeout >= 0 && left <= 0 {
			t.metrics.failures.Add(1) // as Java counts: the attempt, and the end of trying
			return t.giveUp(at, err)
		}
		delay := t.delay(n)
		if t.retryTimeout >= 0 {
			delay = min(delay, left)
		}
		if !sleep(ctx, delay) {
			return context.Cause(ctx)
		}
		t.metrics.retries.Add(1)
		if err = attempt(); err == nil {
			return nil
		}
	}
}

// delay is the pause after the n-th failure: doubling, and once over the limit
// random below it, so that many tasks do not retry in step.
func (t *tolerance) delay(n int) time.Duration {
	if d := firstRetryDelay << min(n-1, 30); d <= t.maxDelay {
		return d
	}
	if t.maxDelay <= 0 {
		return 0
	}
	return rand.N(t.maxDelay)
}

// giveUp reports a record that cannot be handled and says what follows.
func (t *tolerance) giveUp(at failurePoint, err error) error {
	t.metrics.errors.Add(1)
	t.report(at, err)
	if t.skip {
		t.metrics.skipped.Add(1)
		return errSkipped
	}
	return t.exceeded(at, err)
}

// failed reports a record that somebody else could not handle: the producer, or a sink
// task. The error fails the task; it is nil if the failure is tolerated. As in Java, what
// is tolerated counts neither as an error nor as skipped here. done is report's.
func (t *tolerance) failed(at failurePoint, err error) (done <-chan struct{}, fatal error) {
	t.metrics.failures.Add(1)
	done = t.report(at, err)
	if t.skip {
		return done, nil
	}
	t.metrics.errors.Add(1)
	return done, t.exceeded(at, err)
}

func (t *tolerance) exceeded(at failurePoint, err error) error {
	return fmt.Errorf("Tolerance exceeded in error handler: stage %s with class %s: %w", at.stage, at.class, err)
}

// report tells the dead letter queue and the log. done is the queue's, closed without one.
func (t *tolerance) report(at failurePoint, err error) (done <-chan struct{}) {
	t.metrics.lastError.Set(float64(time.Now().UnixMilli()))
	done = settled
	if t.deadLetter != nil {
		done = t.deadLetter(at, err)
	}
	if !t.log {
		return done
	}
	t.metrics.logged.Add(1)
	attrs := []any{"error", err}
	if t.logRecord {
		attrs = append(attrs, at.describe()...)
	}
	t.logger.Error(fmt.Sprintf("Error encountered in task %s-%d. Executing stage '%s' with class '%s'.",
		t.task.Connector, t.task.Task, at.stage, at.class), attrs...)
	return done
}

// settled is closed: for reports that nobody has to wait for.
var settled = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// failurePoint says what failed, on which record.
type failurePoint struct {
	stage  stage
	class  string
	record *connect.SourceRecord // of a source
	// consumed is a sink's record, as it was read; nil for a source.
	consumed *kafka.Record
}

// describe says which record it was, without its contents.
func (at failurePoint) describe() []any {
	if r := at.consumed; r != nil {
		return []any{"topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "timestamp", r.Timestamp}
	}
	r := at.record
	attrs := []any{"topic", r.Topic, "partition", r.Partition, "timestamp", r.Timestamp}
	if r.SourcePartition != nil {
		attrs = append(attrs, "source_partition", r.SourcePartition.Key())
	}
	if r.SourceOffset != nil {
		attrs = append(attrs, "source_offset", r.SourceOffset.OffsetFields())
	}
	return attrs
}

// sleep waits for d and reports whether ctx lasted that long.
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
