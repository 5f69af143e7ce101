package replica

import "strings"

// identityPolicy keeps topic names as they are (KIP-382, identity replication).
// Names that end in "heartbeats" follow the default policy, for otherwise the
// heartbeats of two clusters would mix in one topic.
type identityPolicy struct {
	*defaultPolicy
	source    string
	hasSource bool
}

func newIdentityPolicy(props map[string]string) *identityPolicy {
	source, ok := props[SourceClusterAliasKey]
	return &identityPolicy{defaultPolicy: newDefaultPolicy(props), source: source, hasSource: ok}
}

func (p *identityPolicy) FormatRemoteTopic(source, topic string) string {
	if looksLikeHeartbeats(topic) {
		return p.defaultPolicy.FormatRemoteTopic(source, topic)
	}
	return topic
}

// TopicSource cannot tell from the name, so each topic is said to come from the
// configured source.cluster.alias, if there is one.
func (p *identityPolicy) TopicSource(topic string) (string, bool) {
	if looksLikeHeartbeats(topic) {
		return p.defaultPolicy.TopicSource(topic)
	}
	return p.source, p.hasSource
}

func (p *identityPolicy) UpstreamTopic(topic string) (string, bool) {
	if looksLikeHeartbeats(topic) {
		return p.defaultPolicy.UpstreamTopic(topic)
	}
	return topic, true
}

func (p *identityPolicy) OriginalTopic(topic string) string { return originalTopic(p, topic) }

func (p *identityPolicy) IsHeartbeatsTopic(topic string) bool {
	return p.OriginalTopic(topic) == heartbeatsTopic
}

func looksLikeHeartbeats(topic string) bool { return strings.HasSuffix(topic, heartbeatsTopic) }
