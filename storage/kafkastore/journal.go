package kafkastore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"tributary/internal/kafka"
	"tributary/storage"
)

// closeTimeout is how long Stop waits for records that were not acknowledged yet.
const closeTimeout = 2 * time.Second

// Options are what every store needs.
type Options struct {
	// Props are the worker's client properties, without prefixes. Keys of others are no
	// matter.
	Props kafka.Props
	// ClientIDBase begins the client ids, such as "connect-cluster-". Without it they are
	// what the other settings say.
	ClientIDBase string
	Topic        Topic
	// Consumer and Producer are further settings of these clients, which go over Props.
	Consumer, Producer kafka.Props
	// ReadCommitted hides what open and aborted transactions wrote.
	ReadCommitted bool
	Logger        *slog.Logger
}

// journal is a topic that is read from its beginning, followed, and written to.
type journal struct {
	topic    Topic
	content  content
	logger   *slog.Logger
	consumer *kafka.Config
	producer *kafka.Config
	admin    *kafka.Config

	mu    sync.Mutex
	open  *clients // nil: not running
	ended bool
}

// content is what a kind of store keeps in its topic.
type content struct {
	purpose string // the topic is "for" it
	// suffix ends the client id.
	suffix string
	// remedy says what to do when the topic was deleted, and replaceable whether one made anew
	// may stand for it (see presence).
	remedy      string
	replaceable bool
	writes      kafka.Props // overrides for the producer
}

// clients are what a running journal holds.
type clients struct {
	client   *kafka.Client
	log      *kafka.Log
	producer *kafka.Producer
	presence *presence
	unwatch  func() // ends the goroutine that watches the topic
	unread   func() // ends a look that a record waits for
}

// newJournal checks the properties.
//
// Java's producers of configurations and offsets try for ever (delivery.timeout.ms at its
// maximum), though their callers give up after seconds: a worker that was cut off for
// hours then overwrites what others have written since. Here the default of two minutes
// stands, whatever the worker's properties say.
func newJournal(o Options, kept content) (*journal, error) {
	j := &journal{topic: o.Topic, content: kept, logger: o.Logger.With("topic", o.Topic.Name)}
	j.topic.purpose = kept.purpose
	clientID := kafka.Props{}
	if o.ClientIDBase != "" {
		clientID["client.id"] = o.ClientIDBase + kept.suffix
	}
	var err error
	if j.admin, err = parse(kafka.RoleAdmin, o.Props, clientID); err != nil {
		return nil, fmt.Errorf("admin client for %s: %w", o.Topic.Key, err)
	}
	// Whether a topic whose end lies before what was read may be read again, presence decides.
	reads := kafka.Props{"auto.offset.reset": "none", "enable.auto.commit": "false"}
	if o.ReadCommitted {
		reads["isolation.level"] = "read_committed"
	}
	if j.consumer, err = parse(kafka.RoleConsumer, o.Props, o.Consumer, reads, clientID); err != nil {
		return nil, fmt.Errorf("consumer for %s: %w", o.Topic.Key, err)
	}
	// One request at a time keeps the order without idempotence, which old brokers and
	// tight ACLs refuse.
	fixed := kafka.Props{"acks": "all", "max.in.flight.requests.per.connection": "1", "enable.idempotence": "false"}
	if j.producer, err = parse(kafka.RoleProducer, o.Props, o.Producer, fixed, kept.writes, clientID); err != nil {
		return nil, fmt.Errorf("producer for %s: %w", o.Topic.Key, err)
	}
	// A broker would make it with the settings of any topic, which lose what is old.
	j.producer.Producer.ExistingTopicsOnly = true
	return j, nil
}

func parse(role kafka.Role, props kafka.Props, overrides ...kafka.Props) (*kafka.Config, error) {
	all := maps.Clone(props)
	if all == nil {
		all = kafka.Props{}
	}
	delete(all, "delivery.timeout.ms")
	for _, override := range overrides {
		maps.Copy(all, override)
	}
	return kafka.ParseConfig(role, all)
}

// start reads the topic to its end and leaves the journal running. A journal starts once.
func (j *journal) start(ctx context.Context, apply func(kafka.Record), check func(partitions int) error) (err error) {
	j.mu.Lock()
	again := j.open != nil || j.ended
	j.mu.Unlock()
	if again {
		return errors.New("the store was started before")
	}
	c := &clients{}
	defer func() {
		if err != nil {
			j.close(c)
		}
	}()
	if c.client, err = kafka.NewClient(j.admin, j.logger); err != nil {
		return err
	}
	if err := c.client.Await(ctx); err != nil {
		return err
	}
	admin := kafka.NewAdmin(c.client, j.admin, j.logger)
	if err := j.topic.ensure(ctx, admin, j.admin, j.logger); err != nil {
		return err
	}
	c.presence = &presence{topic: j.topic, content: j.content, logger: j.logger, admin: admin, turn: make(chan struct{}, 1)}
	var reading context.Context
	reading, c.unread = context.WithCancel(context.Background())
	apply = c.presence.guard(reading, apply)
	if c.log, err = kafka.OpenLog(ctx, c.client, j.consumer, j.topic.Name, apply, j.logger); err != nil {
		return fmt.Errorf("reading the topic %s for %s: %w", j.topic.Name, j.topic.purpose, err)
	}
	if err := check(c.log.Partitions()); err != nil {
		return err
	}
	if err := c.presence.look(ctx, 0); err != nil {
		return err
	}
	if c.producer, err = kafka.NewProducer(c.client, j.producer, j.logger); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return storage.ErrStopped
	}
	watching, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	c.unwatch = func() { cancel(); <-ended }
	go func() {
		defer close(ended)
		c.presence.watch(watching, c.log)
	}()
	j.open = c
	return nil
}

func anyPartitions(int) error { return nil }

// stop ends the journal for good; nothing is applied once it returned.
func (j *journal) stop() {
	j.mu.Lock()
	c := j.open
	j.open, j.ended = nil, true
	j.mu.Unlock()
	if c != nil {
		j.close(c)
	}
}

func (j *journal) close(c *clients) {
	if c.unwatch != nil {
		c.unwatch()
	}
	if c.producer != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := c.producer.Close(ctx); err != nil {
			j.logger.Warn("Closing the producer for "+j.topic.purpose, "error", err)
		}
	}
	if c.unread != nil {
		c.unread()
	}
	if c.log != nil {
		c.log.Close()
	}
	if c.client != nil {
		if err := c.client.Close(); err != nil {
			j.logger.Warn("Closing the client for "+j.topic.purpose, "error", err)
		}
	}
}

func (j *journal) running() (*clients, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.open == nil {
		return nil, storage.ErrStopped
	}
	return j.open, nil
}

// refresh reads to the end of the topic, which includes all that this store wrote.
func (j *journal) refresh(ctx context.Context) error {
	c, err := j.running()
	if err != nil {
		return err
	}
	err = c.presence.during(ctx, c.log.ReadToEnd)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the brokers at %s did not answer in time: %w", c.client.Bootstrap(), err)
	}
	if err != nil {
		return j.orStopped(err)
	}
	return nil
}

// write sends records in order and waits until all are acknowledged.
func (j *journal) write(ctx context.Context, records ...storage.Record) error {
	c, err := j.running()
	if err != nil || len(records) == 0 {
		return err
	}
	j.mu.Lock()
	producer := c.producer
	j.mu.Unlock()
	err = c.presence.during(ctx, func(ctx context.Context) error { return producer.SendSync(ctx, j.toKafka(records)...) })
	if errors.Is(err, storage.ErrTopicLost) {
		j.discard(c, producer)
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("writing to the topic %s: the brokers at %s did not acknowledge it in time: %w", j.topic.Name, c.client.Bootstrap(), err)
	}
	if err != nil {
		return fmt.Errorf("writing to the topic %s: %w", j.topic.Name, j.orStopped(err))
	}
	return nil
}

// discard takes back what a producer has not sent yet: what was refused must not go to a topic that comes in the place
// of the lost one.
func (j *journal) discard(c *clients, producer *kafka.Producer) {
	if j.content.replaceable {
		return
	}
	fresh, err := kafka.NewProducer(c.client, j.producer, j.logger)
	if err != nil {
		j.logger.Error("What was not written cannot be taken back", "error", err)
		return
	}
	j.mu.Lock()
	dropped := fresh // another write was quicker, or the journal has ended
	if j.open == c && c.producer == producer {
		c.producer, dropped = fresh, producer
	}
	j.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := dropped.Close(ctx); err != nil && !errors.Is(err, context.Canceled) {
		j.logger.Warn("Closing the producer for "+j.topic.purpose, "error", err)
	}
}

func (j *journal) toKafka(records []storage.Record) []*kafka.Record {
	out := make([]*kafka.Record, len(records))
	for i, record := range records {
		out[i] = &kafka.Record{Topic: j.topic.Name, Partition: kafka.AnyPartition, Timestamp: kafka.NoTimestamp, Key: record.Key, Value: record.Value}
	}
	return out
}

// orStopped turns the error of a client that stop closed under the caller into ErrStopped.
func (j *journal) orStopped(err error) error {
	if _, stopped := j.running(); stopped != nil {
		return fmt.Errorf("%w: %w", stopped, err)
	}
	return err
}
