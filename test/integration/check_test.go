package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"tributary/connect/cli"
	"tributary/test/cluster"
)

func TestCheckTellsWhatAFileWouldDoAndChangesNothing(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 2, "bills": 1, "private": 1})
	source.Produce("orders", cluster.Numbered(0, 10, 2)...)
	source.CommitOffset("readers", "orders", 0, 3)
	source.CommitOffset("console-consumer-1", "orders", 0, 3)
	before := [2][]string{source.Topics(), target.Topics()}
	w := cluster.StartArgs(t, cluster.MirrorMaker, cluster.File(t, twoLines(source, target)+
		"source->target.topics=orders,bills\ntasks.max=3\nsource->target.topcis=x\ntarget.sasl.jaas.config=o.S required password=\"hush\";\nsource.consumer.max.poll.records=7\n"+
		"source->target.refresh.topics.interval.seconds=9\n"), "--check")

	requireEqual(t, "exit code", cli.ExitOK, w.ExitCode())
	report := strings.Join(w.Log.Lines(""), "\n") + "\n"
	requireText(t, report,
		"Keys that nothing reads: 1\n  source->target.topcis is not read by anything",
		"Flow source->target: mirrors cluster source into cluster target\n",
		"  Topics to mirror: 2\n    bills\n    orders\n",
		"  Consumer groups to translate: 1\n    readers\n",
		"  Missing permissions: 0\n",
		"    tasks.max = 3 (tasks.max)\n",
		"    topics = orders,bills (source->target.topics)\n",
		"    refresh.topics.interval.seconds = 9 (source->target.refresh.topics.interval.seconds)\n",
		"    offset.lag.max = 100 (default)\n",
		"    source.consumer.max.poll.records = 7 (source.consumer.max.poll.records)\n",
		"    source.admin.bootstrap.servers = "+source.Bootstrap()+" (source.bootstrap.servers)\n",
		"    target.cluster.sasl.jaas.config = [hidden] (target.sasl.jaas.config)\n",
		"    worker: group.id = source-mm2 (the flow)\n",
		"Flow target->source: only heartbeats are written into cluster source\n",
	)
	if strings.Contains(report, "hush") {
		t.Error("the report shows a password")
	}
	requireEqual(t, "topics of both clusters", before, [2][]string{source.Topics(), target.Topics()})
}

func TestCheckFailsForWhatCouldNotRun(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 1})
	for name, test := range map[string]struct {
		file string
		code int
		want []string
	}{
		"a mistake": {twoLines(source, target) + "source->target.tasks.max=many\n", cli.ExitConfig, []string{"flow source->target: ", "tasks.max", "many"}},
		"a cluster that is not there": {"source.bootstrap.servers=" + source.Bootstrap() + "\ntarget.bootstrap.servers=127.0.0.1:1\n", cli.ExitFailed,
			[]string{"flow source->target: cluster target at 127.0.0.1:1 does not answer"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := cluster.StartArgs(t, cluster.MirrorMaker, cluster.File(t, test.file), "--check")
			requireEqual(t, "exit code", test.code, w.ExitCode())
			requireText(t, strings.Join(w.Log.Lines("ERROR"), "\n"), test.want...)
			if slices.Contains(source.Topics(), "heartbeats") {
				t.Error("a topic was made")
			}
		})
	}
}

func TestCheckNamesWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	orders := map[string]int32{"orders": 1}
	run := func(source, target *cluster.Kafka) (code int, missing []string) {
		t.Helper()
		source.CommitOffset("readers", "orders", 0, 0)
		before := [2][]string{source.Topics(), target.Topics()}
		w := cluster.StartArgs(t, cluster.MirrorMaker, cluster.File(t, twoLines(source, target)+asMirror("source")+asMirror("target")+
			"source->target.topics=orders\nsource->target.groups=readers\nsource->target.sync.group.offsets.enabled=true\ntarget->source.emit.heartbeats.enabled=false\n"), "--check")
		code = w.ExitCode()
		requireEqual(t, "topics of both clusters", before, [2][]string{source.Topics(), target.Topics()})
		for _, line := range w.Log.Lines("    cluster ") {
			missing = append(missing, strings.TrimSpace(line))
		}
		return code, missing
	}

	code, missing := run(restricted(t, orders), restricted(t, nil))
	requireEqual(t, "exit code", cli.ExitFailed, code)
	requireEqual(t, "what is missing", []string{
		"cluster source: CREATE on topic mm2-offset-syncs.target.internal, which cannot be seen, for offset syncs",
		"cluster source: DESCRIBE on group readers, to translate its positions",
		"cluster source: DESCRIBE on the cluster, to read ACLs (sync.topic.acls.enabled)",
		"cluster source: READ on topic orders, to mirror it",
		"cluster target: ALTER on the cluster, to copy ACLs (sync.topic.acls.enabled)",
		"cluster target: CREATE on topic heartbeats, which cannot be seen, for heartbeats (emit.heartbeats.enabled)",
		"cluster target: CREATE on topic mm2-configs.source.internal, which cannot be seen, for the state of the workers",
		"cluster target: CREATE on topic mm2-offsets.source.internal, which cannot be seen, for the state of the workers",
		"cluster target: CREATE on topic mm2-status.source.internal, which cannot be seen, for the state of the workers",
		"cluster target: CREATE on topic source.checkpoints.internal, which cannot be seen, for checkpoints",
		"cluster target: READ on group readers, to commit translated positions (sync.group.offsets.enabled)",
		"cluster target: READ on group source-mm2, to join the group of workers",
	}, missing)

	// All of it, the creation of topics by their prefixes.
	onCluster := func(operation kadm.ACLOperation) *kadm.ACLBuilder {
		return kadm.NewACLs().Clusters().Operations(operation)
	}
	code, missing = run(restricted(t, orders, mayUse("orders", "readers", "mm2-"), onCluster(kadm.OpDescribe)),
		restricted(t, nil, mayUse("mm2-", "source-mm2", "source.", "readers", "heartbeats"), onCluster(kadm.OpAlter)))
	requireEqual(t, "exit code", cli.ExitOK, code)
	requireEqual(t, "what is missing", []string(nil), missing)

	// A group on each side, and a topic that is there and cannot be seen.
	target := restricted(t, map[string]int32{"heartbeats": 1}, mayUse("mm2-", "source-mm2", "source."), kadm.NewACLs().Topics("heartbeats").Operations(kadm.OpCreate), onCluster(kadm.OpAlter))
	code, missing = run(restricted(t, orders, mayUse("orders", "mm2-"), onCluster(kadm.OpDescribe)), target)
	requireEqual(t, "exit code", cli.ExitFailed, code)
	requireEqual(t, "what is missing", []string{
		"cluster source: DESCRIBE on group readers, to translate its positions",
		"cluster target: READ on group readers, to commit translated positions (sync.group.offsets.enabled)",
		"cluster target: WRITE on topic heartbeats, for heartbeats (emit.heartbeats.enabled)",
	}, missing)
}
