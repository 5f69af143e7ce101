package replica

// ShouldReplicateTopic decides whether a topic of the source is mirrored to the
// cluster called target: the filter takes it, or it is a heartbeats topic and those
// are wanted whatever the filter says; and it is neither internal nor already on its
// way back to where it came from.
func ShouldReplicateTopic(policy Policy, filter TopicFilter, replicateHeartbeats bool, target, topic string) bool {
	wanted := filter.ShouldReplicateTopic(topic) || replicateHeartbeats && policy.IsHeartbeatsTopic(topic)
	return wanted && !policy.IsInternalTopic(topic) && !IsCycle(policy, target, topic)
}

// IsCycle is true when topic, as named on the source, has passed through the cluster
// called target before, so that mirroring it would send records round in circles.
// A policy that does not rename leaves no trace of the way: only the last hop, which
// TopicSource tells, is checked then.
func IsCycle(policy Policy, target, topic string) bool { return CameThrough(policy, target, topic) }

// CameThrough is true when the name of topic says that it was copied from the cluster called alias, at some hop.
func CameThrough(policy Policy, alias, topic string) bool {
	for {
		source, ok := policy.TopicSource(topic)
		if !ok {
			return false
		}
		if source == alias {
			return true
		}
		upstream, ok := policy.UpstreamTopic(topic)
		if !ok || upstream == topic {
			return false
		}
		topic = upstream
	}
}
