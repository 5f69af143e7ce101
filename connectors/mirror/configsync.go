package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tributary/internal/kafka"
)

// topicsAtOnce bounds how many topics one request asks about: with some forty
// properties each, answers get large.
const topicsAtOnce = 200

// properties describes topics of one cluster. The second map holds the topics that
// could not be described.
func properties(ctx context.Context, on *cluster, topics []string) (map[string][]property, map[string]error, error) {
	found, failed := make(map[string][]property, len(topics)), map[string]error{}
	for some := range slices.Chunk(topics, topicsAtOnce) {
		entries, errs, err := on.admin.DescribeTopicConfigs(ctx, some...)
		if err != nil {
			return nil, nil, fmt.Errorf("describe topic configurations on cluster %s: %w", on.alias, err)
		}
		for topic, list := range entries {
			for _, e := range list {
				found[topic] = append(found[topic], property{name: e.Name, value: e.Value, origin: originOf(e), fixed: e.ReadOnly || e.Sensitive})
			}
		}
		for topic, err := range errs {
			failed[topic] = err
		}
	}
	return found, failed, nil
}

func originOf(e kafka.ConfigEntry) origin {
	switch e.Source {
	case kafka.SourceTopic:
		return ofTopic
	case kafka.SourceStaticBroker:
		return ofBrokerFile
	case kafka.SourceDefault:
		return builtIn
	case kafka.SourceUnknown:
		if e.IsDefault {
			return builtIn
		}
		return ofTopic
	default:
		return ofCluster
	}
}

// creationConfigs are the properties that the copies of topics are created with. A
// topic that must not be described gets none, and that is said: its copy has the
// target's defaults until it can be. Other failures are worth waiting for.
func (c *SourceConnector) creationConfigs(ctx context.Context, topics []string) (configs map[string]map[string]string, failed map[string]error) {
	found, errs, err := properties(ctx, c.source, topics)
	configs, failed = make(map[string]map[string]string, len(topics)), map[string]error{}
	for _, topic := range topics {
		switch {
		case err != nil:
			failed[topic] = err
		case isDenied(errs[topic]):
			c.reportConfigs(topic, errs[topic])
		case errs[topic] != nil:
			failed[topic] = errs[topic]
		default:
			configs[topic] = creationProperties(c.configs, found[topic])
		}
	}
	return configs, failed
}

// syncConfigs makes the configurations of remote topics follow those of their sources.
func (c *SourceConnector) syncConfigs(ctx context.Context) error {
	topics := c.view.mirrored()
	source, failed, err := properties(ctx, c.source, topics)
	if err != nil {
		return err
	}
	remotes := make([]string, len(topics))
	for i, topic := range topics {
		remotes[i] = c.settings.remoteTopic(topic)
	}
	target, failedRemotes, err := properties(ctx, c.target, remotes)
	if err != nil {
		return err
	}
	drift := 0
	for i, topic := range topics {
		err := failed[topic]
		if err == nil {
			err = failedRemotes[remotes[i]]
		}
		if err == nil {
			changes := propertyChanges(c.configs, source[topic], target[remotes[i]])
			if err = c.alter(ctx, remotes[i], changes); err != nil {
				drift += len(changes)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, kafka.ErrUnknownTopicOrPartition) { // deleted since: the next look tells
			c.reportConfigs(topic, err)
		}
	}
	c.drift.properties = drift
	c.metrics.drift.Set(float64(c.drift.properties + c.drift.acls))
	return nil
}

func (c *SourceConnector) reportConfigs(topic string, err error) {
	c.troubles.report("configs "+topic, err, "The configuration of a topic could not be carried over; its records are mirrored all the same",
		"topic", topic, "remote_topic", c.settings.remoteTopic(topic), "operation", "sync topic configuration")
}

func (c *SourceConnector) alter(ctx context.Context, remote string, changes []propertyChange) error {
	if len(changes) == 0 {
		return nil
	}
	alterations := make([]kafka.ConfigAlteration, len(changes))
	names := make([]string, len(changes))
	for i, change := range changes {
		alterations[i] = kafka.ConfigAlteration{Name: change.name, Op: kafka.ConfigSet, Value: change.value}
		if change.remove {
			alterations[i] = kafka.ConfigAlteration{Name: change.name, Op: kafka.ConfigDelete}
		}
		names[i] = change.name
	}
	if err := c.target.admin.IncrementalAlterConfigs(ctx, remote, alterations); err != nil {
		return err
	}
	c.logger.Info("Carried topic configuration over", "topic", remote, "cluster", c.settings.target, "properties", names)
	return nil
}
