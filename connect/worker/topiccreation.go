package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"tributary/connect"
	"tributary/internal/jregex"
	"tributary/internal/kafka"
)

// topicCreationPrefix begins the keys that have a source connector's topics created with
// settings of their own (KIP-158). One such key switches that on.
const topicCreationPrefix = "topic.creation."

// defaultTopicGroup is the group of topics that are in no other; it need not be listed.
const defaultTopicGroup = "default"

// topicGroup is the settings of one group of topics.
type topicGroup struct {
	name             string
	include, exclude *jregex.Pattern // nil matches nothing
	rest             bool            // the default group: what is in no other
	partitions       int32
	replicas         int16
	configs          map[string]string
}

func (g *topicGroup) matches(topic string) bool {
	return g.rest || !g.exclude.MatchString(topic) && g.include.MatchString(topic)
}

// parseTopicGroups reads the groups of a connector's configuration in the order of
// topic.creation.groups, the default group last. There are none without a key of theirs.
// The error is a connect.ConfigErrors.
func parseTopicGroups(config map[string]string, listed []string) ([]topicGroup, error) {
	used := false
	for key := range config {
		used = used || strings.HasPrefix(key, topicCreationPrefix)
	}
	if !used {
		return nil, nil
	}
	fallback, errs := parseTopicGroup(config, defaultTopicGroup, nil)
	var groups []topicGroup
	for _, name := range listed {
		if name == defaultTopicGroup {
			continue
		}
		group, more := parseTopicGroup(config, name, &fallback)
		groups, errs = append(groups, group), append(errs, more...)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return append(groups, fallback), nil
}

// parseTopicGroup reads one group; what it does not say is fallback's. Without a fallback
// it is the default group itself.
func parseTopicGroup(config map[string]string, name string, fallback *topicGroup) (topicGroup, connect.ConfigErrors) {
	prefix := topicCreationPrefix + name + "."
	replicas := connect.ConfigKey{Name: prefix + "replication.factor", Type: connect.TypeShort, Validate: positiveOrBroker(
		"Replication factor must be positive and not larger than the number of brokers in the Kafka cluster, or -1 to use the broker's default")}
	partitions := connect.ConfigKey{Name: prefix + "partitions", Type: connect.TypeInt, Validate: positiveOrBroker(
		"Number of partitions must be positive, or -1 to use the broker's default")}
	include := connect.ConfigKey{Name: prefix + "include", Type: connect.TypeList, Default: []string{}}
	exclude := connect.ConfigKey{Name: prefix + "exclude", Type: connect.TypeList, Default: []string{}}
	if fallback == nil {
		replicas.Required, partitions.Required = true, true
	} else {
		replicas.Default, partitions.Default = int64(fallback.replicas), int64(fallback.partitions)
		include.Validate, exclude.Validate = regexes, regexes
	}
	values, err := connect.NewConfigDef(include, exclude, replicas, partitions).ParseValues(config)
	if errs, ok := errors.AsType[connect.ConfigErrors](err); ok {
		return topicGroup{name: name}, errs
	}
	g := topicGroup{
		name:       name,
		replicas:   int16(values.Int(replicas.Name)),
		partitions: int32(values.Int(partitions.Name)),
		configs:    withPrefix(config, prefix),
	}
	for _, own := range []string{"include", "exclude", "replication.factor", "partitions"} {
		delete(g.configs, own)
	}
	if fallback == nil { // its patterns count for nothing
		g.rest = true
		return g, nil
	}
	var errs connect.ConfigErrors
	if g.include, err = jregex.CompileList(values.List(include.Name)); err != nil {
		errs = append(errs, fmt.Sprintf("Invalid value for configuration %s: %v", include.Name, err))
	}
	if g.exclude, err = jregex.CompileList(values.List(exclude.Name)); err != nil {
		errs = append(errs, fmt.Sprintf("Invalid value for configuration %s: %v", exclude.Name, err))
	}
	return g, errs
}

func positiveOrBroker(reason string) func(any) string {
	return func(v any) string {
		if n, ok := v.(int64); ok && n < 1 && n != kafka.DefaultByBroker {
			return reason
		}
		return ""
	}
}

func regexes(v any) string {
	list, _ := v.([]string)
	for _, pattern := range list {
		if _, err := jregex.Compile(pattern); err != nil {
			return "Syntax error in regular expression: " + err.Error()
		}
	}
	return ""
}

// topicCreation creates a task's topics before their first record. It is the lane's own.
type topicCreation struct {
	groups []topicGroup
	open   func() (Admin, error)
	logger *slog.Logger

	admin Admin // nil until the first topic
	known map[string]struct{}
}

// newTopicCreation returns nil for a task that leaves topics to the brokers.
func (t *taskRun) newTopicCreation(values connect.Values) (*topicCreation, error) {
	o := &t.worker.options
	if !o.Config.TopicCreation {
		return nil, nil
	}
	groups, err := parseTopicGroups(t.connectorConfig, values.List("topic.creation.groups"))
	if err != nil || len(groups) == 0 {
		return nil, err
	}
	spec := AdminSpec{
		Task:      t.id,
		ClientID:  fmt.Sprintf("connector-adminclient-%s-%d", t.id.Connector, t.id.Task),
		Overrides: withPrefix(t.connectorConfig, "admin.override."), Concealment: t.concealment,
	}
	return &topicCreation{
		groups: groups, logger: t.logger, known: map[string]struct{}{},
		open: func() (Admin, error) { return o.Admins(spec) },
	}, nil
}

// ensure creates the topic if it does not exist. It waits for the cluster until ctx ends;
// another error fails the task.
func (c *topicCreation) ensure(ctx context.Context, topic string) error {
	if c == nil {
		return nil
	}
	if _, known := c.known[topic]; known {
		return nil
	}
	if c.admin == nil {
		admin, err := c.open()
		if err != nil {
			return err
		}
		c.admin = admin
	}
	if err := untilOpen(ctx, c.logger, "The topic "+topic, func() error { return c.create(ctx, topic) }); err != nil {
		return err
	}
	c.known[topic] = struct{}{}
	return nil
}

func (c *topicCreation) create(ctx context.Context, topic string) error {
	existing, err := c.admin.Topics(ctx, topic)
	if err != nil {
		return err
	}
	if _, exists := existing[topic]; exists {
		return nil
	}
	i := slices.IndexFunc(c.groups, func(g topicGroup) bool { return g.matches(topic) })
	g := c.groups[i] // the default group matches whatever is left
	spec := kafka.TopicSpec{Name: topic, Partitions: g.partitions, ReplicationFactor: g.replicas, Configs: maps.Clone(g.configs)}
	err = c.admin.CreateTopic(ctx, spec)
	switch {
	case err == nil:
		c.logger.Info("The topic was created", "topic", topic, "topic_group", g.name, "partitions", g.partitions, "replicas", g.replicas)
		return nil
	case errors.Is(err, kafka.ErrTopicExists):
		return nil
	case isRetriable(err):
		return err
	}
	if _, refused := errors.AsType[*kafka.AuthorizationError](err); refused || errors.Is(err, kafka.ErrUnsupportedVersion) {
		return fmt.Errorf("Task failed to create new topic %s. Ensure that the task is authorized to create topics or that the topic exists and restart the task: %w", topic, err)
	}
	return fmt.Errorf("Unable to create topic(s) '%s': %w", topic, err)
}

func (c *topicCreation) close() {
	if c != nil && c.admin != nil {
		_ = c.admin.Close()
	}
}
