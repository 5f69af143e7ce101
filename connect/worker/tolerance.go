package worker

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"tributary/connect"
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
	metrics *taskMetrics
	task    connect.TaskID
}

func newTolerance(v connect.Values, id connect.TaskID, logger *slog.Logger, metrics *taskMetrics) *tolerance {
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
		if !asksAgain(err) || t.retryTimeout >= 0 && left <= 0 {
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
	t.report(at, err)
	if t.skip {
		t.metrics.skipped.Add(1)
		return errSkipped
	}
	return fmt.Errorf("Tolerance exceeded in error handler: stage %s with class %s: %w", at.stage, at.class, err)
}

func (t *tolerance) report(at failurePoint, err error) {
	t.metrics.errors.Add(1)
	t.metrics.lastError.Set(float64(time.Now().UnixMilli()))
	if !t.log {
		return
	}
	t.metrics.logged.Add(1)
	attrs := []any{"error", err}
	if t.logRecord {
		r := at.record
		attrs = append(attrs, "topic", r.Topic, "partition", r.Partition, "timestamp", r.Timestamp)
		if r.SourcePartition != nil {
			attrs = append(attrs, "source_partition", r.SourcePartition.Key())
		}
		if r.SourceOffset != nil {
			attrs = append(attrs, "source_offset", r.SourceOffset.OffsetFields())
		}
	}
	t.logger.Error(fmt.Sprintf("Error encountered in task %s-%d. Executing stage '%s' with class '%s'.",
		t.task.Connector, t.task.Task, at.stage, at.class), attrs...)
}

// failurePoint says what failed, on which record.
type failurePoint struct {
	stage  stage
	class  string
	record *connect.SourceRecord
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
