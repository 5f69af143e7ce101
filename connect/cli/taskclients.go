package cli

import (
	"context"
	"log/slog"
	"maps"
	"strings"

	"tributary/connect/worker"
	"tributary/internal/kafka"
)

// clientFactory makes the consumers of sink tasks, and the admin clients that create
// topics for tasks.
type clientFactory struct {
	props map[string]string // the worker's
	log   *slog.Logger
}

// consumerConfig is the framework's defaults, the worker's consumer.* on top, the
// connector's consumer.override.* on top of that.
func (f *clientFactory) consumerConfig(spec worker.ConsumerSpec) (*kafka.Config, error) {
	props := kafka.Props{
		"bootstrap.servers": f.props["bootstrap.servers"],
		"client.id":         spec.ClientID,
		"group.id":          spec.GroupID,
		"auto.offset.reset": "earliest",
	}
	for k, v := range f.props {
		if key, ok := strings.CutPrefix(k, "consumer."); ok {
			props[key] = v
		}
	}
	maps.Copy(props, spec.Overrides)
	return kafka.ParseConfig(kafka.RoleConsumer, props)
}

// consumer implements worker.ConsumerFactory.
func (f *clientFactory) consumer(spec worker.ConsumerSpec, listener kafka.RebalanceListener) (worker.Consumer, error) {
	config, err := f.consumerConfig(spec)
	if err != nil {
		return nil, err
	}
	log := f.log.With("connector", spec.Task.Connector, "task", spec.Task.Task)
	for _, w := range config.Warnings() {
		log.Warn(w)
	}
	return kafka.NewConsumer(config, spec.Subscription, listener, log)
}

// adminConfig is the worker's own settings, its admin.* on top, the connector's
// admin.override.* on top of that.
func (f *clientFactory) adminConfig(spec worker.AdminSpec) (*kafka.Config, error) {
	props := kafka.Props{"client.id": spec.ClientID}
	maps.Copy(props, clientProps(f.props))
	for k, v := range f.props {
		if key, ok := strings.CutPrefix(k, "admin."); ok {
			props[key] = v
		}
	}
	maps.Copy(props, spec.Overrides)
	return kafka.ParseConfig(kafka.RoleAdmin, props)
}

// admin implements worker.AdminFactory.
func (f *clientFactory) admin(spec worker.AdminSpec) (worker.Admin, error) {
	config, err := f.adminConfig(spec)
	if err != nil {
		return nil, err
	}
	log := f.log.With("connector", spec.Task.Connector, "task", spec.Task.Task)
	client, err := kafka.NewClient(config, log)
	if err != nil {
		return nil, err
	}
	return &taskAdmin{Admin: kafka.NewAdmin(client, config, log), client: client}, nil
}

// taskAdmin closes its client with it.
type taskAdmin struct {
	*kafka.Admin
	client *kafka.Client
}

// Topics implements worker.Admin.
func (a *taskAdmin) Topics(ctx context.Context, names ...string) (map[string]kafka.TopicInfo, error) {
	return a.DescribeTopics(ctx, names...)
}

// Close implements worker.Admin.
func (a *taskAdmin) Close() error { return a.client.Close() }
