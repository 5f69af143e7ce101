package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// topicView is what the source connector knows of the topics of both clusters. It
// belongs to the connector's goroutine.
type topicView struct {
	c *SourceConnector
	// patient says that the looks are close together: a topic must then be missing in
	// two of them to count as deleted, for one may have been answered by a broker that
	// was not up to date.
	patient bool
	// wanted remembers what the filter says of a topic: it never changes its mind, and
	// matching many names every few seconds is not cheap.
	wanted map[string]bool
	// seen are the topics being mirrored, as the source's last look showed them; missing
	// those of them that this look does not show.
	seen    map[string]kafka.TopicInfo
	missing map[string]bool
	// lists are how long it took to list the topics of both clusters, the last time and the time before.
	lists [2]time.Duration
	// usable is how many partitions of a topic both clusters have.
	usable map[string]int32
	// hidden are topics whose copy exists but is not shown, because of missing rights or
	// a broker that is not up to date; until then it is not tried to create it again.
	hidden map[string]time.Time
	// copies are the ids of the topics' copies at the last look, refills those of copies
	// that were made anew and are to be refilled, by topic.
	copies  map[string][16]byte
	refills map[string]string
	// former are the ids of topics, of either cluster, in whose place there are others: a
	// broker that is not up to date may still tell of them.
	former map[[16]byte]bool
	// surplus are the partitions that copies have more than their topics, by topic.
	surplus map[string]int32
	// refused puts off what the target refused to do for a topic.
	refused map[string]refusal
}

type refusal struct {
	failures int
	again    time.Time
	// partitions are what it was about: another number is another request.
	partitions int32
}

func newTopicView(c *SourceConnector) *topicView {
	return &topicView{c: c, patient: !c.settings.given(refreshTopics + intervalSuffix), wanted: map[string]bool{}, seen: map[string]kafka.TopicInfo{}, missing: map[string]bool{},
		usable: map[string]int32{}, refused: map[string]refusal{}, hidden: map[string]time.Time{},
		copies: map[string][16]byte{}, refills: map[string]string{}, former: map[[16]byte]bool{}, surplus: map[string]int32{}}
}

// refresh looks at both clusters, creates what the target lacks, and returns the
// partitions that can be mirrored, sorted. A topic that fails is said and left out; the
// error is that a cluster could not be looked at.
func (v *topicView) refresh(ctx context.Context) ([]replica.TopicPartition, error) {
	s := v.c.settings
	began := time.Now()
	source, err := v.c.source.admin.ListTopics(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("list topics of cluster %s: %w", s.source, err)
	}
	target, err := v.c.target.admin.ListTopics(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("list topics of cluster %s: %w", s.target, err)
	}
	v.lists = [2]time.Duration{time.Since(began), v.lists[0]}
	selected := v.choose(source)
	v.compareCopies(target)
	v.create(ctx, selected, target)
	var partitions []replica.TopicPartition
	usable := make(map[string]int32, len(selected))
	for _, topic := range slices.Sorted(maps.Keys(selected)) {
		info := selected[topic]
		n := v.match(ctx, topic, info.Partitions, target)
		usable[topic] = n
		for p := range n {
			partitions = append(partitions, replica.TopicPartition{Topic: topic, Partition: p})
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err // half a look is none
	}
	v.usable = usable
	return partitions, nil
}

// listing is what it costs to list the topics of both clusters. One slow answer is a broker's passing trouble, as
// while it creates many topics; two are the size of the cluster.
func (v *topicView) listing() time.Duration { return min(v.lists[0], v.lists[1]) }

// choose picks the topics to mirror and tells of those that came, went or were made
// anew.
func (v *topicView) choose(source map[string]kafka.TopicInfo) map[string]kafka.TopicInfo {
	s, logger := v.c.settings, v.c.logger
	selected := make(map[string]kafka.TopicInfo)
	wanted := make(map[string]bool, len(source))
	for topic, info := range source {
		take, known := v.wanted[topic]
		if !known {
			take = v.takes(topic)
		}
		wanted[topic] = take
		if take && info.Partitions > 0 {
			selected[topic] = info
		}
	}
	v.wanted = wanted
	missing := map[string]bool{}
	for topic, before := range v.seen {
		now, there := selected[topic]
		if there && now.ID == [16]byte{} { // brokers before 2.8 tell none
			now.ID = before.ID
			selected[topic] = now
		}
		switch {
		case !there && v.patient && !v.missing[topic]:
			missing[topic] = true
			selected[topic] = before
		case !there:
			v.forget(topic)
			logger.Warn("A source topic was deleted: it is no longer mirrored. Its copy and the offsets stored for it stay",
				"topic", topic, "remote_topic", s.remoteTopic(topic), "cluster", s.source)
		case v.former[now.ID]: // the whole answer is old
			selected[topic] = before
		case before.ID != now.ID && before.ID != [16]byte{}:
			v.former[before.ID] = true
			logger.Warn("A source topic was deleted and created anew: its new records are appended to the copy of the old ones. Where the new topic is already longer than the old one was read, records up to there are not mirrored",
				"topic", topic, "remote_topic", s.remoteTopic(topic), "cluster", s.source)
		case before.Partitions > now.Partitions: // a topic never shrinks: the answer is old
			selected[topic] = before
		}
	}
	v.seen, v.missing = maps.Clone(selected), missing
	return selected
}

// takes reports whether a topic of the source is to be mirrored.
func (v *topicView) takes(topic string) bool {
	s := v.c.settings
	if v.c.loop && replica.CameThrough(s.policy, s.source, topic) {
		return false // source and target are one cluster: a copy that this flow made, or another one's copy of that
	}
	return replica.ShouldReplicateTopic(s.policy, v.c.topics, s.Bool(replicateHeartbeatsKey), s.target, topic)
}

// create creates the remote topics that target lacks and adds them to it.
func (v *topicView) create(ctx context.Context, selected, target map[string]kafka.TopicInfo) {
	s := v.c.settings
	var absent []string
	for _, topic := range slices.Sorted(maps.Keys(selected)) {
		remote, n := s.remoteTopic(topic), selected[topic].Partitions
		_, there := target[remote]
		switch {
		case there:
			delete(v.hidden, topic)
		case time.Now().Before(v.hidden[topic]):
			target[remote] = kafka.TopicInfo{Partitions: n}
		case !v.missing[topic] && v.mayTry(topic, n):
			absent = append(absent, topic)
		}
	}
	if len(absent) == 0 {
		return
	}
	configs, failed := v.c.creationConfigs(ctx, absent)
	factor, err := s.factor(ctx, v.c.target, replicationFactorKey)
	errs := make([]error, len(absent))
	var specs []kafka.TopicSpec
	var asked []int // the place of each spec in absent
	for i, topic := range absent {
		switch {
		case err != nil:
			errs[i] = err
		case failed[topic] != nil:
			errs[i] = failed[topic]
		default:
			specs, asked = append(specs, kafka.TopicSpec{
				Name: s.remoteTopic(topic), Partitions: selected[topic].Partitions, ReplicationFactor: factor, Configs: configs[topic],
			}), append(asked, i)
		}
	}
	for i, err := range v.c.target.admin.CreateTopics(ctx, specs) {
		errs[asked[i]] = v.created(specs[i], err)
	}
	if ctx.Err() != nil {
		return
	}
	for i, topic := range absent {
		remote, n := s.remoteTopic(topic), selected[topic].Partitions
		if errors.Is(errs[i], kafka.ErrTopicExists) { // it is not shown, but may be written to
			v.hidden[topic], errs[i] = time.Now().Add(longRetry), nil
		}
		v.tried(topic, n, errs[i])
		v.c.troubles.report("create "+topic, errs[i], "A remote topic could not be created: its source topic is not mirrored until it can",
			"topic", topic, "remote_topic", remote, "cluster", s.target, "operation", "create topic")
		if errs[i] == nil {
			if v.usable[topic] > 0 && v.hidden[topic].IsZero() {
				v.dropCopy(topic)
				v.lostCopy(topic, strconv.FormatInt(time.Now().UnixMilli(), 10))
			}
			target[remote] = kafka.TopicInfo{Partitions: n}
		}
	}
}

// created tells of a new topic, or says what to do about the target's refusal.
func (v *topicView) created(spec kafka.TopicSpec, err error) error {
	switch {
	case err == nil:
		v.c.logger.Info("Created a remote topic", "topic", spec.Name, "partitions", spec.Partitions, "cluster", v.c.settings.target)
		return nil
	case errors.Is(err, kafka.ErrInvalidConfig):
		return fmt.Errorf("the target refuses a property of the source topic; name it in %s if it need not be the same: %w", replica.ConfigPropertiesExcludeKey, err)
	case errors.Is(err, kafka.ErrInvalidReplicationFactor):
		return fmt.Errorf("%s=%d does not suit the target: %w", replicationFactorKey, spec.ReplicationFactor, err)
	}
	return err
}

// match compares the partition counts of a topic and its copy, adds partitions where
// the copy has fewer, and returns how many can be mirrored.
func (v *topicView) match(ctx context.Context, topic string, want int32, target map[string]kafka.TopicInfo) int32 {
	s := v.c.settings
	remote := s.remoteTopic(topic)
	has := target[remote].Partitions
	more := "more partitions " + topic
	delete(v.surplus, topic)
	switch {
	case has == 0:
		// Transformations may send the records elsewhere: then nobody needs the copy.
		if s.props["transforms"] != "" {
			return want
		}
		return 0
	case has > want:
		v.surplus[topic] = has - want
		v.c.troubles.once(more, "The remote topic has more partitions than its source topic. It is left as it is; the surplus stays empty.",
			"topic", topic, "partitions", want, "remote_topic", remote, "remote_partitions", has, "cluster", s.target)
		return want
	case has == want:
		v.c.troubles.forget(more)
		v.c.troubles.report("grow "+topic, nil, "A remote topic has fewer partitions than its source topic and could not be given more", "topic", topic)
		return want
	}
	if !v.mayTry(topic, want) {
		return has
	}
	err := v.c.target.admin.CreatePartitions(ctx, remote, want)
	if errors.Is(err, kafka.ErrInvalidPartitions) {
		err = nil // somebody was faster
	}
	if ctx.Err() != nil {
		return has
	}
	v.tried(topic, want, err)
	v.c.troubles.report("grow "+topic, err, "A remote topic has fewer partitions than its source topic and could not be given more: the other partitions are not mirrored until it can",
		"topic", topic, "partitions", want, "remote_topic", remote, "remote_partitions", has, "cluster", s.target, "operation", "create partitions")
	if err != nil {
		return has
	}
	v.c.logger.Info("Added partitions to a remote topic", "topic", remote, "partitions", want, "before", has, "cluster", s.target)
	return want
}

// mayTry is false while the target's last refusal is fresh.
func (v *topicView) mayTry(topic string, partitions int32) bool {
	r, refused := v.refused[topic]
	return !refused || r.partitions != partitions || !time.Now().Before(r.again)
}

func (v *topicView) tried(topic string, partitions int32, err error) {
	if err == nil {
		delete(v.refused, topic)
		return
	}
	r := v.refused[topic]
	r.again = time.Now().Add(retryPause(r.failures, 0))
	r.failures++
	r.partitions = partitions
	v.refused[topic] = r
}

func (v *topicView) forget(topic string) {
	delete(v.refused, topic)
	delete(v.hidden, topic)
	delete(v.surplus, topic)
	for _, what := range []string{"create ", "grow ", "more partitions ", "configs "} {
		v.c.troubles.forget(what + topic)
	}
}

// unmirrored is how many partitions that should be mirrored cannot be at present.
func (v *topicView) unmirrored() int {
	n := 0
	for topic, info := range v.seen {
		n += int(max(info.Partitions-v.usable[topic], 0))
	}
	return n
}

// mirrored returns the source topics that have a copy, sorted.
func (v *topicView) mirrored() []string {
	var topics []string
	for topic, n := range v.usable {
		if n > 0 {
			topics = append(topics, topic)
		}
	}
	slices.Sort(topics)
	return topics
}
