package integration

import (
	"slices"
	"strings"
	"testing"

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
