package distributed

import (
	"sync"

	"tributary/connect"
	"tributary/storage"
)

// lastReports are the last statuses of this worker's instances. The zero value knows none.
type lastReports struct {
	mu   sync.Mutex // held while one is put, so that the last one is the last in the topic, too
	last map[connect.TaskID]storage.Status
}

// report writes a status.
func (h *Herder) report(id connect.TaskID, state storage.State, trace, version string) {
	status := storage.Status{State: state, Trace: trace, WorkerID: h.opts.WorkerID, Version: version}
	h.reports.mu.Lock()
	defer h.reports.mu.Unlock()
	if state == storage.StateUnassigned {
		delete(h.reports.last, id)
	} else {
		if h.reports.last == nil {
			h.reports.last = map[connect.TaskID]storage.Status{}
		}
		h.reports.last[id] = status
	}
	h.putOwnStatus(id, status)
}

// repeatReports writes the last status of each instance once more, unless it is what the topic says. One that could not
// be written is given up with its generation, for the work may have moved on; the work that has not would be shown in a
// former state for good.
func (h *Herder) repeatReports() {
	h.reports.mu.Lock()
	defer h.reports.mu.Unlock()
	for id, last := range h.reports.last {
		switch inst := h.instances[id]; {
		case inst == nil:
			// Nothing has been started since it was to be started anew.
			delete(h.reports.last, id)
		case !inst.stopping && h.shown(id) != last:
			h.putOwnStatus(id, last)
		}
	}
}

// shown is what the status topic says of an instance, whatever its generation.
func (h *Herder) shown(id connect.TaskID) storage.Status {
	var status storage.Status
	if id.Task == connectorInstance {
		status, _ = h.opts.Statuses.Connector(id.Connector)
	} else {
		status, _ = h.opts.Statuses.Task(id)
	}
	status.Generation = 0
	return status
}

// forgetReport is for an instance that is gone.
func (h *Herder) forgetReport(id connect.TaskID) {
	h.reports.mu.Lock()
	defer h.reports.mu.Unlock()
	delete(h.reports.last, id)
}

// putOwnStatus writes a status of this worker's present generation. States that a worker may report of work that has
// moved on meanwhile never replace what its new owner has written.
func (h *Herder) putOwnStatus(id connect.TaskID, status storage.Status) {
	status.Generation = h.view.Load().round.Generation
	safe := status.State == storage.StateFailed || status.State == storage.StateUnassigned
	switch {
	case id.Task == connectorInstance && safe:
		h.opts.Statuses.PutConnectorSafe(id.Connector, status)
	case id.Task == connectorInstance:
		h.opts.Statuses.PutConnector(id.Connector, status)
	case safe:
		h.opts.Statuses.PutTaskSafe(id, status)
	default:
		h.opts.Statuses.PutTask(id, status)
	}
}
