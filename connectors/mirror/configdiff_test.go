package mirror

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/connectors/mirror/replica"
)

// a source topic with one property of each kind.
var sourceProperties = []property{
	{name: "cleanup.policy", value: "compact", origin: ofTopic},
	{name: "retention.ms", value: "7", origin: ofCluster},
	{name: "segment.bytes", value: "9", origin: ofBrokerFile},
	{name: "flush.ms", value: "11", origin: builtIn},
	{name: "min.insync.replicas", value: "2", origin: ofTopic},
	{name: "secret", origin: ofTopic, fixed: true},
}

func configFilter(t *testing.T, props map[string]string) replica.ConfigPropertyFilter {
	t.Helper()
	f, err := replica.NewConfigPropertyFilter("", props)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNewTopicsGetWhatIsSetOnTheSourceAndDefaultsOnlyIfAsked(t *testing.T) {
	want := map[string]string{"cleanup.policy": "compact", "retention.ms": "7"}
	if diff := cmp.Diff(want, creationProperties(configFilter(t, nil), sourceProperties)); diff != "" {
		t.Error(diff)
	}
	want["flush.ms"] = "11"
	if diff := cmp.Diff(want, creationProperties(configFilter(t, map[string]string{"use.defaults.from": "source"}), sourceProperties)); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyDifferencesAreSent(t *testing.T) {
	for _, test := range []struct {
		name   string
		props  map[string]string
		target []property
		want   []propertyChange
	}{
		{"nothing set yet", nil, []property{{name: "cleanup.policy", value: "delete", origin: builtIn}},
			[]propertyChange{{name: "cleanup.policy", value: "compact"}, {name: "retention.ms", value: "7"}}},
		{"in step", nil, []property{{name: "cleanup.policy", value: "compact", origin: ofTopic}, {name: "retention.ms", value: "7", origin: ofTopic}}, nil},
		{"the same value by default is not the same", nil, []property{{name: "cleanup.policy", value: "compact", origin: builtIn}, {name: "retention.ms", value: "7", origin: ofTopic}},
			[]propertyChange{{name: "cleanup.policy", value: "compact"}}},
		{"an override where the source has its default goes", nil,
			[]property{{name: "cleanup.policy", value: "compact", origin: ofTopic}, {name: "retention.ms", value: "7", origin: ofTopic}, {name: "flush.ms", value: "5", origin: ofTopic}, {name: "min.insync.replicas", value: "1", origin: ofTopic}},
			[]propertyChange{{name: "flush.ms", remove: true}}},
		{"or gets the source's default", map[string]string{"use.defaults.from": "source"},
			[]property{{name: "cleanup.policy", value: "compact", origin: ofTopic}, {name: "retention.ms", value: "7", origin: ofTopic}, {name: "flush.ms", value: "5", origin: ofTopic}},
			[]propertyChange{{name: "flush.ms", value: "11"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := propertyChanges(configFilter(t, test.props), sourceProperties, test.target)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(propertyChange{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
