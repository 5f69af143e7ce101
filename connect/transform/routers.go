package transform

import (
	"strings"
	"time"

	"tributary/connect"
	"tributary/internal/jregex"
	"tributary/internal/simpledate"
)

// RegexRouter gives records whose topic matches a pattern another topic.
type RegexRouter struct {
	stateless
	copying
	replacer *jregex.Replacer
	// routed remembers what became of topics: running the pattern for each record costs as much as decompressing it.
	routed map[string]string
}

// routedLimit bounds what is remembered: a TimestampRouter before this one makes topics without end.
const routedLimit = 4096

var regexRouterDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "regex", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: func(v any) string {
		if _, err := jregex.Compile(v.(string)); err != nil {
			return "Invalid regex: " + err.Error()
		}
		return ""
	}, Doc: "Java regular expression that the whole topic must match."},
	connect.ConfigKey{Name: "replacement", Type: connect.TypeString, Required: true, Importance: connect.High,
		Doc: "The new topic, in which $1 stands for the text of the first group."})

// ConfigDef implements connect.Transformation.
func (*RegexRouter) ConfigDef() *connect.ConfigDef { return regexRouterDef }

// Configure implements connect.Transformation.
func (t *RegexRouter) Configure(config map[string]string) error {
	v, err := regexRouterDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.replacer, err = jregex.CompileReplacer(v.String("regex"), v.String("replacement"))
	t.routed = map[string]string{}
	return err
}

// Apply implements connect.Transformation.
func (t *RegexRouter) Apply(r *connect.Record) (*connect.Record, error) {
	topic, known := t.routed[r.Topic]
	if !known {
		var err error
		if topic, _, err = t.replacer.Replace(r.Topic); err != nil {
			return r, err
		}
		if len(t.routed) == routedLimit {
			clear(t.routed)
		}
		t.routed[r.Topic] = topic
	}
	if topic == r.Topic {
		return r, nil
	}
	out := *r
	out.Topic = topic
	return &out, nil
}

// TimestampRouter makes the topic of the old one and the record's timestamp.
type TimestampRouter struct {
	stateless
	copying
	topic  string
	format *simpledate.Format
}

var timestampRouterDef = connect.NewConfigDef(
	connect.ConfigKey{Name: "topic.format", Type: connect.TypeString, Default: "${topic}-${timestamp}", Importance: connect.High,
		Doc: "The new topic, in which ${topic} and ${timestamp} stand for the old one and the formatted timestamp."},
	connect.ConfigKey{Name: "timestamp.format", Type: connect.TypeString, Default: "yyyyMMdd", Importance: connect.High,
		Doc: "Pattern of Java's SimpleDateFormat for the timestamp, in UTC."})

// ConfigDef implements connect.Transformation.
func (*TimestampRouter) ConfigDef() *connect.ConfigDef { return timestampRouterDef }

// Configure implements connect.Transformation. Java finds a wrong pattern with the first
// record.
func (t *TimestampRouter) Configure(config map[string]string) error {
	v, err := timestampRouterDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.topic = v.String("topic.format")
	if t.format, err = simpledate.Compile(v.String("timestamp.format"), time.UTC); err != nil {
		return configError("Invalid value " + v.String("timestamp.format") + " for configuration timestamp.format: " + err.Error())
	}
	return nil
}

// Apply implements connect.Transformation.
func (t *TimestampRouter) Apply(r *connect.Record) (*connect.Record, error) {
	if r.Timestamp == connect.NoTimestamp {
		return nil, dataErrorf("Timestamp missing on record: topic %s", r.Topic)
	}
	out := *r
	out.Topic = strings.ReplaceAll(strings.ReplaceAll(t.topic, "${topic}", r.Topic), "${timestamp}", t.format.Format(time.UnixMilli(r.Timestamp)))
	return &out, nil
}
