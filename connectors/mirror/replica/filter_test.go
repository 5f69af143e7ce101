package replica

import (
	"strings"
	"testing"
)

func TestTopicFilterTakesIncludedNamesThatAreNotExcluded(t *testing.T) {
	tests := []struct {
		name    string
		props   map[string]string
		takes   []string
		refuses []string
	}{
		{"defaults", nil,
			[]string{"t", "heartbeats", "A.t", "mm2-configs.A_internal", "_t"},
			[]string{"mm2-configs.A.internal", "t.replica", "__consumer_offsets"}},
		{"list with blanks", map[string]string{TopicsKey: " a , b.* ,c"},
			[]string{"a", "bee", "c"}, []string{"ab", "xa", "cc"}},
		{"full match", map[string]string{TopicsKey: "test-topic-.*, primary.test-topic-.*"},
			[]string{"test-topic-1", "primary.test-topic-1"}, []string{"my-test-topic-1", "backup.test-topic-1"}},
		{"exclude wins", map[string]string{TopicsKey: ".*", TopicsExcludeKey: "secret.*"},
			[]string{"t", "__consumer_offsets"}, []string{"secret", "secrets"}},
		{"empty include takes nothing", map[string]string{TopicsKey: "  "}, nil, []string{"t", ""}},
		{"empty exclude refuses nothing", map[string]string{TopicsExcludeKey: ""}, []string{"__x", "mm2.internal"}, nil},
	}
	for _, test := range tests {
		for _, class := range []string{"", "DefaultTopicFilter", TopicFilterClass} {
			f, err := NewTopicFilter(class, test.props)
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
				continue
			}
			for _, topic := range test.takes {
				if !f.ShouldReplicateTopic(topic) {
					t.Errorf("%s: %q is refused", test.name, topic)
				}
			}
			for _, topic := range test.refuses {
				if f.ShouldReplicateTopic(topic) {
					t.Errorf("%s: %q is taken", test.name, topic)
				}
			}
		}
	}
}

func TestGroupFilterTakesIncludedGroupsThatAreNotExcluded(t *testing.T) {
	f, err := NewGroupFilter("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string]bool{
		"g": true, "my-console-consumer-1": true, "console-consumer-1": false, "connect-sink": false, "__x": false,
	} {
		if got := f.ShouldReplicateGroup(group); got != want {
			t.Errorf("ShouldReplicateGroup(%q) = %v", group, got)
		}
	}
	f, err = NewGroupFilter("DefaultGroupFilter", map[string]string{GroupsKey: "g1,g2", GroupsExcludeKey: "g2"})
	if err != nil {
		t.Fatal(err)
	}
	if !f.ShouldReplicateGroup("g1") || f.ShouldReplicateGroup("g2") || f.ShouldReplicateGroup("g3") {
		t.Error("only g1 should be taken")
	}
}

func TestConfigPropertyFilterLeavesExcludedPropertiesAlone(t *testing.T) {
	byDefault, err := NewConfigPropertyFilter("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"retention.ms": true, "min.insync.replicas": false, "unclean.leader.election.enable": false,
		"message.timestamp.type": false, "message.timestamp.before.max.ms": false,
	} {
		if got := byDefault.ShouldReplicateConfigProperty(name); got != want {
			t.Errorf("ShouldReplicateConfigProperty(%q) = %v", name, got)
		}
	}
	if byDefault.ShouldReplicateSourceDefault("retention.ms") {
		t.Error("source defaults are copied though use.defaults.from is target")
	}

	own, err := NewConfigPropertyFilter(ConfigPropertyFilterClass, map[string]string{
		ConfigPropertiesExcludeKey: `delete\.retention\..*`, UseDefaultsFromKey: "source",
	})
	if err != nil {
		t.Fatal(err)
	}
	if own.ShouldReplicateConfigProperty("delete.retention.ms") || !own.ShouldReplicateConfigProperty("min.insync.replicas") {
		t.Error("config.properties.exclude does not replace the default list")
	}
	if !own.ShouldReplicateSourceDefault("retention.ms") {
		t.Error("source defaults are not copied though use.defaults.from is source")
	}
}

func TestFilterErrorsNameKeyAndValue(t *testing.T) {
	topics := func(class string, props map[string]string) error { _, err := NewTopicFilter(class, props); return err }
	groups := func(class string, props map[string]string) error { _, err := NewGroupFilter(class, props); return err }
	configs := func(class string, props map[string]string) error {
		_, err := NewConfigPropertyFilter(class, props)
		return err
	}
	tests := []struct {
		make  func(string, map[string]string) error
		class string
		key   string
		value string
	}{
		{topics, "com.acme.Filter", TopicFilterClassKey, "com.acme.Filter"},
		{groups, "com.acme.Filter", GroupFilterClassKey, "com.acme.Filter"},
		{configs, "com.acme.Filter", ConfigPropertyFilterClassKey, "com.acme.Filter"},
		{topics, GroupFilterClass, TopicFilterClassKey, GroupFilterClass},
		{topics, "", TopicsKey, "a(b"},
		{topics, "", TopicsExcludeKey, "a,,b"},
		{groups, "", GroupsKey, "a, b, a"},
		{groups, "", GroupsExcludeKey, ","},
		{configs, "", ConfigPropertiesExcludeKey, "x, *"},
	}
	for _, test := range tests {
		props := map[string]string{}
		if test.class == "" {
			props[test.key] = test.value
		}
		err := test.make(test.class, props)
		if err == nil {
			t.Errorf("%s=%s is accepted", test.key, test.value)
			continue
		}
		if !strings.Contains(err.Error(), test.key) || !strings.Contains(err.Error(), test.value) {
			t.Errorf("error %q does not name key %s and value %s", err, test.key, test.value)
		}
	}
}
