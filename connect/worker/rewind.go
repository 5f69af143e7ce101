package worker

import "tributary/connect"

// judged lets the task decide about e, which is submitted and cannot be written. It
// reports whether that settles it.
func (d *delivery) judged(e *entry, err error) bool {
	record := e.record
	if d.judge == nil || record.SourcePartition == nil {
		return false
	}
	action := connect.FailTask
	if guard(func() error { action = d.judge.RecordFailed(record, err); return nil }) != nil {
		return false
	}
	switch action {
	case connect.SkipRecord:
		d.metrics.failures.Add(1)
		d.metrics.skipped.Add(1)
		d.acknowledge(e, nil)
	case connect.RewindPartition:
		d.metrics.failures.Add(1)
		d.rewind(e)
		d.judge.PartitionRewound(record)
	default:
		return false
	}
	return true
}

// rewind forgets e, which is resolved, and what was submitted behind it for its source
// partition.
func (d *delivery) rewind(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := e.record.SourcePartition
	d.rewound[p.Key()] = p
	letGo(e.record)
	d.tracker.rewind(e)
	d.resolveLocked()
}

// isRewoundLocked reports whether the record came from Poll before its partition was
// rewound.
func (d *delivery) isRewoundLocked(record *connect.SourceRecord) bool {
	p := record.SourcePartition
	return len(d.rewound) > 0 && p != nil && d.rewound[p.Key()] == p
}

// isDropped reports whether the partition of e was rewound since e was submitted.
func (d *delivery) isDropped(e *entry) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return e.dropped
}

// forget resolves an entry that was dropped.
func (d *delivery) forget(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.discardLocked(e)
	d.resolveLocked()
}

// discardLocked gives back an entry in no queue whose record will not be sent, and the
// bytes of that.
func (d *delivery) discardLocked(e *entry) {
	letGo(e.record)
	d.tracker.release(e)
}
