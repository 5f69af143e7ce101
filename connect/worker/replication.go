package worker

import (
	"sync/atomic"

	"tributary/connect"
	"tributary/connect/provider"
)

// InstanceReplication is what one instance that runs here says of its replication.
type InstanceReplication struct {
	// Task is the instance's number, -1 for the connector itself.
	Task   int
	Report connect.Replication
}

// Replication returns what the instances of a connector that run here say of their
// replication, the connector first, then its tasks by number. Instances that do not
// replicate are left out.
func (w *Worker) Replication(connector string) []InstanceReplication {
	w.mu.Lock()
	c := w.connectors[connector]
	tasks := map[int]*taskRun{}
	last := -1
	for id, t := range w.tasks {
		if id.Connector == connector {
			tasks[id.Task] = t
			last = max(last, id.Task)
		}
	}
	w.mu.Unlock()
	var out []InstanceReplication
	if c != nil {
		out = c.replicates.report(out, -1)
	}
	for n := range last + 1 {
		if t := tasks[n]; t != nil {
			out = t.replicates.report(out, n)
		}
	}
	return out
}

// replicates is the plugin of one instance as far as it reports its replication. The
// instance's goroutine sets it, others ask.
type replicates struct {
	plugin      atomic.Pointer[connect.ReplicationReporter]
	concealment *provider.Concealment
}

func (r *replicates) set(instance any) {
	if reporter, ok := instance.(connect.ReplicationReporter); ok {
		r.plugin.Store(&reporter)
	}
}

// report appends what the plugin says. One that panics has that as its trouble.
func (r *replicates) report(to []InstanceReplication, task int) []InstanceReplication {
	reporter := r.plugin.Load()
	if reporter == nil {
		return to
	}
	var report connect.Replication
	err := guard(func() error {
		report = (*reporter).Replication()
		return nil
	})
	if err != nil {
		report = connect.Replication{Troubles: []string{"The report of its replication failed: " + err.Error()}}
	}
	r.conceal(&report)
	return append(to, InstanceReplication{Task: task, Report: report})
}

// conceal goes over the sentences of a report.
func (r *replicates) conceal(report *connect.Replication) {
	for i := range report.UnmovableGroups {
		report.UnmovableGroups[i].Reason = r.concealment.Text(report.UnmovableGroups[i].Reason)
	}
	for i := range report.Troubles {
		report.Troubles[i] = r.concealment.Text(report.Troubles[i])
	}
	for i := range report.Partitions {
		p := &report.Partitions[i]
		p.LaneReason, p.LastError = r.concealment.Text(p.LaneReason), r.concealment.Text(p.LastError)
	}
}
