package worker

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/storage"
)

// reportingSource is a source whose connector and tasks report their replication.
type reportingSource struct {
	*source
	connector, task func() connect.Replication
}

func (s *reportingSource) Replication() connect.Replication { return s.connector() }

func (s *reportingSource) NewTask() connect.SourceTask {
	return &reportingTask{SourceTask: s.source.NewTask(), report: s.task}
}

type reportingTask struct {
	connect.SourceTask
	report func() connect.Replication
}

func (t *reportingTask) Replication() connect.Replication { return t.report() }

func TestReplicationIsWhatTheInstancesHereReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ofConnector := connect.Replication{Mode: "batch", Topics: []string{"a"}}
		b.with(t, plugin.Plugin{Class: "acme.ReportingConnector", Kind: plugin.Source, New: func() any {
			return &reportingSource{source: b.source,
				connector: func() connect.Replication { return ofConnector },
				task:      func() connect.Replication { panic("torn") }}
		}})
		config := b.configWith("connector.class", "Reporting")
		if err := b.StartConnector("c", config, storage.Started); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{3, 1} {
			if err := b.StartTask(connect.TaskID{Connector: "c", Task: n}, config, nil, storage.Started, 2); err != nil {
				t.Fatal(err)
			}
		}
		b.beginTask(t) // c-0 has a plugin that reports nothing
		synctest.Wait()

		torn := connect.Replication{Troubles: []string{"The report of its replication failed: panic: torn"}}
		want := []InstanceReplication{{-1, ofConnector}, {1, torn}, {3, torn}}
		if diff := cmp.Diff(want, b.Replication("c")); diff != "" {
			t.Error(diff)
		}
		if got := b.Replication("other"); len(got) > 0 {
			t.Errorf("another connector reports %v", got)
		}

		// A connector that has put itself into STOPPED still says what it has done.
		ofConnector.Batch = &connect.ReplicationBatch{Done: true, Copied: 7}
		b.StopTasks(t.Context(), b.Tasks()...)
		b.SetTargetState("c", storage.Stopped)
		synctest.Wait()
		if diff := cmp.Diff([]InstanceReplication{{-1, ofConnector}}, b.Replication("c")); diff != "" {
			t.Error(diff)
		}
		b.settle(t)
	})
}
