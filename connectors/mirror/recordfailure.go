package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// What to do with a record that the target refuses for good.
const (
	onRecordErrorKey   = "on.record.error"
	deadLetterTopicKey = "dead.letter.topic.name"

	recordStop       = "stop.partition"
	recordSkip       = "skip"
	recordDeadLetter = "dead.letter"
	// recordByWorker leaves it to the worker: the user has set errors.tolerance=all and
	// not on.record.error.
	recordByWorker = "errors.tolerance"
)

// A partition that has stopped at a record is tried again after firstRetry, then after
// twice that and so on up to lastRetry.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

var recordErrorKeys = []connect.ConfigKey{
	valid(low(onRecordErrorKey, connect.TypeString, recordStop, "What to do with a record that the target refuses for good, such as one that is too large. stop.partition: mirror its partition no further and try again with growing pauses, while the others go on. skip: leave it out. dead.letter: write it to "+deadLetterTopicKey+". With exactly-once support such a record fails the task. If it is not set and errors.tolerance=all, the record is skipped as that says."),
		connect.OneOf(recordStop, recordSkip, recordDeadLetter)),
	low(deadLetterTopicKey, connect.TypeString, nil, "In the target cluster: the topic for records that the target refuses, with "+onRecordErrorKey+"="+recordDeadLetter+". It is created with one partition if it is not there. The default is <alias of the source>.dead-letter."),
}

// deadLetterTopic is the name of the topic for refused records.
func (s *settings) deadLetterTopic() string {
	if topic := s.String(deadLetterTopicKey); topic != "" {
		return topic
	}
	return s.source + ".dead-letter"
}

// recordPolicy is what on.record.error says, or what the framework's own key does.
func (s *settings) recordPolicy() string {
	if !s.given(onRecordErrorKey) && s.props["errors.tolerance"] == "all" {
		return recordByWorker
	}
	return s.String(onRecordErrorKey)
}

// refusedRecord is a record that the target refused and its partition was rewound to.
type refusedRecord struct {
	partition *sourcePartition
	offset    int64
	err       error
	// dead says that the record was refused as a dead letter.
	dead bool
}

// refusals are left by the worker's goroutines for the task's.
type refusals struct {
	mu sync.Mutex
	// asked are the refusals of which the partition is not rewound yet, ready the others.
	asked map[*sourcePartition]refusedRecord
	ready []refusedRecord
}

func (r *refusals) ask(f refusedRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked == nil {
		r.asked = map[*sourcePartition]refusedRecord{}
	}
	r.asked[f.partition] = f
}

func (r *refusals) rewound(p *sourcePartition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, ok := r.asked[p]; ok {
		delete(r.asked, p)
		r.ready = append(r.ready, f)
	}
}

func (r *refusals) take() []refusedRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	ready := r.ready
	r.ready = nil
	return ready
}

// RecordFailed implements connect.RecordFailureHandler.
func (t *SourceTask) RecordFailed(record *connect.SourceRecord, err error) connect.RecordFailureAction {
	at, ours := record.SourceOffset.(*sourceOffset)
	policy := t.settings.recordPolicy()
	if !ours || policy == recordByWorker || endsTask(err) {
		return connect.FailTask
	}
	p := at.partition
	if policy == recordSkip && concernsRecord(err) {
		t.leaveOut(p, gap{kind: lossSkipped, from: at.offset, to: at.offset + 1, at: time.Now()}, err)
		return connect.SkipRecord
	}
	t.refusals.ask(refusedRecord{partition: p, offset: at.refused(err), err: err, dead: at.dead})
	return connect.RewindPartition
}

// PartitionRewound implements connect.RecordFailureHandler.
func (t *SourceTask) PartitionRewound(record *connect.SourceRecord) {
	if at, ours := record.SourceOffset.(*sourceOffset); ours {
		t.refusals.rewound(at.partition)
	}
}

// endsTask tells failures that are not about one record or topic.
func endsTask(err error) bool {
	if denied, ok := errors.AsType[*kafka.AuthorizationError](err); ok {
		return denied.ResourceType != "topic"
	}
	return errors.Is(err, kafka.ErrFenced) || errors.Is(err, kafka.ErrClosed)
}

// concernsRecord tells refusals of a record, or of all for its topic, from what would befall any other, such as a login
// that fails.
func concernsRecord(err error) bool {
	if _, ok := errors.AsType[*kafka.ConnectionError](err); ok {
		return false
	}
	return !kafka.IsRetriable(err)
}

// leaveOut tells of a record that does not get to its place. Any goroutine may call it.
func (t *SourceTask) leaveOut(p *sourcePartition, g gap, err error) {
	p.addGap(g)
	p.noteProblem(err, time.Now())
	t.metrics.gaps.Add(1)
	t.logger.Error("A record is left out because the target refuses it", "topic", p.tp.Topic, "partition", p.tp.Partition, "offset", g.from,
		"kind", string(g.kind), onRecordErrorKey, t.settings.String(onRecordErrorKey), "error", err)
}

// takeRefusals holds the partitions whose record was refused, and reads those again
// whose time has come.
func (t *SourceTask) takeRefusals(ctx context.Context, now time.Time) {
	for _, f := range t.refusals.take() {
		t.hold(f, now)
	}
	for p := range t.held {
		if p.probe >= 0 && p.progress.upTo.Load() > p.probe {
			t.goOn(p)
		} else if p.refused != nil && p.probe < 0 && !p.probing && !now.Before(p.retryAt) {
			t.tryAgain(ctx, p, now)
		}
	}
}

// hold takes back what was read of a partition from the refused record on.
func (t *SourceTask) hold(f refusedRecord, now time.Time) {
	p, tp := f.partition, kafka.TopicPartition(f.partition.tp)
	t.fetcher.Remove(tp)
	t.portions = slices.DeleteFunc(t.portions, func(q portion) bool {
		if q.partition == p {
			drop(q.records)
		}
		return q.partition == p
	})
	drop(p.pending)
	delete(t.waiting, p)
	t.traffic.forget(p)
	p.pending, p.asleep, p.queued, p.finished, p.adrift = nil, time.Time{}, 0, false, false
	p.next, p.handedTo = f.offset, f.offset
	p.progress.upTo.Store(f.offset) // some of what is taken back had got through
	// Records of the former one that are still on their way are dropped by the worker.
	p.position = connect.NewSourcePartition(p.position.Fields())
	said := p.refused != nil && p.refused.Error() == f.err.Error()
	p.probe, p.probing, p.refused = -1, false, f.err
	p.noteProblem(f.err, now)
	if t.stopped[tp] != nil {
		t.endTries(p)
		return
	}
	t.held[p] = struct{}{}
	p.letter = nil
	if t.settings.recordPolicy() == recordDeadLetter && concernsRecord(f.err) {
		p.letter = f.err
		if !f.dead {
			p.retryAt = now
			return
		}
	}
	pause := p.nextPause()
	p.retryAt = now.Add(pause)
	level := slog.LevelError
	if said {
		level = slog.LevelDebug // once is enough, until it gets through or something else is wrong
	}
	t.logger.Log(context.Background(), level, "A partition is not mirrored further for now: the target refuses a record", "topic", p.tp.Topic, "partition", p.tp.Partition,
		"offset", f.offset, "remote_topic", p.remote, "retry_in", pause, "error", f.err)
}

// nextPause is how long to wait before the next try.
func (p *sourcePartition) nextPause() time.Duration {
	p.retries++
	return min(firstRetry<<min(p.retries-1, 20), lastRetry)
}

// tryAgain reads the refused record, and that alone until it gets through: what is
// behind it must not be written again with each try.
func (t *SourceTask) tryAgain(ctx context.Context, p *sourcePartition, now time.Time) {
	if p.letter != nil {
		if err := t.createDeadLetterTopic(ctx); err != nil {
			p.retryAt = now.Add(p.nextPause())
			p.noteProblem(err, now)
			t.troubles.report("dead letters", err, "The topic for refused records cannot be created: their partitions wait for it", "topic", t.settings.deadLetterTopic(), "cluster", t.settings.target)
			return
		}
		t.troubles.report("dead letters", nil, "The topic for refused records cannot be created")
	}
	p.probing = true
	t.fetcher.Add(map[kafka.TopicPartition]int64{kafka.TopicPartition(p.tp): p.next})
}

// sendProbe hands out the first of records alone.
func (t *SourceTask) sendProbe(p *sourcePartition, records []kafka.Record) {
	t.fetcher.Remove(kafka.TopicPartition(p.tp))
	p.probe, p.probing = records[0].Offset, false
	p.next = behind(&records[0])
	drop(records[1:])
	t.portions = append(t.portions, portion{partition: p, records: records[:1], letter: p.letter})
	p.queued++
}

// endTries leaves a partition that is stopped at the record that the target refuses. A try
// that is on its way is waited for: if it gets through, goOn tells of it.
func (t *SourceTask) endTries(p *sourcePartition) {
	p.probing = false
	if p.probe < 0 {
		delete(t.held, p)
		p.letter, p.refused = nil, nil
	}
}

// goOn reads on behind a record that was refused before and has got through.
func (t *SourceTask) goOn(p *sourcePartition) {
	delete(t.held, p)
	stopped := t.stopped[kafka.TopicPartition(p.tp)] != nil
	if p.letter != nil {
		t.leaveOut(p, gap{kind: lossDeadLetter, from: p.probe, to: p.probe + 1, at: time.Now()}, p.letter)
	} else if !stopped {
		t.logger.Info("A partition is mirrored again", "topic", p.tp.Topic, "partition", p.tp.Partition, "offset", p.probe)
	}
	p.probe, p.letter, p.refused, p.retries = -1, nil, nil, 0
	if stopped {
		return
	}
	if p.atEnd() {
		t.finish(p)
		return
	}
	t.fetcher.Add(map[kafka.TopicPartition]int64{kafka.TopicPartition(p.tp): p.next})
}

// createDeadLetterTopic makes sure, once, that the topic is there.
func (t *SourceTask) createDeadLetterTopic(ctx context.Context) error {
	if t.letters {
		return nil
	}
	s := t.settings
	target, err := s.openCluster(onTarget, "dead-letter-target-admin", t.logger)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, closeTime+drainTime)
	defer cancel()
	factor, err := s.factor(ctx, target, replicationFactorKey)
	if err == nil {
		err = target.admin.CreateTopic(ctx, kafka.TopicSpec{Name: s.deadLetterTopic(), Partitions: 1, ReplicationFactor: factor})
	}
	if errors.Is(err, kafka.ErrTopicExists) {
		err = nil
	}
	t.letters = err == nil
	return errors.Join(err, target.close())
}

// letterHeaders say what became of a record, by the names that Connect gives the
// headers of its dead letter queues (KIP-298).
func letterHeaders(id connect.TaskID, tp replica.TopicPartition, offset int64, err error) []connect.Header {
	const prefix = "__connect.errors."
	class := "org.apache.kafka.connect.errors.ConnectException"
	if _, large := errors.AsType[*kafka.RecordTooLargeError](err); large {
		class = "org.apache.kafka.common.errors.RecordTooLargeException"
	} else if _, denied := errors.AsType[*kafka.AuthorizationError](err); denied {
		class = "org.apache.kafka.common.errors.TopicAuthorizationException"
	}
	var headers []connect.Header
	for _, h := range [][2]string{
		{"topic", tp.Topic}, {"partition", fmt.Sprint(tp.Partition)}, {"offset", fmt.Sprint(offset)},
		{"connector.name", id.Connector}, {"task.id", fmt.Sprint(id.Task)}, {"stage", "KAFKA_PRODUCE"}, {"class.name", SourceTaskClass},
		{"exception.class.name", class}, {"exception.message", err.Error()}, {"exception.stacktrace", class + ": " + err.Error()},
	} {
		headers = append(headers, connect.Header{Key: prefix + h[0], Schema: connect.BytesSchema, Value: []byte(h[1])})
	}
	return headers
}
