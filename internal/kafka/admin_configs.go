package kafka

import (
	"context"
	"fmt"

	"github.com/IBM/sarama"
)

// ConfigSource says where a configuration value comes from; the numbers are Kafka's.
type ConfigSource int8

// The sources.
const (
	SourceUnknown              ConfigSource = 0
	SourceTopic                ConfigSource = 1
	SourceDynamicBroker        ConfigSource = 2
	SourceDynamicDefaultBroker ConfigSource = 3
	SourceStaticBroker         ConfigSource = 4
	SourceDefault              ConfigSource = 5
)

// ConfigEntry is one configuration value of a topic. Value is empty for null, which is what brokers say
// of sensitive values.
type ConfigEntry struct {
	Name      string
	Value     string
	Source    ConfigSource
	ReadOnly  bool
	Sensitive bool
	IsDefault bool
}

// DescribeTopicConfigs asks for all configuration values of topics. The second map holds the topics
// that could not be described.
func (a *Admin) DescribeTopicConfigs(ctx context.Context, topics ...string) (map[string][]ConfigEntry, map[string]error, error) {
	configs, failed := make(map[string][]ConfigEntry, len(topics)), make(map[string]error)
	if len(topics) == 0 {
		return configs, failed, nil
	}
	resources := make([]*sarama.ConfigResource, len(topics))
	for i, t := range topics {
		resources[i] = &sarama.ConfigResource{Type: sarama.TopicResource, Name: t}
	}
	err := a.client.retry(ctx, "describing topic configurations", func() error {
		return a.client.anyBroker(ctx, func(b *sarama.Broker) error {
			resp, err := b.DescribeConfigs(&sarama.DescribeConfigsRequest{Version: 4, Resources: resources})
			if err != nil {
				return err
			}
			for _, r := range resp.Resources {
				if err := a.cfg.answerError(sarama.KError(r.ErrorCode), &r.ErrorMsg, OpDescribeConfigs, r.Name); err != nil {
					failed[r.Name] = err
					continue
				}
				entries := make([]ConfigEntry, len(r.Configs))
				for i, c := range r.Configs {
					entries[i] = ConfigEntry{
						Name: c.Name, Value: c.Value, Source: ConfigSource(c.Source),
						ReadOnly: c.ReadOnly, Sensitive: c.Sensitive, IsDefault: c.Default,
					}
				}
				configs[r.Name] = entries
			}
			return nil
		})
	})
	return configs, failed, err
}

// ConfigOp is what happens to a configuration value.
type ConfigOp int8

// The operations.
const (
	ConfigSet    ConfigOp = 0
	ConfigDelete ConfigOp = 1 // back to the default
)

// ConfigAlteration changes one configuration value.
type ConfigAlteration struct {
	Name  string
	Op    ConfigOp
	Value string // for ConfigSet
}

// IncrementalAlterConfigs changes some configuration values of a topic and leaves the rest. Brokers
// older than 2.3 answer ErrUnsupportedVersion.
func (a *Admin) IncrementalAlterConfigs(ctx context.Context, topic string, changes []ConfigAlteration) error {
	entries := make(map[string]sarama.IncrementalAlterConfigsEntry, len(changes))
	for _, c := range changes {
		e := sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperation(c.Op)}
		if c.Op == ConfigSet {
			e.Value = &c.Value
		}
		entries[c.Name] = e
	}
	req := &sarama.IncrementalAlterConfigsRequest{
		Version:   1,
		Resources: []*sarama.IncrementalAlterConfigsResource{{Type: sarama.TopicResource, Name: topic, ConfigEntries: entries}},
	}
	return a.client.retry(ctx, "altering the configuration of "+topic, func() error {
		return a.client.onController(ctx, func(b *sarama.Broker) error {
			resp, err := b.IncrementalAlterConfigs(req)
			if err != nil {
				return a.unsupported(err)
			}
			if len(resp.Resources) == 0 {
				return fmt.Errorf("the broker did not answer about the topic %s", topic)
			}
			r := resp.Resources[0]
			return a.cfg.answerError(sarama.KError(r.ErrorCode), &r.ErrorMsg, OpAlterConfigs, topic)
		})
	})
}

// unsupported turns sarama's own refusal to ask a broker for what it does not know into the broker's.
func (a *Admin) unsupported(err error) error {
	if err == error(sarama.ErrUnsupportedVersion) { //nolint:errorlint // returned as it is
		return a.cfg.answerError(sarama.ErrUnsupportedVersion, nil, "", "")
	}
	return err
}
