package replica

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func newTestPolicy(t *testing.T, class string, props ...string) Policy {
	t.Helper()
	m := map[string]string{}
	for i := 0; i < len(props); i += 2 {
		m[props[i]] = props[i+1]
	}
	p, err := NewPolicy(class, m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicyIsChosenByJavaClassName(t *testing.T) {
	tests := []struct{ class, remote string }{
		{"", "A.t"},
		{"DefaultReplicationPolicy", "A.t"},
		{"org.apache.kafka.connect.mirror.DefaultReplicationPolicy", "A.t"},
		{"IdentityReplicationPolicy", "t"},
		{"org.apache.kafka.connect.mirror.IdentityReplicationPolicy", "t"},
	}
	for _, test := range tests {
		if got := newTestPolicy(t, test.class).FormatRemoteTopic("A", "t"); got != test.remote {
			t.Errorf("class %q: remote topic %q, want %q", test.class, got, test.remote)
		}
	}
}

func TestUnknownPolicyClassIsRefusedByName(t *testing.T) {
	_, err := NewPolicy("com.acme.OurPolicy", nil)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{PolicyClassKey, "com.acme.OurPolicy", DefaultPolicyClass, IdentityPolicyClass} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %q", err, want)
		}
	}
}

// none stands for "not a remote topic" in the tables below.
const none = "<none>"

func orNone(s string, ok bool) string {
	if !ok {
		return none
	}
	return s
}

func TestDefaultPolicyReadsRemoteTopicNamesAsJavaSplits(t *testing.T) {
	tests := []struct{ separator, topic, source, upstream, original string }{
		{".", "t", none, none, "t"},
		{".", "", none, none, ""},
		{".", "A.t", "A", "t", "t"},
		{".", "A.B.t", "A", "B.t", "t"},
		{".", "foo.bar", "foo", "bar", "bar"},
		{".", "A.", none, none, "A."},
		{".", "A..", none, none, "A.."},
		{".", ".t", "", "t", "t"},
		{".", ".", none, none, "."},
		{".", "A..t", "A", ".t", "t"},
		{".", "A.t.", "A", "t.", "t."},
		{".", "A-t", none, none, "A-t"},
		{"_", "A_t", "A", "t", "t"},
		{"_", "A.t", none, none, "A.t"},
		{"__", "A__t", "A", "t", "t"},
		{"__", "A_t", none, none, "A_t"},
		{"__", "A___t", "A", "_t", "_t"},
		{"__", "A___", "A", "_", "_"},
		// An empty separator splits everywhere.
		{"", "abc", "a", "bc", "c"},
		{"", "a", none, none, "a"},
		{"", "", none, none, ""},
	}
	for _, test := range tests {
		p := newTestPolicy(t, "", PolicySeparatorKey, test.separator)
		if got := orNone(p.TopicSource(test.topic)); got != test.source {
			t.Errorf("separator %q: source of %q is %q, want %q", test.separator, test.topic, got, test.source)
		}
		if got := orNone(p.UpstreamTopic(test.topic)); got != test.upstream {
			t.Errorf("separator %q: upstream of %q is %q, want %q", test.separator, test.topic, got, test.upstream)
		}
		if got := p.OriginalTopic(test.topic); got != test.original {
			t.Errorf("separator %q: original of %q is %q, want %q", test.separator, test.topic, got, test.original)
		}
	}
}

func TestIdentityPolicyKeepsNamesSaveHeartbeats(t *testing.T) {
	tests := []struct{ topic, remote, source, upstream, original string }{
		{"t", "t", "src", "t", "t"},
		{"X.t", "X.t", "src", "X.t", "X.t"},
		{"heartbeats", "A.heartbeats", none, none, "heartbeats"},
		{"X.heartbeats", "A.X.heartbeats", "X", "heartbeats", "heartbeats"},
		{"myheartbeats", "A.myheartbeats", none, none, "myheartbeats"},
		{"heartbeats2", "heartbeats2", "src", "heartbeats2", "heartbeats2"},
	}
	p := newTestPolicy(t, "IdentityReplicationPolicy", SourceClusterAliasKey, "src")
	for _, test := range tests {
		if got := p.FormatRemoteTopic("A", test.topic); got != test.remote {
			t.Errorf("remote of %q is %q, want %q", test.topic, got, test.remote)
		}
		if got := orNone(p.TopicSource(test.topic)); got != test.source {
			t.Errorf("source of %q is %q, want %q", test.topic, got, test.source)
		}
		if got := orNone(p.UpstreamTopic(test.topic)); got != test.upstream {
			t.Errorf("upstream of %q is %q, want %q", test.topic, got, test.upstream)
		}
		if got := p.OriginalTopic(test.topic); got != test.original {
			t.Errorf("original of %q is %q, want %q", test.topic, got, test.original)
		}
	}
	unconfigured := newTestPolicy(t, "IdentityReplicationPolicy")
	if got := orNone(unconfigured.TopicSource("t")); got != none {
		t.Errorf("source without a configured alias is %q, want none", got)
	}
}

func TestInternalTopicNamesFollowTheSeparatorUnlessSwitchedOff(t *testing.T) {
	const on, off = "true", "false"
	tests := []struct {
		props                                 []string
		separator, remote, syncs, checkpoints string
	}{
		{nil, ".", "A.t", "mm2-offset-syncs.A.internal", "A.checkpoints.internal"},
		{[]string{PolicySeparatorKey, "_"}, "_", "A_t", "mm2-offset-syncs_A_internal", "A_checkpoints_internal"},
		{[]string{PolicySeparatorKey, "_", InternalSeparatorEnabledKey, on}, "_", "A_t", "mm2-offset-syncs_A_internal", "A_checkpoints_internal"},
		{[]string{PolicySeparatorKey, "_", InternalSeparatorEnabledKey, "TRUE"}, "_", "A_t", "mm2-offset-syncs_A_internal", "A_checkpoints_internal"},
		{[]string{PolicySeparatorKey, "_", InternalSeparatorEnabledKey, off}, "_", "A_t", "mm2-offset-syncs.A.internal", "A.checkpoints.internal"},
		{[]string{PolicySeparatorKey, "_", InternalSeparatorEnabledKey, "yes"}, "_", "A_t", "mm2-offset-syncs.A.internal", "A.checkpoints.internal"},
		// The switch does nothing on its own.
		{[]string{InternalSeparatorEnabledKey, off}, ".", "A.t", "mm2-offset-syncs.A.internal", "A.checkpoints.internal"},
		{[]string{PolicySeparatorKey, ""}, "", "At", "mm2-offset-syncsAinternal", "Acheckpointsinternal"},
	}
	for _, class := range []string{DefaultPolicyClass, IdentityPolicyClass} {
		for _, test := range tests {
			p := newTestPolicy(t, class, test.props...)
			if got := p.Separator(); got != test.separator {
				t.Errorf("%v: separator %q, want %q", test.props, got, test.separator)
			}
			if got := p.FormatRemoteTopic("A", "t"); class == DefaultPolicyClass && got != test.remote {
				t.Errorf("%v: remote topic %q, want %q", test.props, got, test.remote)
			}
			if got := p.OffsetSyncsTopic("A"); got != test.syncs {
				t.Errorf("%v: offset-syncs topic %q, want %q", test.props, got, test.syncs)
			}
			if got := p.CheckpointsTopic("A"); got != test.checkpoints {
				t.Errorf("%v: checkpoints topic %q, want %q", test.props, got, test.checkpoints)
			}
			if got := p.HeartbeatsTopic(); got != "heartbeats" {
				t.Errorf("%v: heartbeats topic %q", test.props, got)
			}
			for _, topic := range []string{test.syncs, test.checkpoints} {
				if !p.IsInternalTopic(topic) || !p.IsMM2InternalTopic(topic) {
					t.Errorf("%v: %q is not seen as internal", test.props, topic)
				}
			}
			if p.IsCheckpointsTopic(test.syncs) || !p.IsCheckpointsTopic(test.checkpoints) {
				t.Errorf("%v: checkpoints topic not told from offset syncs", test.props)
			}
		}
	}
}

func TestInternalTopicsAreRecognised(t *testing.T) {
	tests := []struct {
		topic                        string
		internal, mm2, checkpointing bool
	}{
		{"t", false, false, false},
		{"__consumer_offsets", true, false, false},
		{".hidden", true, false, false},
		{"mm2-configs.A.internal", true, true, false},
		{"mm2-offset-syncs.A.internal", true, true, false},
		{"mm2anything.internal", true, true, false},
		{"mm2-offset-syncs_A_internal", false, false, false},
		{"mm1-configs.A.internal", false, false, false},
		{"A.checkpoints.internal", true, true, true},
		{"A.checkpoints_internal", false, false, false},
		{"checkpoints.internal", false, false, false},
		{"t-internal", false, false, false},
		{"t.internal", false, false, false},
		{"heartbeats", false, false, false},
	}
	p := newTestPolicy(t, "")
	for _, test := range tests {
		if got := p.IsInternalTopic(test.topic); got != test.internal {
			t.Errorf("IsInternalTopic(%q) = %v", test.topic, got)
		}
		if got := p.IsMM2InternalTopic(test.topic); got != test.mm2 {
			t.Errorf("IsMM2InternalTopic(%q) = %v", test.topic, got)
		}
		if got := p.IsCheckpointsTopic(test.topic); got != test.checkpointing {
			t.Errorf("IsCheckpointsTopic(%q) = %v", test.topic, got)
		}
	}
	// Worker topics always use dots, so a policy with another separator misses them.
	if newTestPolicy(t, "", PolicySeparatorKey, "_").IsInternalTopic("mm2-configs.A.internal") {
		t.Error("worker topic is internal under separator _")
	}
}

func TestHeartbeatsTopicsAreRecognisedAcrossHops(t *testing.T) {
	for _, class := range []string{DefaultPolicyClass, IdentityPolicyClass} {
		p := newTestPolicy(t, class, SourceClusterAliasKey, "A")
		for topic, want := range map[string]bool{
			"heartbeats": true, "A.heartbeats": true, "A.B.heartbeats": true, "A_heartbeats": false,
			"myheartbeats": false, "heartbeats.t": false, "t": false,
		} {
			if got := p.IsHeartbeatsTopic(topic); got != want {
				t.Errorf("%s: IsHeartbeatsTopic(%q) = %v", class, topic, got)
			}
		}
	}
	if !newTestPolicy(t, "", PolicySeparatorKey, "_").IsHeartbeatsTopic("A_heartbeats") {
		t.Error("A_heartbeats is not recognised with separator _")
	}
}

func TestDefaultPolicyReadsBackWhatItFormats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		separator := rapid.StringMatching(`[._]{1,2}`).Draw(t, "separator")
		source := rapid.StringMatching(`[a-zA-Z0-9-]{1,8}`).Draw(t, "source")
		topic := rapid.StringMatching(`[a-z][a-zA-Z0-9._-]{0,12}`).Draw(t, "topic")
		p, err := NewPolicy("", map[string]string{PolicySeparatorKey: separator})
		if err != nil {
			t.Fatal(err)
		}
		remote := p.FormatRemoteTopic(source, topic)
		if got, ok := p.TopicSource(remote); !ok || got != source {
			t.Fatalf("source of %q is %q, %v; want %q", remote, got, ok, source)
		}
		if got, ok := p.UpstreamTopic(remote); !ok || got != topic {
			t.Fatalf("upstream of %q is %q, %v; want %q", remote, got, ok, topic)
		}
		if got, want := p.OriginalTopic(remote), p.OriginalTopic(topic); got != want {
			t.Fatalf("original of %q is %q, want %q", remote, got, want)
		}
	})
}
