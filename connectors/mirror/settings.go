package mirror

import (
	"time"

	"tributary/connect"
	"tributary/connectors/mirror/replica"
)

// settings are a checked configuration of one connector or task.
type settings struct {
	connect.Values
	props map[string]string
	// label names the connector or task in client ids.
	label          string
	source, target string
	policy         replica.Policy
}

func readSettings(def *connect.ConfigDef, name string, props map[string]string) (*settings, error) {
	values, err := def.ParseValues(props)
	if err != nil {
		return nil, err
	}
	policy, err := replica.NewPolicy(values.String(replica.PolicyClassKey), props)
	if err != nil {
		return nil, err
	}
	s := &settings{
		Values: values,
		props:  props,
		source: values.String(sourceAliasKey),
		target: values.String(targetAliasKey),
		policy: policy,
	}
	s.label = s.source + "->" + s.target + "|" + name
	return s, nil
}

// given reports whether the user set the key.
func (s *settings) given(key string) bool {
	_, ok := s.props[key]
	return ok
}

// period is how often a periodic task is due; 0 is never.
func (s *settings) period(prefix string) time.Duration {
	seconds := s.Int(prefix + intervalSuffix)
	if !s.Bool(prefix+enabledSuffix) || seconds < 0 {
		return 0
	}
	// MirrorMaker takes 0 for "without a pause"; no cluster is served by that.
	const shortest = 100 * time.Millisecond
	return max(secondsOf(seconds), shortest)
}

func secondsOf(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Second)
	return time.Duration(min(n, most)) * time.Second
}

func (s *settings) millis(key string) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(max(s.Int(key), 0), most)) * time.Millisecond
}

// syncsOnSource says where the offset-syncs topic lives.
func (s *settings) syncsOnSource() bool { return s.String(syncsLocationKey) == locationSource }

// syncsTopic is the name of the offset-syncs topic where it lives.
func (s *settings) syncsTopic() string {
	if s.syncsOnSource() {
		return s.policy.OffsetSyncsTopic(s.target)
	}
	return s.policy.OffsetSyncsTopic(s.source)
}

func (s *settings) checkpointsTopic() string { return s.policy.CheckpointsTopic(s.source) }

func (s *settings) remoteTopic(topic string) string {
	return s.policy.FormatRemoteTopic(s.source, topic)
}

// classErrors checks the classes that a configuration may name, by key. Keys that
// are absent are at their defaults.
func classErrors(props map[string]string, kinds ...string) map[string][]string {
	errs := map[string][]string{}
	check := func(key string, err error) {
		if err != nil {
			errs[key] = append(errs[key], err.Error())
		}
	}
	_, err := replica.NewPolicy(props[replica.PolicyClassKey], props)
	check(replica.PolicyClassKey, err)
	if class := props[forwardingAdminKey]; class != "" && class != forwardingAdminClass {
		errs[forwardingAdminKey] = append(errs[forwardingAdminKey], forwardingAdminKey+" is \""+class+"\", which is not built in: leave it out or use "+forwardingAdminClass)
	}
	for _, kind := range kinds {
		switch kind {
		case replica.TopicFilterClassKey:
			_, err = replica.NewTopicFilter(props[kind], props)
		case replica.GroupFilterClassKey:
			_, err = replica.NewGroupFilter(props[kind], props)
		case replica.ConfigPropertyFilterClassKey:
			_, err = replica.NewConfigPropertyFilter(props[kind], props)
		}
		check(kind, err)
	}
	return errs
}
