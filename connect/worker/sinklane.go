package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tributary/connect"
	"tributary/internal/jregex"
	"tributary/internal/kafka"
	"tributary/storage"
)

// positions are offsets by partition.
type positions = map[connect.TopicPartition]int64

// sinkLane is the way of records from a consumer to a sink task. Everything but the
// requests of the task's context and the commits under way happens on the task's
// goroutine, rebalances included: they run inside the consumer's Poll.
//
// Offsets: current is what may be committed, the positions after what Put accepted;
// delivering is where current goes once Put accepts the batch; committed is what the
// group has.
type sinkLane struct {
	run      *taskRun
	task     connect.SinkTask
	opener   connect.PartitionOpener // nil if the task is none
	context  *sinkContext
	consumer Consumer
	errors   *sinkErrors
	metrics  *sinkMetrics
	started  bool

	batch      []*connect.Record
	delivering positions
	current    positions
	committed  positions
	// refused says that Put wants the batch again: everything is paused meanwhile.
	refused bool
	paused  bool // the connector is
	topics  *usedTopics
	// rebalanceErr is what a callback of a rebalance failed with.
	rebalanceErr error

	nextCommit time.Time
	retryAt    time.Time // when the task wants to be called again at the latest; zero is never
	sequence   int
	// committing receives the outcome of the commit under way; nil if there is none.
	committing chan commitOutcome
}

func newSinkLane(t *taskRun, task connect.SinkTask, errors *sinkErrors, metrics *sinkMetrics) *sinkLane {
	s := &sinkLane{
		run: t, task: task, errors: errors, metrics: metrics,
		delivering: positions{}, current: positions{}, committed: positions{}, topics: t.usedTopics(),
	}
	s.opener, _ = task.(connect.PartitionOpener)
	s.context = newSinkContext(t, errors.reporter())
	return s
}

// begin opens what the task reads from and starts it.
func (s *sinkLane) begin() error {
	t := s.run
	subscription, err := subscriptionOf(t.config)
	if err != nil {
		return err
	}
	if err := s.errors.open(t.ctx, t.hard); err != nil {
		return err
	}
	s.consumer, err = t.worker.options.Consumers(ConsumerSpec{
		Task:         t.id,
		ClientID:     fmt.Sprintf("connector-consumer-%s-%d", t.id.Connector, t.id.Task),
		GroupID:      SinkGroupID(t.id.Connector),
		Overrides:    withPrefix(t.connectorConfig, "consumer.override."),
		Subscription: subscription, Concealment: t.concealment,
	}, s)
	if err != nil {
		return fmt.Errorf("the consumer cannot be created: %w", err)
	}
	s.started = true
	return guard(func() error { return s.task.Start(t.ctx, s.context, maps.Clone(t.config)) })
}

// loop runs the task until it is to stop or fails.
func (s *sinkLane) loop() error {
	t := s.run
	t.onTarget(s.context.wake)
	s.nextCommit = time.Now().Add(t.worker.options.Config.FlushInterval)
	for t.ctx.Err() == nil {
		if err := s.iterate(); err != nil {
			return err
		}
	}
	return context.Cause(t.ctx)
}

// SinkGroupID is the consumer group of a sink connector, unless a configuration says
// otherwise.
func SinkGroupID(connector string) string { return "connect-" + connector }

// subscriptionOf reads topics or topics.regex of a task's configuration.
func subscriptionOf(config map[string]string) (kafka.Subscription, error) {
	values, err := sinkTopicsDef.ParseValues(config)
	if err != nil {
		return kafka.Subscription{}, err
	}
	topics, regex := values.List("topics"), values.String("topics.regex")
	switch {
	case len(topics) > 0 && regex != "":
		return kafka.Subscription{}, errors.New("topics and topics.regex are both set: a sink connector has one of them")
	case len(topics) > 0:
		return kafka.Subscription{Topics: topics}, nil
	case regex == "":
		return kafka.Subscription{}, errors.New("a sink connector needs topics or topics.regex")
	}
	pattern, err := jregex.Compile(regex)
	if err != nil {
		return kafka.Subscription{}, fmt.Errorf("invalid value %q for configuration topics.regex: %w", regex, err)
	}
	return kafka.Subscription{Matches: pattern.MatchString}, nil
}

// iterate is one turn: commit if it is time, poll, convert, put.
func (s *sinkLane) iterate() error {
	s.context.sleepAgain()
	s.followTarget()
	s.collectCommit()
	if s.committing == nil && (s.context.takeCommitRequest() || !time.Now().Before(s.nextCommit)) {
		if err := s.commit(s.assigned(), false); err != nil {
			return err
		}
		s.nextCommit = time.Now().Add(s.run.worker.options.Config.FlushInterval)
	}
	s.applyRequests()
	records, woken, err := s.poll()
	switch {
	case s.rebalanceErr != nil:
		return s.rebalanceErr
	case err != nil:
		return err
	case woken || s.run.ctx.Err() != nil:
		return nil // records that came with the end are left to the next start
	}
	if err := s.convert(records); err != nil {
		return err
	}
	return s.deliver()
}

// poll waits for records until the next commit is due or the task wants to be called
// again. woken says that the task asked for something before that, or that there is news
// of a commit or of the target state.
func (s *sinkLane) poll() (records []kafka.Record, woken bool, err error) {
	deadline := s.nextCommit
	if now := time.Now(); s.committing != nil && !now.Before(deadline) {
		// The next commit follows the one under way, whose end wakes the lane. An idle task is
		// still called every interval.
		deadline = now.Add(s.run.worker.options.Config.FlushInterval)
	}
	if !s.retryAt.IsZero() && s.retryAt.Before(deadline) {
		deadline = s.retryAt
	}
	ctx, cancel := context.WithDeadline(s.run.ctx, deadline)
	defer cancel()
	s.context.wakeWith(cancel)
	defer s.context.wakeWith(nil)
	records, err = s.consumer.Poll(ctx)
	if err != nil && errors.Is(err, ctx.Err()) { // only the wait has ended
		return nil, errors.Is(ctx.Err(), context.Canceled), nil
	}
	s.metrics.read.Add(float64(len(records)))
	return records, false, err
}

// convert makes the next batch. A refused batch stays: nothing was polled then.
func (s *sinkLane) convert(records []kafka.Record) (err error) {
	defer recoverTo(func(p error) { err = p })
	for i := range records {
		in := &records[i]
		out, err := s.run.pipeline.receive(s.run.ctx, in, s.topicUsed)
		switch err {
		case nil:
			s.batch = append(s.batch, out)
		case errSkipped:
		default:
			return err
		}
		if next := i + 1; next == len(records) || records[next].Partition != in.Partition || records[next].Topic != in.Topic {
			s.delivering[connect.TopicPartition{Topic: in.Topic, Partition: in.Partition}] = in.Offset + 1
		}
	}
	s.metrics.consumed(s.delivering)
	processRoom.pass(len(records))
	return nil
}

func (s *sinkLane) topicUsed(topic string) {
	if s.topics.first(topic) {
		s.topics.tell(topic)
	}
}

// deliver hands the batch to the task.
func (s *sinkLane) deliver() error {
	began := time.Now()
	err := guard(func() error { return s.task.Put(s.run.ctx, slices.Clone(s.batch)) })
	s.retryAt = s.context.takeRetry()
	if failed := s.errors.exceeded(); failed != nil {
		err = failed // whatever the task made of it
	}
	switch {
	case err == nil:
		s.metrics.put(len(s.batch), time.Since(began))
		maps.Copy(s.current, s.delivering)
		s.forgetBatch()
		if s.refused {
			s.refused = false
			if !s.paused {
				s.resumeAll()
			}
		}
		return nil
	case asksAgain(err):
		s.run.logger.Error("The task refused records for now; they are handed over again", "records", len(s.batch), "error", err)
		if !s.refused {
			s.refused = true
			s.pauseAll()
		}
		return nil
	case s.run.ctx.Err() != nil:
		return context.Cause(s.run.ctx)
	}
	return fmt.Errorf("Exiting WorkerSinkTask due to unrecoverable exception.: %w", err)
}

func (s *sinkLane) forgetBatch() {
	clear(s.batch)
	s.batch = s.batch[:0]
	clear(s.delivering)
}

// followTarget pauses and resumes as the connector's target state says.
func (s *sinkLane) followTarget() {
	switch paused := s.run.isPaused(); {
	case paused == s.paused:
	case paused:
		s.paused = true
		s.pauseAll()
		s.run.reports.is(storage.StatePaused, "")
		s.context.RequestCommit()
	default:
		s.paused = false
		if !s.refused {
			s.resumeAll()
		}
		s.run.reports.is(storage.StateRunning, "")
	}
}

func (s *sinkLane) pauseAll() { s.consumer.Pause(s.consumer.Assignment()...) }

// resumeAll leaves what the task paused itself.
func (s *sinkLane) resumeAll() {
	s.consumer.Resume(slices.DeleteFunc(s.consumer.Assignment(), s.context.isPaused)...)
}

// applyRequests does what the task asked its context for.
func (s *sinkLane) applyRequests() {
	pauses, rewinds := s.context.takeRequests()
	for tp, pause := range pauses {
		switch {
		case pause:
			s.consumer.Pause(kafka.TopicPartition(tp))
		case !s.paused && !s.refused:
			s.consumer.Resume(kafka.TopicPartition(tp))
		}
	}
	s.rewind(rewinds)
}

func (s *sinkLane) rewind(to positions) {
	for tp := range to {
		if _, assigned := s.current[tp]; !assigned {
			s.run.logger.Warn("The task asked to rewind a partition that it does not have", "topic", tp.Topic, "partition", tp.Partition)
			delete(to, tp)
		}
	}
	s.seek(to)
	maps.Copy(s.committed, to)
}

// seek moves the consumer, and with it what may be committed. What Put refused of the
// partitions is read again: were it put from the batch, a commit would skip what comes
// before it. They rest until Put has accepted what is left of the batch, if anything.
func (s *sinkLane) seek(to positions) {
	if len(to) > 0 {
		s.consumer.Seek(kafkaOffsets(to))
		maps.Copy(s.current, to)
		s.dropDelivering(slices.Collect(maps.Keys(to)))
	}
}

// dropDelivering takes partitions out of the batch.
func (s *sinkLane) dropDelivering(partitions []connect.TopicPartition) {
	for _, tp := range partitions {
		delete(s.delivering, tp)
	}
	s.batch = slices.DeleteFunc(s.batch, func(r *connect.Record) bool {
		return r.Origin != nil && slices.Contains(partitions, r.Origin.TopicPartition())
	})
}

func (s *sinkLane) assigned() []connect.TopicPartition {
	return connectPartitions(s.consumer.Assignment())
}

// finish commits and closes what the task has, then the task, the consumer and the
// producer of the dead letter queue.
func (s *sinkLane) finish() {
	t := s.run
	if s.consumer != nil && len(s.current) > 0 {
		s.close(slices.Collect(maps.Keys(s.current)))
	}
	if s.started {
		if err := guard(func() error { return s.task.Stop(t.hard) }); err != nil {
			t.logger.Error("The task failed to stop cleanly", "error", err)
		}
	}
	if s.consumer != nil {
		s.awaitCommit()
		s.consumer.Close(t.hard)
	}
	s.errors.close(t.hard)
	s.metrics.partitions.Set(0)
}

// close gives partitions back: what the task has of them is flushed and committed.
func (s *sinkLane) close(partitions []connect.TopicPartition) {
	if err := s.commit(partitions, true); err != nil {
		s.rebalanceErr = errors.Join(s.rebalanceErr, err)
		s.run.logger.Error("The task failed to give partitions back", "error", err)
	}
}

// Assigned implements kafka.RebalanceListener.
func (s *sinkLane) Assigned(added map[kafka.TopicPartition]int64) {
	for tp, offset := range added {
		own := connect.TopicPartition(tp)
		s.current[own], s.committed[own] = offset, offset
	}
	s.metrics.assigned(s.current, s.committed)
	wasRefused := s.refused
	s.refused = wasRefused && len(s.batch) > 0
	s.context.assign(s.assigned())
	switch {
	case s.refused || s.paused:
		s.pauseAll() // the new ones, too
	case wasRefused:
		s.resumeAll()
	}
	if len(added) == 0 {
		return
	}
	if s.opener != nil && s.rebalanceErr == nil {
		partitions := connectPartitions(slices.Collect(maps.Keys(added)))
		s.rebalanceErr = guard(func() error { return s.opener.Open(s.run.ctx, partitions) })
	}
	if s.rebalanceErr == nil {
		s.applyRequests()
	}
}

// Revoked implements kafka.RebalanceListener.
func (s *sinkLane) Revoked(partitions []kafka.TopicPartition) {
	gone := connectPartitions(partitions)
	s.close(gone)
	s.forget(gone)
}

// Lost implements kafka.RebalanceListener.
func (s *sinkLane) Lost(partitions []kafka.TopicPartition) {
	gone := connectPartitions(partitions)
	s.run.logger.Warn("Partitions were lost to another member of the group; records since the last commit may be written twice", "partitions", len(gone))
	if err := s.closePartitions(gone); err != nil {
		s.rebalanceErr = errors.Join(s.rebalanceErr, err)
	}
	s.errors.abandon(gone)
	s.forget(gone)
}

// forget drops what is kept of partitions that are gone: another member reads them from
// what was committed.
func (s *sinkLane) forget(gone []connect.TopicPartition) {
	for _, tp := range gone {
		delete(s.current, tp)
		delete(s.committed, tp)
	}
	s.dropDelivering(gone)
	s.metrics.assigned(s.current, s.committed)
	s.context.unassign(gone)
}

// closePartitions tells the task that partitions are gone.
func (s *sinkLane) closePartitions(partitions []connect.TopicPartition) error {
	if s.opener == nil {
		return nil
	}
	return guard(func() error { return s.opener.Close(s.run.hard, partitions) })
}

func connectPartitions(partitions []kafka.TopicPartition) []connect.TopicPartition {
	out := make([]connect.TopicPartition, len(partitions))
	for i, tp := range partitions {
		out[i] = connect.TopicPartition(tp)
	}
	return out
}

func kafkaOffsets(offsets positions) map[kafka.TopicPartition]int64 {
	out := make(map[kafka.TopicPartition]int64, len(offsets))
	for tp, offset := range offsets {
		out[kafka.TopicPartition(tp)] = offset
	}
	return out
}
