package kafkastore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"tributary/internal/kafka"
)

// Topic says how an internal topic is found or made.
type Topic struct {
	Name string
	// Key is the configuration key that named it, such as config.storage.topic, for
	// messages to the user. Keys of its settings begin with SettingsPrefix, such as
	// config.storage., or with the part of Key before "topic" if it is empty.
	Key               string
	SettingsPrefix    string
	Partitions        int32             // kafka.DefaultByBroker: the broker's default
	ReplicationFactor int16             // kafka.DefaultByBroker: the broker's default
	Configs           map[string]string // further topic configurations; cleanup.policy is always compact
	purpose           string
}

// FitReplication lowers the replication factor of those topics that do not exist yet to
// the number of brokers there are, for users who set none (see kafka.Admin.FitReplicas).
func FitReplication(ctx context.Context, admin *kafka.Admin, topics ...*Topic) error {
	names := make([]string, len(topics))
	for i, topic := range topics {
		names[i] = topic.Name
	}
	existing, err := admin.DescribeTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("looking for the internal topics %s: %w", strings.Join(names, ", "), err)
	}
	for _, topic := range topics {
		if _, ok := existing[topic.Name]; ok {
			continue
		}
		if topic.ReplicationFactor, err = admin.FitReplicas(ctx, topic.ReplicationFactor); err != nil {
			return err
		}
	}
	return nil
}

// ensure creates the topic, or checks that the one there is can be used: deletion of old
// segments would lose what the group remembers.
func (t Topic) ensure(ctx context.Context, admin *kafka.Admin, cfg *kafka.Config, logger *slog.Logger) error {
	configs := maps.Clone(t.Configs)
	if policy, ok := configs["cleanup.policy"]; ok && policy != "compact" {
		logger.Warn(fmt.Sprintf("%s=%s is ignored: the topic must be compacted", t.settingKey("cleanup.policy"), policy))
	}
	delete(configs, "cleanup.policy")

	created, err := t.create(ctx, admin, cfg, configs, logger)
	if _, denied := errors.AsType[*kafka.AuthorizationError](err); denied {
		// Somebody else may have made it. One that may not even be looked at counts as there:
		// reading it will tell.
		there, lookErr := admin.DescribeTopics(ctx, t.Name)
		if _, ok := there[t.Name]; ok || lookErr != nil {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("%s=%s: the topic cannot be created: %w", t.Key, t.Name, err)
	}
	if created {
		logger.Info("Created the topic for "+t.purpose, "partitions", t.Partitions)
		return nil
	}
	return t.check(ctx, admin, logger)
}

// create retries while there are too few brokers, as they may be starting, too.
func (t Topic) create(ctx context.Context, admin *kafka.Admin, cfg *kafka.Config, configs map[string]string, logger *slog.Logger) (bool, error) {
	deadline := time.Now().Add(cfg.APITimeout)
	for attempt := 0; ; attempt++ {
		created, err := admin.CreateCompactedTopic(ctx, t.Name, t.Partitions, t.ReplicationFactor, configs)
		if !errors.Is(err, kafka.ErrInvalidReplicationFactor) {
			return created, err
		}
		pause := cfg.Backoff(attempt)
		if time.Now().Add(pause).After(deadline) {
			return false, fmt.Errorf("%s=%d needs as many brokers; start them or set it to what there are: %w", t.settingKey("replication.factor"), t.ReplicationFactor, err)
		}
		if attempt == 0 {
			logger.Warn("Too few brokers to create the topic, trying on", "replicas", t.ReplicationFactor, "reason", err.Error())
		}
		if err := sleep(ctx, pause); err != nil {
			return false, fmt.Errorf("%s=%d: %w", t.settingKey("replication.factor"), t.ReplicationFactor, err)
		}
	}
}

func (t Topic) settingKey(name string) string {
	return cmp.Or(t.SettingsPrefix, strings.TrimSuffix(t.Key, "topic")) + name
}

func (t Topic) check(ctx context.Context, admin *kafka.Admin, logger *slog.Logger) error {
	configs, failed, err := admin.DescribeTopicConfigs(ctx, t.Name)
	if err == nil {
		err = failed[t.Name]
	}
	if denied, ok := errors.AsType[*kafka.AuthorizationError](err); ok {
		logger.Info("The topic's cleanup.policy cannot be checked: " + denied.Error())
		return nil
	}
	switch {
	case errors.Is(err, kafka.ErrUnknownTopicOrPartition):
		return nil // neither created nor there: reading it waits, or says so
	case errors.Is(err, kafka.ErrUnsupportedVersion):
		logger.Info("The topic's cleanup.policy cannot be checked: the broker is too old")
		return nil
	case err != nil:
		return fmt.Errorf("%s=%s: reading the topic's configuration: %w", t.Key, t.Name, err)
	}
	for _, entry := range configs[t.Name] {
		if entry.Name == "cleanup.policy" {
			return t.checkPolicy(entry.Value)
		}
	}
	return nil
}

func (t Topic) checkPolicy(value string) error {
	var policies []string
	for policy := range strings.SplitSeq(value, ",") {
		if policy = strings.ToLower(strings.TrimSpace(policy)); policy != "" {
			policies = append(policies, policy)
		}
	}
	if len(policies) == 0 || slices.Equal(policies, []string{"compact"}) {
		return nil
	}
	return fmt.Errorf("%s=%s: the topic has cleanup.policy=%s, with which %s would be lost in time; it must be compact alone: change the topic, or name another",
		t.Key, t.Name, value, t.purpose)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
