package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
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

// Plan is a flow as Look takes it: what its connectors are given, references resolved.
type Plan struct {
	Source map[string]string
	// Checkpoint and Heartbeat are nil where there is no such connector.
	Checkpoint, Heartbeat map[string]string
	// WorkerGroup and WorkerTopics are those of the worker that carries the flow, on the
	// target; empty if there is none to speak of.
	WorkerGroup  string
	WorkerTopics []string
}

// Look asks both clusters of a flow what a mirror would find, and changes nothing.
func Look(ctx context.Context, plan Plan, logger *slog.Logger) (p Preview, err error) {
	s, err := readSettings(sourceDef, "MirrorSourceConnector", plan.Source)
	if err != nil {
		return p, err
	}
	filter, err := replica.NewTopicFilter(s.String(replica.TopicFilterClassKey), plan.Source)
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
	need := newNeeds()
	need.ofSource(s, sourceMay, sourceTopics, p.Topics)
	need.ofTarget(s, targetMay, targetTopics, p.Topics, plan)
	if err := need.ofHiddenTopics(ctx, s, from, sourceTopics); err != nil {
		return p, err
	}
	if plan.Checkpoint != nil {
		if p.Groups, err = matchingGroups(ctx, plan.Checkpoint, from, need); err != nil {
			return p, fmt.Errorf("the consumer groups of cluster %s: %w", s.source, err)
		}
	}
	if err := need.ofTargetGroups(ctx, plan, p.Groups, to); err != nil {
		return p, err
	}
	for _, c := range []*cluster{from, to} {
		if err := need.ofUnseenTopics(ctx, c); err != nil {
			return p, fmt.Errorf("cluster %s: %w", c.alias, err)
		}
	}
	p.Missing = slices.Sorted(maps.Keys(need.missing))
	return p, nil
}

// matchingGroups are the groups with a position in a topic that the filters take. Those
// whose positions may not be read are needs, and count as matching.
func matchingGroups(ctx context.Context, props map[string]string, from *cluster, need needs) ([]string, error) {
	groups, err := replica.NewGroupFilter(props[replica.GroupFilterClassKey], props)
	if err != nil {
		return nil, err
	}
	topics, err := replica.NewTopicFilter(props[replica.TopicFilterClassKey], props)
	if err != nil {
		return nil, err
	}
	all, err := consumerGroups(ctx, from.admin)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(group string) bool { return !groups.ShouldReplicateGroup(group) })
	// Groups that the configuration names, and that the cluster does not show.
	hidden := slices.DeleteFunc(listOf(props[replica.GroupsKey]), func(name string) bool { return !plainName(name) || slices.Contains(all, name) })
	_, denied, err := from.admin.GroupPermissions(ctx, hidden...)
	if err != nil {
		return nil, err
	}
	all = append(all, slices.Collect(maps.Keys(denied))...)
	slices.Sort(all)
	committed, failures := make([]map[replica.TopicPartition]replica.CommittedOffset, len(all)), make([]error, len(all))
	forEach(ctx, all, func(ctx context.Context, i int, group string) {
		committed[i], failures[i] = committedOffsets(ctx, from.admin, group)
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	matching := []string{}
	for i, group := range all {
		_, denied := errors.AsType[*kafka.AuthorizationError](failures[i])
		switch {
		case denied:
			need.missing[fmt.Sprintf("cluster %s: DESCRIBE on group %s, to translate its positions", from.alias, group)] = true
		case failures[i] != nil:
			return nil, fmt.Errorf("group %s: %w", group, failures[i])
		case !anyTopic(committed[i], topics.ShouldReplicateTopic):
			continue
		}
		matching = append(matching, group)
	}
	return matching, nil
}

func anyTopic(offsets map[replica.TopicPartition]replica.CommittedOffset, takes func(topic string) bool) bool {
	for tp := range offsets {
		if takes(tp.Topic) {
			return true
		}
	}
	return false
}

// needs collects missing permissions, each once.
type needs struct {
	missing map[string]bool
	// unseen are topics that the cluster does not show, by cluster and name: they are to be
	// made, which not everybody may.
	unseen map[string]map[string]wanted
}

// wanted is what a topic is for, and what must be allowed on it once it is there.
type wanted struct {
	purpose     string
	permissions []kafka.Permission
}

func newNeeds() needs {
	return needs{missing: map[string]bool{}, unseen: map[string]map[string]wanted{}}
}

// make wants a topic to be made, and then to be usable.
func (n needs) make(alias, topic string, purpose string, permissions ...kafka.Permission) {
	if n.unseen[alias] == nil {
		n.unseen[alias] = map[string]wanted{}
	}
	n.unseen[alias][topic] = wanted{purpose, permissions}
}

// ofUnseenTopics asks the cluster about the topics that it does not show.
func (n needs) ofUnseenTopics(ctx context.Context, on *cluster) error {
	unseen := n.unseen[on.alias]
	refused, there, err := on.admin.UnseenTopics(ctx, slices.Sorted(maps.Keys(unseen))...)
	for _, topic := range refused {
		n.missing[fmt.Sprintf("cluster %s: CREATE on topic %s, which cannot be seen, %s", on.alias, topic, unseen[topic].purpose)] = true
	}
	for _, topic := range there {
		n.topic(on.alias, topic, 0, unseen[topic].purpose, unseen[topic].permissions...)
	}
	return err
}

// ofHiddenTopics looks for topics that the configuration names, and not as a pattern,
// and that the cluster does not show.
func (n needs) ofHiddenTopics(ctx context.Context, s *settings, from *cluster, seen map[string]kafka.Permissions) error {
	var hidden []string
	for _, name := range s.List(replica.TopicsKey) {
		if _, shown := seen[name]; !shown && plainName(name) {
			hidden = append(hidden, name)
		}
	}
	_, failed, err := from.admin.LookUpTopics(ctx, hidden...)
	for topic, why := range failed {
		if _, denied := errors.AsType[*kafka.AuthorizationError](why); denied {
			n.missing[fmt.Sprintf("cluster %s: READ on topic %s, to mirror it", s.source, topic)] = true
		}
	}
	return err
}

// plainName reports a name that matches nothing but itself, save for dots.
func plainName(name string) bool {
	return name != "" && !strings.ContainsAny(name, "*+?()[]{}|\\^$")
}

// ofTargetGroups wants positions to be committed, and the worker's group to be joined.
func (n needs) ofTargetGroups(ctx context.Context, plan Plan, groups []string, to *cluster) error {
	purposes := map[string]string{}
	if on, err := strconv.ParseBool(plan.Checkpoint[syncGroupOffsets+enabledSuffix]); err == nil && on {
		for _, group := range groups {
			purposes[group] = "to commit translated positions (" + syncGroupOffsets + enabledSuffix + ")"
		}
	}
	if plan.WorkerGroup != "" {
		purposes[plan.WorkerGroup] = "to join the group of workers"
	}
	may, denied, err := to.admin.GroupPermissions(ctx, slices.Sorted(maps.Keys(purposes))...)
	if err != nil {
		return fmt.Errorf("cluster %s: %w", to.alias, err)
	}
	for group, purpose := range purposes {
		if denied[group] || !may[group].Allows(kafka.MayRead) {
			n.missing[fmt.Sprintf("cluster %s: READ on group %s, %s", to.alias, group, purpose)] = true
		}
	}
	return nil
}

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
func (n needs) own(alias, topic string, topics map[string]kafka.Permissions, purpose string, permissions ...kafka.Permission) {
	if may, there := topics[topic]; there {
		n.topic(alias, topic, may, purpose, permissions...)
		return
	}
	n.make(alias, topic, purpose, permissions...)
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
		n.own(s.source, s.syncsTopic(), topics, "for offset syncs", kafka.MayRead, kafka.MayWrite)
	}
}

func (n needs) ofTarget(s *settings, cluster kafka.Permissions, topics map[string]kafka.Permissions, mirrored []string, plan Plan) {
	for _, topic := range mirrored {
		remote := s.remoteTopic(topic)
		may, there := topics[remote]
		if !there {
			n.make(s.target, remote, "for the copy of "+topic, kafka.MayWrite)
			continue
		}
		n.topic(s.target, remote, may, "to write the copy", kafka.MayWrite)
		if on, err := strconv.ParseBool(plan.Checkpoint[syncGroupOffsets+enabledSuffix]); err == nil && on {
			n.topic(s.target, remote, may, "to commit translated positions ("+syncGroupOffsets+enabledSuffix+")", kafka.MayRead)
		}
		n.topic(s.target, remote, may, "to add partitions as the source does", kafka.MayAlter)
		if s.Bool(syncTopicConfigs + enabledSuffix) {
			n.topic(s.target, remote, may, "to copy the configuration (sync.topic.configs.enabled)", kafka.MayDescribeConfigs, kafka.MayAlterConfigs)
		}
	}
	if s.Bool(syncTopicACLs + enabledSuffix) {
		n.cluster(s.target, cluster, kafka.MayAlter, "to copy ACLs (sync.topic.acls.enabled)")
	}
	if s.Bool(emitSyncsKey) && !s.syncsOnSource() {
		n.own(s.target, s.syncsTopic(), topics, "for offset syncs", kafka.MayRead, kafka.MayWrite)
	}
	if plan.Checkpoint != nil {
		n.own(s.target, s.checkpointsTopic(), topics, "for checkpoints", kafka.MayRead, kafka.MayWrite)
	}
	if s.recordPolicy() == recordDeadLetter {
		n.own(s.target, s.deadLetterTopic(), topics, "for refused records ("+onRecordErrorKey+")", kafka.MayWrite)
	}
	if on, err := strconv.ParseBool(cmp.Or(plan.Heartbeat[emitHeartbeats+enabledSuffix], "true")); plan.Heartbeat != nil && (err != nil || on) {
		n.own(s.target, s.policy.HeartbeatsTopic(), topics, "for heartbeats ("+emitHeartbeats+enabledSuffix+")", kafka.MayWrite)
	}
	for _, topic := range plan.WorkerTopics {
		n.own(s.target, topic, topics, "for the state of the workers", kafka.MayRead, kafka.MayWrite)
	}
}
