package cli

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"

	"tributary/connect/worker"
	"tributary/internal/kafka"
	"tributary/internal/rawkafka"
)

// producerBuffer bounds the records of one task on their way, in bytes. It is half of
// Java's default: enough for several requests of a megabyte, and what is held here is
// held in the fetched batches as well.
const producerBuffer = 16 << 20

// producerFactory makes the producers of tasks: the framework's defaults, the worker's
// producer.* on top, the connector's producer.override.* on top of that.
type producerFactory struct {
	props map[string]string
	log   *slog.Logger
}

// config is the configuration of one task's producer.
func (f *producerFactory) config(spec worker.ProducerSpec) (*kafka.Config, error) {
	// Java has one request in flight, for the sake of order, and lingers 5 ms for the sake
	// of large batches. Here a partition has one batch in flight whatever happens, so
	// several requests cost no order, and the next batch grows meanwhile, so that waiting
	// costs latency and gains nothing.
	props := kafka.Props{
		"bootstrap.servers":   f.props["bootstrap.servers"],
		"client.id":           spec.ClientID,
		"acks":                "all",
		"enable.idempotence":  strconv.FormatBool(spec.TransactionalID != ""),
		"delivery.timeout.ms": strconv.Itoa(math.MaxInt32),
		"max.block.ms":        strconv.FormatInt(math.MaxInt64, 10),
		"buffer.memory":       strconv.Itoa(producerBuffer),
		"linger.ms":           "0",
	}
	if spec.Batches {
		props["enable.idempotence"] = "true" // it keeps order among several requests on their way
		props["send.buffer.bytes"] = "-1"    // requests of a megabyte, several on their way: up to the system
	}
	for k, v := range f.props {
		if key, ok := strings.CutPrefix(k, "producer."); ok {
			props[key] = v
		}
	}
	for k, v := range spec.Overrides {
		props[k] = v
	}
	if spec.TransactionalID != "" {
		for key, value := range map[string]string{"enable.idempotence": "true", "transactional.id": spec.TransactionalID} {
			if set, ok := props[key]; ok && !strings.EqualFold(set, value) {
				spec.Concealment.Logger(f.log).Warn(fmt.Sprintf("The producer setting %s=%s is ignored: with exactly-once support it is %s", key, set, value),
					"connector", spec.Task.Connector, "task", spec.Task.Task)
			}
			props[key] = value
		}
	}
	return kafka.ParseConfig(kafka.RoleProducer, props)
}

// open implements worker.ProducerFactory.
func (f *producerFactory) open(ctx context.Context, spec worker.ProducerSpec) (worker.Producer, error) {
	config, err := f.config(spec)
	if err != nil {
		return nil, err
	}
	log := spec.Concealment.Logger(f.log).With("connector", spec.Task.Connector, "task", spec.Task.Task)
	for _, w := range config.Warnings() {
		log.Warn(w)
	}
	client, err := kafka.NewClient(config, log)
	if err != nil {
		return nil, err
	}
	if err := client.Await(ctx); err != nil {
		_ = client.Close()
		return nil, err
	}
	if spec.Batches {
		return &taskProducer{rawkafka.Producer{Sender: rawkafka.NewSender(client, config, log)}, client}, nil
	}
	producer, err := kafka.NewProducer(client, config, log)
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	return &taskProducer{producer, client}, nil
}

// taskProducer closes its client with it.
type taskProducer struct {
	worker.TransactionalProducer
	client *kafka.Client
}

// Close implements worker.Producer.
func (p *taskProducer) Close(ctx context.Context) error {
	err := p.TransactionalProducer.Close(ctx)
	if cerr := p.client.Close(); err == nil {
		err = cerr
	}
	return err
}
