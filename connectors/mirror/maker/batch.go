package maker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tributary/api"
	"tributary/connect/herder"
	"tributary/storage"
)

const (
	// batchPoll is the time between two looks at whether batches are done.
	batchPoll = time.Second
	// batchFarewell is how long a node stays once all is done, for the others to hear it.
	batchFarewell = 3 * time.Second
)

// allBatches reports whether every flow that mirrors is a batch that is not repeated.
func (m *mirrorMaker) allBatches() bool {
	flows := 0
	for _, f := range m.flows {
		if !m.config.Enabled(f) {
			continue
		}
		flows++
		props := m.config.ConnectorProps(f, sourceConnector, m.known().Connector)
		_, repeated := props["batch.interval.seconds"]
		if !strings.EqualFold(props["replication.mode"], "batch") || repeated {
			return false
		}
	}
	return flows > 0
}

// beginBatch resumes a flow's source connector that a former batch has left STOPPED: who
// starts a process of batches wants the next ones. It does so once a process.
func (m *mirrorMaker) beginBatch(ctx context.Context, run *flowRun, h herder.Herder) {
	if !m.config.Enabled(run.Flow) || !m.allBatches() || !run.begun.CompareAndSwap(false, true) {
		return
	}
	name := m.sourceName(run.Flow)
	if !awaitStopped(ctx, h, name) {
		return
	}
	run.log.Info("Beginning the next batch", "connector", name)
	if err := h.ResumeConnector(ctx, name); err != nil && ctx.Err() == nil {
		run.log.Error("The next batch cannot be begun", "connector", name, "error", err)
	}
}

// awaitStopped waits until the group has placed the connector and reports whether it is
// STOPPED then.
func awaitStopped(ctx context.Context, h herder.Herder, connector string) bool {
	ticker := time.NewTicker(batchPoll)
	defer ticker.Stop()
	for {
		status, err := h.ConnectorStatus(ctx, connector)
		if err == nil && status.Connector.State != string(storage.StateUnassigned) {
			return status.Connector.State == string(storage.StateStopped)
		}
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
}

func (m *mirrorMaker) sourceName(f Flow) string {
	return m.config.ConnectorProps(f, sourceConnector, m.known().Connector)["name"]
}

// awaitBatches returns when the batches of all flows are done, or ctx ends. What was
// left behind is a failure of its flow.
func (m *mirrorMaker) awaitBatches(ctx context.Context, fail func(Flow, error)) {
	ticker := time.NewTicker(batchPoll)
	defer ticker.Stop()
	ended := map[Flow]api.ReplicationBatch{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		waiting := false
		for _, run := range m.runs {
			if _, done := ended[run.Flow]; done || !m.config.Enabled(run.Flow) {
				continue
			}
			batch, done := m.batchDone(ctx, run)
			if !done {
				waiting = true
				continue
			}
			ended[run.Flow] = batch
			run.log.Info("The batch is done", "copied", batch.Copied, "left", batch.Left, "stopped_partitions", batch.StoppedPartitions)
		}
		if !waiting {
			break
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(batchFarewell):
	}
	for f, batch := range ended {
		if batch.Left > 0 || batch.StoppedPartitions > 0 {
			fail(f, fmt.Errorf("the batch is done, but it left %d records behind; %d partitions were stopped", batch.Left, batch.StoppedPartitions))
		}
	}
}

// batchDone asks a flow's source connector whether it has put itself into STOPPED
// because its batch is done.
func (m *mirrorMaker) batchDone(ctx context.Context, run *flowRun) (batch api.ReplicationBatch, done bool) {
	h := run.herder.Load()
	if h == nil {
		return batch, false
	}
	return stoppedBatch(ctx, *h, m.sourceName(run.Flow))
}

func stoppedBatch(ctx context.Context, h herder.Herder, connector string) (batch api.ReplicationBatch, done bool) {
	status, err := h.ConnectorStatus(ctx, connector)
	if err != nil || status.Connector.State != string(storage.StateStopped) {
		return batch, false
	}
	page, err := h.Replication(ctx, connector)
	if err != nil || page.Batch == nil || !page.Batch.Done {
		return batch, false
	}
	return *page.Batch, true
}
