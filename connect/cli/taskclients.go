package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"

	"tributary/connect"
	"tributary/connect/herder/distributed"
	"tributary/connect/provider"
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
	maps.Copy(props, withoutPrefix(f.props, "consumer."))
	maps.Copy(props, spec.Overrides)
	return kafka.ParseConfig(kafka.RoleConsumer, props)
}

// consumer implements worker.ConsumerFactory.
func (f *clientFactory) consumer(spec worker.ConsumerSpec, listener kafka.RebalanceListener) (worker.Consumer, error) {
	config, err := f.consumerConfig(spec)
	if err != nil {
		return nil, err
	}
	log := spec.Concealment.Logger(f.log).With("connector", spec.Task.Connector, "task", spec.Task.Task)
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
	maps.Copy(props, withoutPrefix(f.props, "admin."))
	maps.Copy(props, spec.Overrides)
	return kafka.ParseConfig(kafka.RoleAdmin, props)
}

// admin implements worker.AdminFactory.
func (f *clientFactory) admin(spec worker.AdminSpec) (worker.Admin, error) {
	config, err := f.adminConfig(spec)
	if err != nil {
		return nil, err
	}
	log := spec.Concealment.Logger(f.log).With("connector", spec.Task.Connector, "task", spec.Task.Task)
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

// sinkGroup opens the consumer group of a sink connector, from outside. It implements
// distributed.SinkGroups.
func (f *clientFactory) sinkGroup(connector string, config map[string]string, concealment *provider.Concealment) (distributed.SinkGroup, error) {
	consumer, err := f.consumerConfig(worker.ConsumerSpec{
		ClientID: "connector-consumer-" + connector, GroupID: worker.SinkGroupID(connector), Overrides: withoutPrefix(config, "consumer.override."),
	})
	if err != nil {
		return nil, err
	}
	admin, err := f.admin(worker.AdminSpec{
		Task: connect.TaskID{Connector: connector}, ClientID: "connector-worker-adminclient-" + connector, Overrides: withoutPrefix(config, "admin.override."),
		Concealment: concealment,
	})
	if err != nil {
		return nil, err
	}
	return &sinkGroup{admin: admin.(*taskAdmin), id: consumer.Group.ID}, nil
}

// withoutPrefix returns the settings whose keys begin with the prefix, without it.
func withoutPrefix(config map[string]string, prefix string) map[string]string {
	out := map[string]string{}
	for k, v := range config {
		if key, ok := strings.CutPrefix(k, prefix); ok {
			out[key] = v
		}
	}
	return out
}

// sinkGroup is a consumer group seen from outside.
type sinkGroup struct {
	admin *taskAdmin
	id    string
}

// Offsets implements distributed.SinkGroup.
func (g *sinkGroup) Offsets(ctx context.Context) (map[connect.TopicPartition]int64, error) {
	committed, err := g.admin.ListGroupOffsets(ctx, g.id)
	if err != nil {
		return nil, err
	}
	out := make(map[connect.TopicPartition]int64, len(committed))
	for tp, o := range committed {
		out[connect.TopicPartition(tp)] = o.Offset
	}
	return out, nil
}

// Alter implements distributed.SinkGroup.
func (g *sinkGroup) Alter(ctx context.Context, offsets map[connect.TopicPartition]int64) error {
	want := make(map[kafka.TopicPartition]kafka.OffsetAndMetadata, len(offsets))
	for tp, offset := range offsets {
		want[kafka.TopicPartition(tp)] = kafka.OffsetAndMetadata{Offset: offset, LeaderEpoch: -1}
	}
	failed, err := g.admin.AlterGroupOffsets(ctx, g.id, want)
	return groupFailure(failed, err)
}

// Remove implements distributed.SinkGroup.
func (g *sinkGroup) Remove(ctx context.Context, partitions []connect.TopicPartition) error {
	var want []kafka.TopicPartition
	for _, tp := range partitions {
		want = append(want, kafka.TopicPartition(tp))
	}
	failed, err := g.admin.DeleteGroupOffsets(ctx, g.id, want...)
	return groupFailure(failed, err)
}

// Delete implements distributed.SinkGroup.
func (g *sinkGroup) Delete(ctx context.Context) error {
	failed, err := g.admin.DeleteGroups(ctx, g.id)
	if errors.Is(failed[g.id], kafka.ErrGroupNotFound) {
		return err
	}
	return groupFailure(failed, err)
}

// Close implements distributed.SinkGroup.
func (g *sinkGroup) Close() error { return g.admin.Close() }

// groupFailure is the first failure of a request about a group.
func groupFailure[K comparable](failed map[K]error, err error) error {
	for _, one := range failed {
		if err == nil {
			err = one
		}
	}
	if errors.Is(err, kafka.ErrUnknownMemberID) || errors.Is(err, kafka.ErrGroupSubscribedToTopic) || errors.Is(err, kafka.ErrGroupNotEmpty) {
		return fmt.Errorf("%w: %w", distributed.ErrGroupHasMembers, err)
	}
	return err
}
