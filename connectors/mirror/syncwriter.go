package mirror

import (
	"context"
	"errors"
	"sync"
	"time"

	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// drainTime bounds how long a stopping task goes on writing offset syncs, closeTime how
// long it then waits for those in flight. Together they stay well below the five
// seconds that a worker gives all its tasks to stop.
const (
	drainTime = 3 * time.Second
	closeTime = 200 * time.Millisecond
)

// syncPause follows the sending of what was due: where much is mirrored, a sync of some partition is always due, and a request
// for each costs as much as the mirroring of many records.
const syncPause = 20 * time.Millisecond

// syncProducer is the part of kafka.Producer that the writer needs.
type syncProducer interface {
	Send(ctx context.Context, rec *kafka.Record, done func(kafka.Metadata, error)) error
	Close(ctx context.Context) error
}

// syncWriter writes the offset syncs of a source task to partition 0 of their topic.
// Acknowledged records come from the producer of the task, which must not wait: what
// is due is sent by the goroutine run. A topic that cannot be written to costs the
// syncs, not the mirror.
type syncWriter struct {
	topic    string
	producer syncProducer
	troubles *troubles
	metrics  sourceTaskMetrics

	mu    sync.Mutex
	queue *replica.SyncQueue

	wake chan struct{} // something may be due
	// quit ends run after what is due; cancel ends it at once.
	quit   chan struct{}
	cancel context.CancelFunc
	ended  chan struct{}
}

// startSyncWriter begins to write with producer, which is the writer's from now on.
func startSyncWriter(ctx context.Context, topic string, offsetLagMax int64, producer syncProducer, troubles *troubles, metrics sourceTaskMetrics) *syncWriter {
	w := &syncWriter{
		topic: topic, producer: producer, troubles: troubles, metrics: metrics,
		queue: replica.NewSyncQueue(replica.LagRule(offsetLagMax), replica.DefaultSyncPermits),
		wake:  make(chan struct{}, 1),
		quit:  make(chan struct{}),
		ended: make(chan struct{}),
	}
	// The task's context ends before the last acknowledgements arrive.
	ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go w.run(ctx)
	return w
}

// acked takes a record that was written to the target.
func (w *syncWriter) acked(tp replica.TopicPartition, upstream, downstream int64) {
	w.ackedRun(tp, upstream, downstream, 1)
}

// ackedRun is acked for n records that follow each other on both sides.
func (w *syncWriter) ackedRun(tp replica.TopicPartition, upstream, downstream, n int64) {
	w.mu.Lock()
	w.queue.AckedRun(tp, upstream, downstream, n)
	due := w.queue.Due()
	w.mu.Unlock()
	if due {
		w.wakeUp()
	}
}

// promote makes everything due; to be called after each commit of offsets.
func (w *syncWriter) promote() {
	w.mu.Lock()
	w.queue.Promote()
	unsent := w.queue.Unsent()
	w.mu.Unlock()
	w.metrics.unwrittenSyncs.Set(float64(unsent))
	w.wakeUp()
}

func (w *syncWriter) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// stop writes all that waits, as long as ctx lasts, and ends the goroutine. It returns
// how many syncs could not be written.
func (w *syncWriter) stop(ctx context.Context) int {
	w.promote()
	close(w.quit)
	select {
	case <-w.ended:
	case <-ctx.Done():
	}
	w.cancel()
	<-w.ended
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.Unsent()
}

func (w *syncWriter) run(ctx context.Context) {
	defer close(w.ended)
	defer w.close()
	quit := w.quit
	for {
		sent := w.send(ctx)
		if quit == nil && w.idle() {
			return
		}
		if sent && quit != nil {
			select {
			case <-time.After(syncPause):
			case <-quit:
				quit = nil
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-w.wake:
		case <-quit:
			quit = nil // a closed channel would be ready for ever
		case <-ctx.Done():
			return
		}
	}
}

// send hands what is due to the producer, if anything is.
func (w *syncWriter) send(ctx context.Context) (some bool) {
	for ; ; some = true {
		w.mu.Lock()
		offsetSync, ok := w.queue.Next()
		w.mu.Unlock()
		if !ok {
			return some
		}
		key, err := offsetSync.Key()
		if err == nil {
			rec := &kafka.Record{Topic: w.topic, Timestamp: time.Now().UnixMilli(), Key: key, Value: offsetSync.Value()}
			err = w.producer.Send(ctx, rec, func(_ kafka.Metadata, err error) { w.sent(offsetSync, err) })
		}
		if err != nil {
			w.sent(offsetSync, err)
			if ctx.Err() != nil {
				return some
			}
		}
	}
}

func (w *syncWriter) sent(offsetSync replica.OffsetSync, err error) {
	w.mu.Lock()
	w.queue.Sent(offsetSync, err)
	w.mu.Unlock()
	if err != nil {
		w.metrics.failedSyncs.Add(1)
	} else {
		w.metrics.syncs.Add(1)
	}
	if errors.Is(err, kafka.ErrClosed) {
		return // the end of the task, which says how many were left
	}
	w.troubles.report("offset syncs", err, "Offset syncs cannot be written, so consumer groups cannot be translated beyond this; records are mirrored all the same", "topic", w.topic)
	w.wakeUp()
}

func (w *syncWriter) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.Idle()
}

// close ends the producer, which has nothing left to do unless the task is cut off.
func (w *syncWriter) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	// An error says that records were left, which the task tells of in its own words.
	_ = w.producer.Close(ctx)
}
