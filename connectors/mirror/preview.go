package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// Preview is what a mirror with a configuration would find.
type Preview struct {
	// Topics are the source topics that it would mirror, Groups the consumer groups whose
	// positions it would translate; both sorted. Groups is nil without checkpoints.
	Topics, Groups []string
	// Missing are the permissions that it would need and does not have, a sentence each.
	Missing []string
}

// Look asks both clusters of a flow what a mirror would find, and changes nothing. The
// configurations are those of the flow's source and checkpoint connectors, references
// resolved; checkpoint may be nil.
func Look(ctx context.Context, source, checkpoint map[string]string, logger *slog.Logger) (p Preview, err error) {
	s, err := readSettings(sourceDef, "MirrorSourceConnector", source)
	if err != nil {
		return p, err
	}
	filter, err := replica.NewTopicFilter(s.String(replica.TopicFilterClassKey), source)
	if err != nil {
		return p, err
	}
	from, err := s.openCluster(onSource, "check-source-admin", logger)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	to, err := s.openCluster(onTarget, "check-target-admin", logger)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	var errs *multierror.Error
	for _, c := range []*cluster{from, to} {
		if err := c.client.Await(ctx); err != nil {
			errs = multierror.Append(errs, fmt.Errorf("cluster %s at %s does not answer: %w", c.alias, c.client.Bootstrap(), err))
		}
	}
	if err := errs.ErrorOrNil(); err != nil {
		return p, err
	}
	sourceMay, sourceTopics, err := from.admin.Permissions(ctx)
	if err != nil {
		return p, fmt.Errorf("cluster %s: %w", s.source, err)
	}
	targetMay, targetTopics, err := to.admin.Permissions(ctx)
	if err != nil {
		return p, fmt.Errorf("cluster %s: %w", s.target, err)
	}
	for topic := range sourceTopics {
		if replica.ShouldReplicateTopic(s.policy, filter, s.Bool(replicateHeartbeatsKey), s.target, topic) {
			p.Topics = append(p.Topics, topic)
		}
	}
	slices.Sort(p.Topics)
	if checkpoint != nil {
		if p.Groups, err = matchingGroups(ctx, checkpoint, from.admin); err != nil {
			return p, fmt.Errorf("the consumer groups of cluster %s: %w", s.source, err)
		}
	}
	need := needs{missing: map[string]bool{}}
	need.ofSource(s, sourceMay, sourceTopics, p.Topics)
	need.ofTarget(s, targetMay, targetTopics, p.Topics, checkpoint != nil)
	p.Missing = slices.Sorted(maps.Keys(need.missing))
	return p, nil
}

func matchingGroups(ctx context.Context, props map[string]string, admin *kafka.Admin) ([]string, error) {
	filter, err := replica.NewGroupFilter(props[replica.GroupFilterClassKey], props)
	if err != nil {
		return nil, err
	}
	all, err := consumerGroups(ctx, admin)
	if err != nil {
		return nil, err
	}
	matching := slices.DeleteFunc(all, func(group string) bool { return !filter.ShouldReplicateGroup(group) })
	slices.Sort(matching)
	return append([]string{}, matching...), nil
}

// needs collects missing permissions, each once.
type needs struct{ missing map[string]bool }

func (n needs) cluster(alias string, may kafka.Permissions, p kafka.Permission, purpose string) {
	if !may.Allows(p) {
		n.missing[fmt.Sprintf("cluster %s: %s on the cluster, %s", alias, p, purpose)] = true
	}
}

func (n needs) topic(alias, topic string, may kafka.Permissions, purpose string, permissions ...kafka.Permission) {
	var lacking []string
	for _, p := range permissions {
		if !may.Allows(p) {
			lacking = append(lacking, p.String())
		}
	}
	if len(lacking) > 0 {
		n.missing[fmt.Sprintf("cluster %s: %s on topic %s, %s", alias, strings.Join(lacking, " and "), topic, purpose)] = true
	}
}

// own wants a topic of the mirror's own to be usable, or to be made.
func (n needs) own(alias, topic string, cluster kafka.Permissions, topics map[string]kafka.Permissions, purpose string) {
	if may, there := topics[topic]; there {
		n.topic(alias, topic, may, purpose, kafka.MayRead, kafka.MayWrite)
		return
	}
	n.cluster(alias, cluster, kafka.MayCreate, "to create the topic "+topic+" "+purpose)
}

func (n needs) ofSource(s *settings, cluster kafka.Permissions, topics map[string]kafka.Permissions, mirrored []string) {
	for _, topic := range mirrored {
		n.topic(s.source, topic, topics[topic], "to mirror it", kafka.MayRead)
		if s.Bool(syncTopicConfigs + enabledSuffix) {
			n.topic(s.source, topic, topics[topic], "to copy its configuration (sync.topic.configs.enabled)", kafka.MayDescribeConfigs)
		}
	}
	if s.Bool(syncTopicACLs + enabledSuffix) {
		n.cluster(s.source, cluster, kafka.MayDescribe, "to read ACLs (sync.topic.acls.enabled)")
	}
	if s.Bool(emitSyncsKey) && s.syncsOnSource() {
		n.own(s.source, s.syncsTopic(), cluster, topics, "for offset syncs")
	}
}

func (n needs) ofTarget(s *settings, cluster kafka.Permissions, topics map[string]kafka.Permissions, mirrored []string, checkpoints bool) {
	for _, topic := range mirrored {
		remote := s.remoteTopic(topic)
		may, there := topics[remote]
		if !there {
			n.cluster(s.target, cluster, kafka.MayCreate, "to create the copies of topics")
			continue
		}
		n.topic(s.target, remote, may, "to write the copy", kafka.MayWrite)
		n.topic(s.target, remote, may, "to add partitions as the source does", kafka.MayAlter)
		if s.Bool(syncTopicConfigs + enabledSuffix) {
			n.topic(s.target, remote, may, "to copy the configuration (sync.topic.configs.enabled)", kafka.MayDescribeConfigs, kafka.MayAlterConfigs)
		}
	}
	if s.Bool(syncTopicACLs + enabledSuffix) {
		n.cluster(s.target, cluster, kafka.MayAlter, "to copy ACLs (sync.topic.acls.enabled)")
	}
	if s.Bool(emitSyncsKey) && !s.syncsOnSource() {
		n.own(s.target, s.syncsTopic(), cluster, topics, "for offset syncs")
	}
	if checkpoints {
		n.own(s.target, s.checkpointsTopic(), cluster, topics, "for checkpoints")
	}
}
