package mirror

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/connectors/mirror/replica"
	"tributary/internal/kafka"
)

func TestACLsAreCarriedOverWithoutTheRightToWrite(t *testing.T) {
	s, err := readSettings(sourceDef, "c", plus("topics=t.*"))
	if err != nil {
		t.Fatal(err)
	}
	filter, err := replica.NewTopicFilter("", s.props)
	if err != nil {
		t.Fatal(err)
	}
	c := &SourceConnector{settings: s, topics: filter}
	c.view = newTopicView(c)
	acl := func(name string, pattern kafka.ACLPatternType, op kafka.ACLOperation, permission kafka.ACLPermission) kafka.ACL {
		return kafka.ACL{ResourceType: kafka.ACLResourceTopic, ResourceName: name, PatternType: pattern, Principal: "User:u", Host: "*", Operation: op, Permission: permission}
	}
	const literal, prefixed = kafka.ACLPatternLiteral, kafka.ACLPatternPrefixed
	const allow, deny = kafka.ACLPermissionAllow, kafka.ACLPermissionDeny
	for _, test := range []struct {
		name string
		acl  kafka.ACL
		want kafka.ACL // the zero ACL is not carried over
	}{
		{"read", acl("t", literal, kafka.ACLOperationRead, allow), acl("A.t", literal, kafka.ACLOperationRead, allow)},
		{"write", acl("t", literal, kafka.ACLOperationWrite, allow), kafka.ACL{}},
		{"write denied", acl("t", literal, kafka.ACLOperationWrite, deny), acl("A.t", literal, kafka.ACLOperationWrite, deny)},
		{"all becomes read", acl("t", literal, kafka.ACLOperationAll, allow), acl("A.t", literal, kafka.ACLOperationRead, allow)},
		{"all denied", acl("t", literal, kafka.ACLOperationAll, deny), acl("A.t", literal, kafka.ACLOperationAll, deny)},
		{"prefixed", acl("t", prefixed, kafka.ACLOperationRead, allow), kafka.ACL{}},
		{"every topic", acl("*", literal, kafka.ACLOperationRead, allow), kafka.ACL{}},
		{"a topic not mirrored", acl("x", literal, kafka.ACLOperationRead, allow), kafka.ACL{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _ := c.remoteACL(test.acl)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
