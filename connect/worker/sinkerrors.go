package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"tributary/connect"
	"tributary/connect/provider"
	"tributary/internal/kafka"
)

// deadLetterPartitions is how many partitions a dead letter queue is created with.
const deadLetterPartitions = 1

// sinkErrors is where records of a sink task go that cannot be handled: the dead letter
// queue (KIP-298). It is also the task's errant record reporter (KIP-610), which may be
// called from any goroutine.
type sinkErrors struct {
	run      *taskRun
	topic    string // of the queue, "" if there is none
	replicas int16
	headers  bool // with headers that say what went wrong
	log      bool

	producer Producer // of the queue; nil until open
	hard     context.Context

	mu sync.Mutex
	// letters are on their way, by the partition that the record came from.
	letters map[connect.TopicPartition][]*letter
	// fatal is the first record that was reported and not tolerated.
	fatal error
}

// letter is one record on its way to the queue.
type letter struct {
	done chan struct{}
	err  error // once done is closed
	// reported says that the task handed the record over: it counts on its arrival.
	reported bool
}

func newSinkErrors(t *taskRun, v connect.Values) *sinkErrors {
	e := &sinkErrors{
		run:      t,
		topic:    v.String("errors.deadletterqueue.topic.name"),
		replicas: int16(v.Int("errors.deadletterqueue.topic.replication.factor")),
		headers:  v.Bool("errors.deadletterqueue.context.headers.enable"),
		log:      v.Bool("errors.log.enable"),
		letters:  map[connect.TopicPartition][]*letter{},
	}
	if e.topic != "" {
		t.tolerance.deadLetter = func(at failurePoint, err error) <-chan struct{} { return e.send(at, err).done }
	}
	return e
}

// reporter is what the task gets, nil if nothing would come of its reports.
func (e *sinkErrors) reporter() connect.ErrantRecordReporter {
	if e.topic == "" && !e.log {
		return nil
	}
	return e
}

// open makes sure that the queue exists, and opens its producer. It waits for the cluster
// until ctx ends; hard ends when the task is cut off.
func (e *sinkErrors) open(ctx, hard context.Context) error {
	e.hard = hard
	if e.topic == "" {
		return nil
	}
	if err := e.createQueue(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("Could not initialize dead letter queue with topic=%s: %w", e.topic, err)
	}
	t := e.run
	spec := ProducerSpec{
		Task:      t.id,
		ClientID:  fmt.Sprintf("connector-dlq-producer-%s-%d", t.id.Connector, t.id.Task),
		Overrides: withPrefix(t.connectorConfig, "producer.override."), Concealment: t.concealment,
	}
	return untilOpen(ctx, t.logger, "The producer of the dead letter queue", func() (err error) {
		e.producer, err = t.worker.options.Producers(ctx, spec)
		return err
	})
}

func (e *sinkErrors) createQueue(ctx context.Context) error {
	t := e.run
	admin, err := t.worker.options.Admins(AdminSpec{
		Task:      t.id,
		ClientID:  fmt.Sprintf("connector-dlq-adminclient-%s-%d", t.id.Connector, t.id.Task),
		Overrides: withPrefix(t.connectorConfig, "admin.override."), Concealment: t.concealment,
	})
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close() }()
	return untilOpen(ctx, t.logger, "The dead letter queue", func() error {
		existing, err := admin.Topics(ctx, e.topic)
		if err != nil {
			return err
		}
		if _, exists := existing[e.topic]; exists {
			return nil
		}
		err = admin.CreateTopic(ctx, kafka.TopicSpec{Name: e.topic, Partitions: deadLetterPartitions, ReplicationFactor: e.replicas})
		if err == nil {
			t.logger.Info("The dead letter queue was created", "topic", e.topic, "replicas", e.replicas)
		}
		if errors.Is(err, kafka.ErrTopicExists) {
			return nil
		}
		return err
	})
}

// send writes a record to the queue, as it was read.
func (e *sinkErrors) send(at failurePoint, cause error) *letter {
	t := e.run
	in := at.consumed
	out := &kafka.Record{
		Topic: e.topic, Partition: kafka.AnyPartition, Timestamp: in.Timestamp,
		Key: in.Key, Value: in.Value, Headers: slices.Clone(in.Headers),
	}
	if e.headers {
		out.Headers = append(out.Headers, errorHeaders(t.id, at, cause, t.concealment)...)
	}
	l := &letter{done: make(chan struct{}), reported: at.stage == stageTaskPut}
	from := connect.TopicPartition{Topic: in.Topic, Partition: in.Partition}
	e.mu.Lock()
	e.letters[from] = append(e.letters[from], l)
	e.mu.Unlock()
	t.tolerance.metrics.deadLetters.Add(1)
	settle := func(err error) {
		if err != nil {
			t.tolerance.metrics.failedDeadLetters.Add(1)
			t.logger.Error("A record could not be written to the dead letter queue", "error", err, "topic", in.Topic, "partition", in.Partition, "offset", in.Offset, "queue", e.topic)
		}
		l.err = err
		close(l.done)
	}
	if err := e.producer.Send(e.hard, out, func(_ kafka.Metadata, err error) { settle(err) }); err != nil {
		settle(err)
	}
	return l
}

// Report implements connect.ErrantRecordReporter.
func (e *sinkErrors) Report(_ context.Context, record *connect.Record, cause error) (<-chan struct{}, error) {
	in, err := e.raw(record)
	if err != nil {
		return nil, err
	}
	at := failurePoint{stage: stageTaskPut, class: sinkTaskClass, consumed: in}
	done, err := e.run.tolerance.failed(at, cause)
	if err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.fatal == nil {
			e.fatal = err
		}
		return nil, err
	}
	return done, nil
}

// sinkTaskClass is what Java names as the place of a reported failure.
const sinkTaskClass = "org.apache.kafka.connect.sink.SinkTask"

// raw is the record as it was read, or, of one that the task made itself, as the
// connector's converters write it.
func (e *sinkErrors) raw(record *connect.Record) (*kafka.Record, error) {
	if record.Origin != nil {
		if in, ok := record.Origin.Raw().(*kafka.Record); ok {
			return in, nil
		}
	}
	out := &kafka.Record{Topic: record.Topic, Partition: record.Partition, Timestamp: record.Timestamp}
	if record.Origin != nil {
		out.Topic, out.Partition, out.Offset = record.Origin.Topic, record.Origin.Partition, record.Origin.Offset
	}
	p := e.run.pipeline
	var err error
	if out.Key, err = p.key.converter.FromConnectData(record.Topic, record.Headers, record.KeySchema, record.Key); err != nil {
		return nil, fmt.Errorf("the key of a record for the dead letter queue: %w", err)
	}
	if out.Value, err = p.value.converter.FromConnectData(record.Topic, record.Headers, record.ValueSchema, record.Value); err != nil {
		return nil, fmt.Errorf("the value of a record for the dead letter queue: %w", err)
	}
	for _, h := range record.Headers {
		value, err := p.header.converter.FromConnectHeader(record.Topic, h.Key, h.Schema, h.Value)
		if err != nil {
			return nil, fmt.Errorf("the header %s of a record for the dead letter queue: %w", h.Key, err)
		}
		out.Headers = append(out.Headers, kafka.Header{Key: h.Key, Value: value})
	}
	return out, nil
}

// exceeded is the first report that was not tolerated, nil if there is none.
func (e *sinkErrors) exceeded() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fatal
}

// await waits until the letters of partitions have arrived. The error is that one which
// the task reported has not; those of converters and transformations are lost with a line
// in the log, as in Java.
func (e *sinkErrors) await(ctx context.Context, partitions []connect.TopicPartition) error {
	for _, l := range e.take(partitions) {
		select {
		case <-l.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if l.err != nil && l.reported {
			return fmt.Errorf("a record that the task could not handle was not written to the dead letter queue %s: %w", e.topic, l.err)
		}
	}
	return nil
}

// abandon forgets the letters of partitions that were lost.
func (e *sinkErrors) abandon(partitions []connect.TopicPartition) { e.take(partitions) }

func (e *sinkErrors) take(partitions []connect.TopicPartition) []*letter {
	e.mu.Lock()
	defer e.mu.Unlock()
	var letters []*letter
	for _, tp := range partitions {
		letters = append(letters, e.letters[tp]...)
		delete(e.letters, tp)
	}
	return letters
}

// close closes the producer of the queue; what is on its way is delivered as far as ctx
// lasts.
func (e *sinkErrors) close(ctx context.Context) {
	if e.producer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, producerCloseLimit)
	defer cancel()
	if err := e.producer.Close(ctx); err != nil {
		e.run.logger.Warn("The producer of the dead letter queue failed to close cleanly", "error", err)
	}
}

// errorHeaders say what became of a record, by Java's names and in Java's order.
func errorHeaders(id connect.TaskID, at failurePoint, cause error, concealment *provider.Concealment) []kafka.Header {
	const prefix = "__connect.errors."
	text := func(name, value string) kafka.Header {
		return kafka.Header{Key: prefix + name, Value: []byte(value)}
	}
	in := at.consumed
	return []kafka.Header{
		text("topic", in.Topic),
		text("partition", fmt.Sprint(in.Partition)),
		text("offset", fmt.Sprint(in.Offset)),
		text("connector.name", id.Connector),
		text("task.id", fmt.Sprint(id.Task)),
		text("stage", string(at.stage)),
		text("class.name", at.class),
		text("exception.class.name", javaClass(cause)),
		text("exception.message", concealment.Text(javaMessage(cause))),
		text("exception.stacktrace", concealment.Text(javaTrace(at, cause))),
	}
}
