package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

// Keys that say where to begin with a partition that was never mirrored.
const (
	startFromKey      = "start.from"
	startFromRulesKey = "start.from.rules"
)

// startPoint is where to begin with a partition for which no offset is stored. The zero
// value leaves that to auto.offset.reset.
type startPoint struct {
	kind  startKind
	time  time.Time // of startAtTime
	group string    // of startAtGroup
}

type startKind int

const (
	startAtReset startKind = iota
	startAtEarliest
	startAtLatest
	startAtTime
	startAtGroup
)

const groupPrefix = "group:"

// String is the text that parseStartPoint reads.
func (p startPoint) String() string {
	switch p.kind {
	case startAtEarliest:
		return "earliest"
	case startAtLatest:
		return "latest"
	case startAtTime:
		return p.time.Format(time.RFC3339Nano)
	case startAtGroup:
		return groupPrefix + p.group
	}
	return "auto.offset.reset"
}

// parseStartPoint reads earliest, latest, an ISO 8601 time or group:<id>.
func parseStartPoint(text string) (startPoint, error) {
	switch text {
	case "earliest":
		return startPoint{kind: startAtEarliest}, nil
	case "latest":
		return startPoint{kind: startAtLatest}, nil
	}
	if group, ok := strings.CutPrefix(text, groupPrefix); ok {
		if group == "" {
			return startPoint{}, errors.New("group: must be followed by the id of a consumer group of the source")
		}
		return startPoint{kind: startAtGroup, group: group}, nil
	}
	at, err := parseISOTime(text)
	if err != nil {
		return startPoint{}, errors.New("must be earliest, latest, group:<id>, or an ISO 8601 time such as 2026-03-01T12:00:00Z")
	}
	return startPoint{kind: startAtTime, time: at}, nil
}

// isoForms are the forms of ISO 8601 that are read. Without an offset a time is UTC.
var isoForms = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", time.DateOnly}

func parseISOTime(text string) (time.Time, error) {
	for _, form := range isoForms {
		if at, err := time.Parse(form, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New("must be an ISO 8601 time such as 2026-03-01T12:00:00Z")
}

// startRules say for each topic where to begin: the first rule that takes the topic,
// else otherwise.
type startRules struct {
	rules     []startRule
	otherwise startPoint
}

type startRule struct {
	topics replica.TopicFilter
	from   startPoint
}

func (r startRules) of(topic string) startPoint {
	for _, rule := range r.rules {
		if rule.topics.ShouldReplicateTopic(topic) {
			return rule.from
		}
	}
	return r.otherwise
}

// parseStartRules reads start.from, start.from.rules and the two keys of each rule. The
// map holds what is wrong, by key.
func parseStartRules(props map[string]string) (startRules, map[string][]string) {
	errs := map[string][]string{}
	wrong := func(key, reason string) {
		errs[key] = append(errs[key], fmt.Sprintf("Invalid value %s for configuration %s: %s", props[key], key, reason))
	}
	point := func(key string) startPoint {
		p, err := parseStartPoint(strings.TrimSpace(props[key]))
		if err != nil {
			wrong(key, err.Error())
		}
		return p
	}
	var rules startRules
	if props[startFromKey] != "" {
		rules.otherwise = point(startFromKey)
	}
	if props[startFromRulesKey] == "" {
		return rules, errs
	}
	for name := range strings.SplitSeq(props[startFromRulesKey], ",") {
		name = strings.TrimSpace(name)
		topicsKey, fromKey := startFromKey+"."+name+".topics", startFromKey+"."+name+".from"
		var topics replica.TopicFilter
		if props[topicsKey] == "" {
			wrong(topicsKey, "the rule "+name+" needs the topics that it is for: names or regular expressions, separated by commas")
		} else {
			var err error
			topics, err = replica.NewTopicFilter("", map[string]string{replica.TopicsKey: props[topicsKey], replica.TopicsExcludeKey: ""})
			if err != nil {
				wrong(topicsKey, err.Error())
			}
		}
		rules.rules = append(rules.rules, startRule{topics: topics, from: point(fromKey)})
	}
	return rules, errs
}

// isoTime checks a time that a user wrote.
func isoTime(v any) string {
	if text, ok := v.(string); ok && text != "" {
		if _, err := parseISOTime(text); err != nil {
			return err.Error()
		}
	}
	return ""
}

// placer finds where to begin with partitions for which no offset is stored.
type placer struct {
	rules    startRules
	reset    kafka.OffsetReset
	admin    *kafka.Admin
	level    kafka.Isolation
	now      time.Time
	position map[kafka.TopicPartition]int64
	refused  map[kafka.TopicPartition]error
	failed   map[kafka.TopicPartition]error
}

// place fills position with an offset, or kafka.Earliest, for each of fresh; or refused
// with the reason why it cannot be begun with; or failed with why the source does not
// tell its place now. The error is that the source could not be asked.
func (p *placer) place(ctx context.Context, fresh []kafka.TopicPartition) error {
	byPoint := map[startPoint][]kafka.TopicPartition{}
	for _, tp := range fresh {
		point := p.resolve(p.rules.of(tp.Topic))
		byPoint[point] = append(byPoint[point], tp)
	}
	for point, tps := range byPoint {
		var err error
		switch point.kind {
		case startAtEarliest:
			for _, tp := range tps {
				p.position[tp] = kafka.Earliest
			}
		case startAtLatest:
			err = p.lookUp(ctx, tps, kafka.Latest)
		case startAtTime:
			err = p.lookUp(ctx, tps, max(point.time.UnixMilli(), 0))
		case startAtGroup:
			err = p.byGroup(ctx, point.group, tps)
		default:
			for _, tp := range tps {
				p.refused[tp] = errors.New("it has no stored offset to begin at, and auto.offset.reset=none allows no other place")
			}
		}
		if err != nil {
			return fmt.Errorf("look up where %s=%s begins: %w", startFromKey, point, err)
		}
	}
	return nil
}

// resolve puts what auto.offset.reset says in place of no start.from.
func (p *placer) resolve(point startPoint) startPoint {
	if point.kind != startAtReset {
		return point
	}
	switch p.reset.Strategy {
	case "latest":
		return startPoint{kind: startAtLatest}
	case "by_duration":
		return startPoint{kind: startAtTime, time: p.now.Add(-p.reset.Duration)}
	case "none":
		return point
	}
	return startPoint{kind: startAtEarliest}
}

func (p *placer) lookUp(ctx context.Context, tps []kafka.TopicPartition, spec int64) error {
	// One partition without a leader must not hold back the others: it is placed late.
	found, failed, err := p.admin.CurrentOffsets(ctx, tps, spec, p.level)
	if err != nil {
		return err
	}
	maps.Copy(p.position, found)
	for tp, err := range failed {
		p.failed[tp] = fmt.Errorf("look up where to begin: %w", err)
	}
	return nil
}

// byGroup begins where a consumer group of the source stands. A partition that the
// group never committed for begins at its start, so that nothing is left out: looked up
// as a number, which is stored, for the group may commit before the next start.
func (p *placer) byGroup(ctx context.Context, group string, tps []kafka.TopicPartition) error {
	committed, err := p.admin.ListGroupOffsets(ctx, group)
	if err != nil {
		return err
	}
	var rest []kafka.TopicPartition
	for _, tp := range tps {
		if at, ok := committed[tp]; ok && at.Offset >= 0 {
			p.position[tp] = at.Offset
			continue
		}
		rest = append(rest, tp)
	}
	return p.lookUp(ctx, rest, kafka.Earliest)
}

// again tries once more to place partitions.
func (p placer) again(ctx context.Context, left []kafka.TopicPartition) (found map[kafka.TopicPartition]int64, failed map[kafka.TopicPartition]error, err error) {
	p.position, p.failed = map[kafka.TopicPartition]int64{}, map[kafka.TopicPartition]error{}
	err = p.place(ctx, left)
	return p.position, p.failed, err
}

// latePlaces looks up, beside the reading, the places that the clusters did not tell when
// the task began.
type latePlaces struct {
	// ask looks for the places of some partitions. keeps has a place that was found stored; it is called on the
	// task's goroutine.
	ask   func(context.Context, []kafka.TopicPartition) (found map[kafka.TopicPartition]int64, failed map[kafka.TopicPartition]error, err error)
	keeps func(tp kafka.TopicPartition, at int64)
	mu    sync.Mutex
	// failed are the partitions still to be placed, with the reason; found is for the task.
	failed map[kafka.TopicPartition]error
	found  map[kafka.TopicPartition]int64
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// start begins to ask about the partitions in failed. What it does is named as a chore is.
func (l *latePlaces) start(ctx context.Context, name string, limit time.Duration, troubles *troubles) {
	l.found = map[kafka.TopicPartition]int64{}
	ctx, l.cancel = context.WithCancel(ctx)
	l.ended.Go(func() {
		doChores(ctx, limit, troubles, chore{name: name, delay: shortRetry, do: l.look})
	})
}

func (l *latePlaces) stop() {
	l.cancel()
	l.ended.Wait()
}

// look tries once more. It is an error while any partition is left.
func (l *latePlaces) look(ctx context.Context) error {
	l.mu.Lock()
	left := sortedPartitions(l.failed)
	l.mu.Unlock()
	found, failed, err := l.ask(ctx, left)
	l.mu.Lock()
	defer l.mu.Unlock()
	for tp, at := range found {
		l.found[tp] = at
		delete(l.failed, tp)
	}
	maps.Copy(l.failed, failed)
	if err == nil && len(l.failed) > 0 {
		first := sortedPartitions(l.failed)[0]
		err = fmt.Errorf("%s-%d: %w", first.Topic, first.Partition, l.failed[first])
	}
	return err
}

// take returns the places found since the last call, and why the others are not.
func (l *latePlaces) take() (found map[kafka.TopicPartition]int64, failed map[kafka.TopicPartition]error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, l.found = l.found, map[kafka.TopicPartition]int64{}
	return found, maps.Clone(l.failed)
}

var startKeys = []connect.ConfigKey{
	low(startFromKey, connect.TypeString, nil, "Where to begin with a partition for which no offset is stored: earliest, latest, an ISO 8601 time (the first record with this timestamp or a later one), or group:<id>, the offsets that a consumer group of the source has committed (earliest where it has none). Unless set, auto.offset.reset decides, which is earliest by default."),
	unique(low(startFromRulesKey, connect.TypeList, []string{}, "Names of rules for topics that begin elsewhere than "+startFromKey+" says. Each has start.from.<name>.topics (names or regular expressions) and start.from.<name>.from; the first rule that takes a topic counts.")),
}

// sortedPartitions lists the keys of a map in order, for logs and requests that are the
// same each time.
func sortedPartitions[V any](m map[kafka.TopicPartition]V) []kafka.TopicPartition {
	return slices.SortedFunc(maps.Keys(m), func(a, b kafka.TopicPartition) int {
		return replica.TopicPartition(a).Compare(replica.TopicPartition(b))
	})
}
