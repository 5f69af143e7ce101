// Package predicate holds the built-in predicates, which decide whether a transformation
// applies to a record: those of Java under their class names, and RecordMatches, which
// looks into the record.
package predicate

import (
	"slices"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/internal/jregex"
)

// Plugins lists the predicates here for a worker of the given version.
func Plugins(version string) []plugin.Plugin {
	var plugins []plugin.Plugin
	for class, make := range map[string]func() connect.Predicate{
		"HasHeaderKey":      func() connect.Predicate { return new(HasHeaderKey) },
		"RecordIsTombstone": func() connect.Predicate { return new(RecordIsTombstone) },
		"TopicNameMatches":  func() connect.Predicate { return new(TopicNameMatches) },
	} {
		plugins = append(plugins, plugin.Plugin{Class: "org.apache.kafka.connect.transforms.predicates." + class, Kind: plugin.Predicate,
			Version: version, New: func() any { return make() }})
	}
	return append(plugins, plugin.Plugin{Class: RecordMatchesClass, Kind: plugin.Predicate, Version: version, New: func() any { return new(RecordMatches) }})
}

// stateless has nothing to close.
type stateless struct{}

// Close implements connect.Predicate.
func (stateless) Close() error { return nil }

// HasHeaderKey is true for records with a header of that name.
type HasHeaderKey struct {
	stateless
	name string
}

var hasHeaderKeyDef = connect.NewConfigDef(connect.ConfigKey{Name: "name", Type: connect.TypeString, Required: true, Importance: connect.Medium,
	Validate: nonEmpty, Doc: "Name of the header."})

func nonEmpty(v any) string {
	if v == "" {
		return "String must be non-empty"
	}
	return ""
}

// ConfigDef implements connect.Predicate.
func (*HasHeaderKey) ConfigDef() *connect.ConfigDef { return hasHeaderKeyDef }

// Configure implements connect.Predicate.
func (p *HasHeaderKey) Configure(config map[string]string) error {
	v, err := hasHeaderKeyDef.ParseValues(config)
	if err != nil {
		return err
	}
	p.name = v.String("name")
	return nil
}

// Test implements connect.Predicate.
func (p *HasHeaderKey) Test(r *connect.Record) (bool, error) {
	return slices.ContainsFunc(r.Headers, func(h connect.Header) bool { return h.Key == p.name }), nil
}

// RecordIsTombstone is true for records whose value is null.
type RecordIsTombstone struct{ stateless }

var noSettings = connect.NewConfigDef()

// ConfigDef implements connect.Predicate.
func (*RecordIsTombstone) ConfigDef() *connect.ConfigDef { return noSettings }

// Configure implements connect.Predicate; there is nothing to configure.
func (*RecordIsTombstone) Configure(map[string]string) error { return nil }

// Test implements connect.Predicate.
func (*RecordIsTombstone) Test(r *connect.Record) (bool, error) { return r.Value == nil, nil }

// TopicNameMatches is true for records whose topic matches a pattern as a whole.
type TopicNameMatches struct {
	stateless
	pattern *jregex.Pattern
}

var topicNameMatchesDef = connect.NewConfigDef(connect.ConfigKey{Name: "pattern", Type: connect.TypeString, Required: true, Importance: connect.Medium,
	Validate: func(v any) string {
		if reason := nonEmpty(v); reason != "" {
			return reason
		}
		if _, err := jregex.Compile(v.(string)); err != nil {
			return "Invalid regex: " + err.Error()
		}
		return ""
	}, Doc: "Java regular expression that the whole name of the topic must match."})

// ConfigDef implements connect.Predicate.
func (*TopicNameMatches) ConfigDef() *connect.ConfigDef { return topicNameMatchesDef }

// Configure implements connect.Predicate.
func (p *TopicNameMatches) Configure(config map[string]string) error {
	v, err := topicNameMatchesDef.ParseValues(config)
	if err != nil {
		return err
	}
	p.pattern, err = jregex.Compile(v.String("pattern"))
	return err
}

// Test implements connect.Predicate.
func (p *TopicNameMatches) Test(r *connect.Record) (bool, error) { return p.pattern.Match(r.Topic) }
