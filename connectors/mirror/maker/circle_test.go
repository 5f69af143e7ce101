package maker

import (
	"strings"
	"testing"
)

func TestFlowsThatKeepNamesAndGoInACircleAreTold(t *testing.T) {
	const (
		clusters = "clusters=a,b,c\nbootstrap.servers=x:1\n"
		identity = "replication.policy.class=org.apache.kafka.connect.mirror.IdentityReplicationPolicy\n"
		two      = "a->b.enabled=true\nb->a.enabled=true\n"
		ring     = "a->b.enabled=true\nb->c.enabled=true\nc->a.enabled=true\n"
	)
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"two ways":                        {clusters + identity + two, []string{"a->b->a"}},
		"a ring":                          {clusters + identity + ring, []string{"a->b->c->a"}},
		"a ring and a way back":           {clusters + identity + ring + "c->b.enabled=true\n", []string{"a->b->c->a", "b->c->b"}},
		"names that tell":                 {clusters + two, nil},
		"one flow renames":                {clusters + identity + two + "b->a.replication.policy.class=DefaultReplicationPolicy\n", nil},
		"topics of their own":             {clusters + identity + two + "a->b.topics=x\nb->a.topics=y\n", nil},
		"the same topics by another rule": {clusters + identity + two + "b->a.topics.exclude=x\n", nil},
		"hub and spokes":                  {clusters + identity + "a->b.enabled=true\nc->b.enabled=true\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := parse(t, test.file)
			m := &mirrorMaker{config: c}
			got := c.Circles(m.known())
			if len(got) != len(test.want) {
				t.Fatalf("%q, want %q", got, test.want)
			}
			for i, want := range test.want {
				if !strings.HasPrefix(got[i], "The flows "+want+" go in a circle") {
					t.Errorf("%q, want one of %s", got[i], want)
				}
			}
		})
	}
}
