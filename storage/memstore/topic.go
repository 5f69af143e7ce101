// Package memstore keeps what a worker remembers in memory: for standalone workers,
// whose configurations and statuses survive nowhere, and for tests. Stores over one
// [Topic] see each other's writes as the workers of a group do. The records, and how
// they are read, are the same as in kafkastore.
//
// There are no goroutines: a write applies its records to all stores of the topic
// before it returns.
package memstore

import (
	"slices"
	"sync"

	"tributary/storage"
)

// Topic is a compacted topic of one partition. Safe for concurrent use.
type Topic struct {
	mu      sync.Mutex
	records []stored
	latest  map[string]int64 // key -> offset of its last record
	next    int64
	readers []*reader
	leader  any // the store whose privileged writes count
}

type stored struct {
	storage.Record
	offset int64
}

type reader struct {
	apply func(record storage.Record, offset int64)
}

// NewTopic returns an empty topic.
func NewTopic() *Topic { return &Topic{latest: make(map[string]int64)} }

// Len returns how many records the topic keeps.
func (t *Topic) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.records)
}

// follow applies all there is and, after caughtUp was called, all that comes until the
// returned function is called. apply runs under the topic's lock.
func (t *Topic) follow(apply func(record storage.Record, offset int64), caughtUp func()) (leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, record := range t.records {
		apply(record.Record, record.offset)
	}
	caughtUp()
	r := &reader{apply}
	t.readers = append(t.readers, r)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.readers = slices.DeleteFunc(t.readers, func(other *reader) bool { return other == r })
	}
}

// append writes records as if in one transaction.
func (t *Topic) append(records ...storage.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.appendLocked(records)
}

func (t *Topic) appendLocked(records []storage.Record) {
	from := len(t.records)
	for _, record := range records {
		t.latest[string(record.Key)] = t.next
		t.records = append(t.records, stored{record, t.next})
		t.next++
	}
	for _, record := range t.records[from:] {
		for _, r := range t.readers {
			r.apply(record.Record, record.offset)
		}
	}
	if len(t.records) > 2*len(t.latest)+100 {
		t.compact()
	}
}

// appendAs writes if who claimed the topic last.
func (t *Topic) appendAs(who any, records ...storage.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader != who {
		return storage.ErrNotPrivileged
	}
	t.appendLocked(records)
	return nil
}

func (t *Topic) claim(who any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leader = who
}

// compact keeps the last record of each key, in order, and drops tombstones but for the
// topic's last record: whoever reads from the beginning must get to the same offset.
func (t *Topic) compact() {
	kept := t.records[:0]
	for _, record := range t.records {
		key := string(record.Key)
		switch {
		case t.latest[key] != record.offset:
		case record.Value == nil && record.offset != t.next-1:
			delete(t.latest, key)
		default:
			kept = append(kept, record)
		}
	}
	clear(t.records[len(kept):])
	t.records = kept
}
