package replica

import (
	"strings"
	"unicode/utf8"
)

// defaultPolicy puts the source alias in front: topic "t" of cluster "A" is "A.t"
// on the target.
type defaultPolicy struct {
	separator string
	// internal separates the parts of internal topic names. It differs from
	// separator only when that was configured and its use for internal topics
	// switched off (KIP-949).
	internal string
}

func newDefaultPolicy(props map[string]string) *defaultPolicy {
	separator, configured := props[PolicySeparatorKey]
	if !configured {
		return &defaultPolicy{separator: DefaultSeparator, internal: DefaultSeparator}
	}
	p := &defaultPolicy{separator: separator, internal: separator}
	// As Java's parseBoolean: anything but "true" is false. The key counts only
	// beside a configured separator.
	if enabled, ok := props[InternalSeparatorEnabledKey]; ok && !strings.EqualFold(enabled, "true") {
		p.internal = DefaultSeparator
	}
	return p
}

func (p *defaultPolicy) FormatRemoteTopic(source, topic string) string {
	return source + p.separator + topic
}

// TopicSource answers as Java's String.split(separator) with at least two parts:
// trailing empty parts do not count, so "a." and "a.." have no source, while ".a"
// has the source "".
func (p *defaultPolicy) TopicSource(topic string) (string, bool) {
	if p.separator == "" {
		// Java splits at every character then.
		_, size := utf8.DecodeRuneInString(topic)
		return topic[:size], size < len(topic)
	}
	source, rest, found := strings.Cut(topic, p.separator)
	if !found || strings.ReplaceAll(rest, p.separator, "") == "" {
		return "", false
	}
	return source, true
}

func (p *defaultPolicy) UpstreamTopic(topic string) (string, bool) {
	source, ok := p.TopicSource(topic)
	if !ok {
		return "", false
	}
	return topic[len(source)+len(p.separator):], true
}

func (p *defaultPolicy) OriginalTopic(topic string) string { return originalTopic(p, topic) }

// originalTopic follows p.UpstreamTopic for policies that embed another.
func originalTopic(p Policy, topic string) string {
	for {
		upstream, ok := p.UpstreamTopic(topic)
		if !ok || upstream == topic {
			return topic
		}
		topic = upstream
	}
}

func (p *defaultPolicy) IsInternalTopic(topic string) bool {
	return strings.HasPrefix(topic, "__") || strings.HasPrefix(topic, ".") || p.IsMM2InternalTopic(topic)
}

func (p *defaultPolicy) IsMM2InternalTopic(topic string) bool {
	return strings.HasPrefix(topic, "mm2") && strings.HasSuffix(topic, p.internal+"internal") ||
		p.IsCheckpointsTopic(topic)
}

func (p *defaultPolicy) IsHeartbeatsTopic(topic string) bool {
	return p.OriginalTopic(topic) == heartbeatsTopic
}

func (p *defaultPolicy) IsCheckpointsTopic(topic string) bool {
	return strings.HasSuffix(topic, p.CheckpointsTopic(""))
}

func (p *defaultPolicy) OffsetSyncsTopic(alias string) string {
	return "mm2-offset-syncs" + p.internal + alias + p.internal + "internal"
}

func (p *defaultPolicy) CheckpointsTopic(alias string) string {
	return alias + p.internal + "checkpoints" + p.internal + "internal"
}

func (p *defaultPolicy) HeartbeatsTopic() string { return heartbeatsTopic }

func (p *defaultPolicy) Separator() string { return p.separator }
