package replica

import (
	"fmt"
	"slices"
	"strings"

	"tributary/internal/jregex"
)

// Configuration keys that the filters read.
const (
	TopicFilterClassKey          = "topic.filter.class"
	TopicsKey                    = "topics"
	TopicsExcludeKey             = "topics.exclude"
	GroupFilterClassKey          = "group.filter.class"
	GroupsKey                    = "groups"
	GroupsExcludeKey             = "groups.exclude"
	ConfigPropertyFilterClassKey = "config.property.filter.class"
	ConfigPropertiesExcludeKey   = "config.properties.exclude"
	UseDefaultsFromKey           = "use.defaults.from"
)

// Defaults of those keys.
const (
	TopicsDefault        = ".*"
	TopicsExcludeDefault = `mm2.*\.internal, .*\.replica, __.*`
	GroupsDefault        = ".*"
	GroupsExcludeDefault = "console-consumer-.*, connect-.*, __.*"
	// ConfigPropertiesExcludeDefault names two broker properties (log.message.…) where
	// one would expect those of topics. The list is kept as users of MirrorMaker know it;
	// the filter takes them as they were meant.
	ConfigPropertiesExcludeDefault = "follower.replication.throttled.replicas, " +
		"leader.replication.throttled.replicas, message.timestamp.difference.max.ms, " +
		"log.message.timestamp.before.max.ms, log.message.timestamp.after.max.ms, " +
		"message.timestamp.type, unclean.leader.election.enable, min.insync.replicas"
	UseDefaultsFromDefault = "target"
)

// Class names of the built-in filters; the part after the last dot is accepted too.
const (
	TopicFilterClass          = javaPackage + "DefaultTopicFilter"
	GroupFilterClass          = javaPackage + "DefaultGroupFilter"
	ConfigPropertyFilterClass = javaPackage + "DefaultConfigPropertyFilter"
)

// TopicFilter selects topics by name. The built-in filters of this package are
// immutable and safe for concurrent use.
type TopicFilter interface {
	ShouldReplicateTopic(topic string) bool
}

// GroupFilter selects consumer groups by id.
type GroupFilter interface {
	ShouldReplicateGroup(group string) bool
}

// ConfigPropertyFilter selects which properties of a topic are copied.
type ConfigPropertyFilter interface {
	// ShouldReplicateConfigProperty is asked first; false leaves the target's alone.
	ShouldReplicateConfigProperty(name string) bool
	// ShouldReplicateSourceDefault is asked for a property that is at its default on
	// the source: true sets that value on the target, false lets the target's own
	// default apply.
	ShouldReplicateSourceDefault(name string) bool
}

// NewTopicFilter makes the filter that class names, from topics and topics.exclude
// in props. An empty class means the built-in one.
func NewTopicFilter(class string, props map[string]string) (TopicFilter, error) {
	if err := checkFilterClass(TopicFilterClassKey, class, TopicFilterClass); err != nil {
		return nil, err
	}
	names, err := newNameFilter(props, TopicsKey, TopicsDefault, TopicsExcludeKey, TopicsExcludeDefault)
	if err != nil {
		return nil, err
	}
	return topicFilter{names}, nil
}

// NewGroupFilter makes the filter that class names, from groups and groups.exclude
// in props. An empty class means the built-in one.
func NewGroupFilter(class string, props map[string]string) (GroupFilter, error) {
	if err := checkFilterClass(GroupFilterClassKey, class, GroupFilterClass); err != nil {
		return nil, err
	}
	names, err := newNameFilter(props, GroupsKey, GroupsDefault, GroupsExcludeKey, GroupsExcludeDefault)
	if err != nil {
		return nil, err
	}
	return groupFilter{names}, nil
}

// NewConfigPropertyFilter makes the filter that class names, from
// config.properties.exclude and use.defaults.from in props. An empty class means the
// built-in one. As in MirrorMaker 2, any use.defaults.from but "source" is "target".
func NewConfigPropertyFilter(class string, props map[string]string) (ConfigPropertyFilter, error) {
	if err := checkFilterClass(ConfigPropertyFilterClassKey, class, ConfigPropertyFilterClass); err != nil {
		return nil, err
	}
	exclude, err := compileList(props, ConfigPropertiesExcludeKey, ConfigPropertiesExcludeDefault)
	if err != nil {
		return nil, err
	}
	return configPropertyFilter{exclude: exclude, sourceDefaults: props[UseDefaultsFromKey] == "source"}, nil
}

// nameFilter takes the names that fully match an element of one list and none of the
// other. An empty list matches nothing.
type nameFilter struct {
	include, exclude *jregex.Pattern
}

func newNameFilter(props map[string]string, includeKey, includeDefault, excludeKey, excludeDefault string) (nameFilter, error) {
	include, err := compileList(props, includeKey, includeDefault)
	if err != nil {
		return nameFilter{}, err
	}
	exclude, err := compileList(props, excludeKey, excludeDefault)
	if err != nil {
		return nameFilter{}, err
	}
	return nameFilter{include: include, exclude: exclude}, nil
}

func (f nameFilter) takes(name string) bool {
	return f.include.MatchString(name) && !excludes(f.exclude, name)
}

// excludes counts a match that had to be given up (see jregex.Pattern.Match) as one:
// what someone wanted to keep back must not leak because it is costly to recognise.
func excludes(exclude *jregex.Pattern, name string) bool {
	matched, err := exclude.Match(name)
	return matched || err != nil
}

type topicFilter struct{ nameFilter }

func (f topicFilter) ShouldReplicateTopic(topic string) bool { return f.takes(topic) }

type groupFilter struct{ nameFilter }

func (f groupFilter) ShouldReplicateGroup(group string) bool { return f.takes(group) }

type configPropertyFilter struct {
	exclude        *jregex.Pattern
	sourceDefaults bool
}

func (f configPropertyFilter) ShouldReplicateConfigProperty(name string) bool {
	return !excludes(f.exclude, name) && !(brokerNames[name] != "" && excludes(f.exclude, brokerNames[name]))
}

// brokerNames are those of topic properties that the default list excludes by the name
// that brokers have for them, which no topic has. They are excluded as they were meant.
var brokerNames = map[string]string{
	"message.timestamp.before.max.ms": "log.message.timestamp.before.max.ms",
	"message.timestamp.after.max.ms":  "log.message.timestamp.after.max.ms",
}

func (f configPropertyFilter) ShouldReplicateSourceDefault(string) bool { return f.sourceDefaults }

func checkFilterClass(key, class, builtIn string) error {
	if class == "" || strings.TrimPrefix(class, javaPackage) == strings.TrimPrefix(builtIn, javaPackage) {
		return nil
	}
	return unknownClass(key, class, builtIn)
}

// compileList compiles the comma-separated names and expressions under key. It is
// nil, which matches nothing, for an empty list.
func compileList(props map[string]string, key, byDefault string) (*jregex.Pattern, error) {
	value, ok := props[key]
	if !ok {
		value = byDefault
	}
	patterns, err := splitList(key, value)
	if err != nil || len(patterns) == 0 {
		return nil, err
	}
	compiled, err := jregex.CompileList(patterns)
	if err != nil {
		return nil, fmt.Errorf("%s is %q, which must be a list of names or regular expressions: %w", key, value, err)
	}
	return compiled, nil
}

// splitList reads Kafka's LIST type: commas separate, blanks around them are
// dropped, and empty or repeated elements are refused.
func splitList(key, value string) ([]string, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil, nil
	}
	elements := strings.Split(value, ",")
	for i, element := range elements {
		elements[i] = strings.TrimSpace(element)
		if elements[i] == "" {
			return nil, fmt.Errorf("%s is %q, which has an empty element: remove the comma too many", key, value)
		}
		if slices.Contains(elements[:i], elements[i]) {
			return nil, fmt.Errorf("%s is %q, which lists %q twice: list it once", key, value, elements[i])
		}
	}
	return elements, nil
}
