package mirror

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/kafka"
)

func TestMissingPermissionsAreThoseThatTheSettingsNeed(t *testing.T) {
	may := func(permissions ...kafka.Permission) (all kafka.Permissions) {
		for _, p := range permissions {
			all |= 1 << p
		}
		return all
	}
	const create, read, write = kafka.MayCreate, kafka.MayRead, kafka.MayWrite
	syncs := wanted{"for offset syncs", []kafka.Permission{read, write}}
	props := map[string]string{
		"name": "m", "source.cluster.alias": "A", "target.cluster.alias": "B", "source.cluster.bootstrap.servers": "a:1", "target.cluster.bootstrap.servers": "b:1",
	}
	for _, test := range []struct {
		name           string
		more           map[string]string
		source, target kafka.Permissions
		topics, copies map[string]kafka.Permissions
		want           []string
		unseen         map[string]map[string]wanted
	}{
		{"all there", nil, may(create, kafka.MayDescribe), may(create, kafka.MayAlter), map[string]kafka.Permissions{"t": may(read, kafka.MayDescribeConfigs)}, nil, nil, map[string]map[string]wanted{
			"A": {"mm2-offset-syncs.B.internal": syncs}, "B": {"A.t": {"for the copy of t", []kafka.Permission{write}}, "A.checkpoints.internal": {"for checkpoints", []kafka.Permission{read, write}}},
		}},
		{"none", nil, 0, 0, map[string]kafka.Permissions{"t": 0}, map[string]kafka.Permissions{"A.checkpoints.internal": may(read)}, []string{
			"cluster A: DESCRIBE on the cluster, to read ACLs (sync.topic.acls.enabled)",
			"cluster A: DESCRIBE_CONFIGS on topic t, to copy its configuration (sync.topic.configs.enabled)",
			"cluster A: READ on topic t, to mirror it",
			"cluster B: ALTER on the cluster, to copy ACLs (sync.topic.acls.enabled)",
			"cluster B: WRITE on topic A.checkpoints.internal, for checkpoints",
		}, map[string]map[string]wanted{"A": {"mm2-offset-syncs.B.internal": syncs}, "B": {"A.t": {"for the copy of t", []kafka.Permission{write}}}}},
		{"less is asked for", map[string]string{"sync.topic.acls.enabled": "false", "sync.topic.configs.enabled": "false", "offset-syncs.topic.location": "target"},
			0, 0, map[string]kafka.Permissions{"t": may(read)}, map[string]kafka.Permissions{"A.t": may(write), "A.checkpoints.internal": may(read, write), "mm2-offset-syncs.A.internal": may(write)}, []string{
				"cluster B: ALTER on topic A.t, to add partitions as the source does",
				"cluster B: READ on topic mm2-offset-syncs.A.internal, for offset syncs",
			}, map[string]map[string]wanted{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := maps.Clone(props)
			maps.Copy(all, test.more)
			s, err := readSettings(sourceDef, "MirrorSourceConnector", all)
			if err != nil {
				t.Fatal(err)
			}
			n := newNeeds()
			n.ofSource(s, test.source, test.topics, []string{"t"})
			n.ofTarget(s, test.target, test.copies, []string{"t"}, Plan{Checkpoint: map[string]string{}})
			if diff := cmp.Diff(test.unseen, n.unseen, cmp.AllowUnexported(wanted{})); diff != "" {
				t.Errorf("topics that are not shown: %s", diff)
			}
			if diff := cmp.Diff(test.want, slices.Sorted(maps.Keys(n.missing))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
