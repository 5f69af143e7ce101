package replica

import "testing"

// topicsNamed is a topic filter that takes exactly these.
type topicsNamed map[string]bool

func (f topicsNamed) ShouldReplicateTopic(topic string) bool { return f[topic] }

// allTopics is a topic filter that takes everything.
type allTopics struct{}

func (allTopics) ShouldReplicateTopic(string) bool { return true }

func TestTopicsThatPassedThroughTheTargetAreNotMirrored(t *testing.T) {
	p := newTestPolicy(t, "")
	for topic, cycle := range map[string]bool{
		"t": false, "source.t": false, "other.t": false,
		"target.t": true, "target.source.t": true, "source.target.t": true, "a.b.target.t": true,
		"targets.t": false, "target": false, "t.target": false,
	} {
		if got := IsCycle(p, "target", topic); got != cycle {
			t.Errorf("IsCycle(%q) = %v", topic, got)
		}
		if got := ShouldReplicateTopic(p, allTopics{}, true, "target", topic); got == cycle {
			t.Errorf("ShouldReplicateTopic(%q) = %v", topic, got)
		}
	}
}

func TestIdentityPolicyFindsCyclesOfHeartbeatsAlone(t *testing.T) {
	p := newTestPolicy(t, IdentityPolicyClass, SourceClusterAliasKey, "source")
	for topic, cycle := range map[string]bool{
		"t": false, "target.t": false, "source.t": false,
		"target.heartbeats": true, "source.target.heartbeats": true, "source.heartbeats": false, "heartbeats": false,
	} {
		if got := IsCycle(p, "target", topic); got != cycle {
			t.Errorf("IsCycle(%q) = %v", topic, got)
		}
	}
}

func TestInternalTopicsAreNeverMirrored(t *testing.T) {
	p := newTestPolicy(t, "")
	for _, topic := range []string{"__consumer_offsets", ".x", "mm2-offset-syncs.B.internal", "A.checkpoints.internal"} {
		if ShouldReplicateTopic(p, allTopics{}, true, "target", topic) {
			t.Errorf("%q is mirrored", topic)
		}
	}
}

func TestHeartbeatsAreMirroredDespiteTheFilterIfWanted(t *testing.T) {
	dots, underscores := newTestPolicy(t, ""), newTestPolicy(t, "", PolicySeparatorKey, "_")
	tests := []struct {
		name       string
		policy     Policy
		filter     TopicFilter
		heartbeats bool
		topic      string
		want       bool
	}{
		{"own", dots, topicsNamed{}, true, "heartbeats", true},
		{"mirrored", dots, topicsNamed{}, true, "us-west.heartbeats", true},
		{"going back", dots, topicsNamed{}, true, "target.heartbeats", false},
		{"not wanted", dots, topicsNamed{}, false, "heartbeats", false},
		{"not wanted but in the filter", dots, topicsNamed{"heartbeats": true}, false, "heartbeats", true},
		{"other separator", underscores, topicsNamed{}, true, "us-west_heartbeats", true},
		{"dot under other separator", underscores, topicsNamed{}, true, "us-west.heartbeats", false},
		{"not a heartbeat", dots, topicsNamed{}, true, "t", false},
		{"filtered in", dots, topicsNamed{"t": true}, true, "t", true},
	}
	for _, test := range tests {
		if got := ShouldReplicateTopic(test.policy, test.filter, test.heartbeats, "target", test.topic); got != test.want {
			t.Errorf("%s: ShouldReplicateTopic(%q) = %v", test.name, test.topic, got)
		}
	}
}
