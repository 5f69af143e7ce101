package storage

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"tributary/internal/javajson"
)

// OffsetTable is what an offsets topic says as far as its records were applied. The zero
// value is empty. Safe for concurrent use.
//
// Java compares keys by their bytes, so the order of the fields in a partition map makes
// two keys of what is one partition. The table compares the maps; when it knows several
// keys for one map, the one written last counts.
type OffsetTable struct {
	mu         sync.RWMutex
	connectors map[string]map[string]*partitionOffset // by connector, canonical partition
}

// partitionOffset holds the keys that have a value, the one written last at the end.
type partitionOffset struct {
	partition map[string]any // nil for a null partition
	keys      []keyedOffset
}

type keyedOffset struct {
	key   string
	value []byte
}

// Apply applies the next record of the topic. An *IgnoredRecordError explains a record
// that is no source offset.
func (t *OffsetTable) Apply(record Record) error {
	connector, partition, err := parseOffsetKey(record.Key)
	if err != nil {
		return err
	}
	canonical, err := canonicalPartition(partition)
	if err != nil {
		return &IgnoredRecordError{Key: string(record.Key), Reason: err.Error()}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	entry := t.connectors[connector][canonical]
	if entry == nil {
		if record.Value == nil {
			return nil
		}
		entry = &partitionOffset{partition: partition}
		if t.connectors == nil {
			t.connectors = make(map[string]map[string]*partitionOffset)
		}
		if t.connectors[connector] == nil {
			t.connectors[connector] = make(map[string]*partitionOffset)
		}
		t.connectors[connector][canonical] = entry
	}
	key := string(record.Key)
	entry.keys = slices.DeleteFunc(entry.keys, func(k keyedOffset) bool { return k.key == key })
	if record.Value != nil {
		entry.keys = append(entry.keys, keyedOffset{key, slices.Clone(record.Value)})
	}
	if len(entry.keys) == 0 {
		delete(t.connectors[connector], canonical)
		if len(t.connectors[connector]) == 0 {
			delete(t.connectors, connector)
		}
	}
	return nil
}

func parseOffsetKey(key []byte) (connector string, partition map[string]any, err error) {
	ignored := func(reason string) (string, map[string]any, error) {
		return "", nil, &IgnoredRecordError{Key: string(key), Reason: reason}
	}
	v, err := javajson.Parse(key)
	if err != nil {
		return ignored(err.Error())
	}
	list, ok := v.([]any)
	if !ok || len(list) != 2 {
		return ignored("the key must be a JSON array of a connector's name and a partition map")
	}
	connector, ok = list[0].(string)
	if !ok {
		return ignored("the key's first element must be a connector's name but is " + jsonKind(list[0]))
	}
	if list[1] == nil {
		return connector, nil, nil
	}
	partition, ok = list[1].(map[string]any)
	if !ok {
		return ignored("the key's second element must be a partition map but is " + jsonKind(list[1]))
	}
	return connector, partition, nil
}

// canonicalPartition is equal for maps that are equal once written and read.
func canonicalPartition(partition map[string]any) (string, error) {
	if partition == nil {
		return "null", nil
	}
	b := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(partition)) {
		if i > 0 {
			b = append(b, ',')
		}
		v, err := javajson.Normalize(partition[name])
		if err == nil {
			b, err = javajson.AppendScalar(append(javajson.AppendString(b, name), ':'), v)
		}
		if err != nil {
			return "", fmt.Errorf("field %q: %w", name, err)
		}
	}
	return string(append(b, '}')), nil
}

// Offsets returns the offset maps of a connector's partitions, in the order asked; nil
// where there is none.
func (t *OffsetTable) Offsets(connector string, partitions []map[string]any) ([]map[string]any, error) {
	offsets := make([]map[string]any, len(partitions))
	for i, partition := range partitions {
		canonical, err := canonicalPartition(partition)
		if err != nil {
			return nil, fmt.Errorf("source partition of connector %s: %w", connector, err)
		}
		value := t.value(connector, canonical)
		if value == nil {
			continue
		}
		v, err := javajson.Parse(value)
		if err != nil {
			return nil, fmt.Errorf("source offset of connector %s, partition %s: %w", connector, canonical, err)
		}
		offset, ok := v.(map[string]any)
		if !ok && v != nil {
			return nil, fmt.Errorf("source offset of connector %s, partition %s: must be a JSON object but is %s", connector, canonical, jsonKind(v))
		}
		offsets[i] = offset
	}
	return offsets, nil
}

func (t *OffsetTable) value(connector, canonical string) []byte {
	t.mu.RLock()
	defer t.mu.RUnlock()
	entry := t.connectors[connector][canonical]
	if entry == nil {
		return nil
	}
	return entry.keys[len(entry.keys)-1].value
}

// Partitions returns the partition maps of a connector that have an offset, in a stable
// order. The maps are copies.
func (t *OffsetTable) Partitions(connector string) []map[string]any {
	t.mu.RLock()
	defer t.mu.RUnlock()
	entries := t.connectors[connector]
	canonicals := make([]string, 0, len(entries))
	for canonical, entry := range entries {
		if entry.partition != nil {
			canonicals = append(canonicals, canonical)
		}
	}
	slices.Sort(canonicals)
	partitions := make([]map[string]any, len(canonicals))
	for i, canonical := range canonicals {
		partitions[i] = maps.Clone(entries[canonical].partition)
	}
	return partitions
}

// Record is [OffsetStore.Record].
func (t *OffsetTable) Record(connector string, partition, offset map[string]any) (OffsetRecord, error) {
	canonical, err := canonicalPartition(partition)
	if err != nil {
		return OffsetRecord{}, fmt.Errorf("source partition of connector %s: %w", connector, err)
	}
	var record OffsetRecord
	if offset != nil {
		if record.Value, err = javajson.AppendMap(nil, offset); err != nil {
			return OffsetRecord{}, fmt.Errorf("source offset of connector %s: %w", connector, err)
		}
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if entry := t.connectors[connector][canonical]; entry != nil {
		record.Key = []byte(entry.keys[len(entry.keys)-1].key)
		return record, nil
	}
	record.Key = append(javajson.AppendString([]byte{'['}, connector), ',')
	if record.Key, err = javajson.AppendMap(record.Key, partition); err != nil {
		return OffsetRecord{}, fmt.Errorf("source partition of connector %s: %w", connector, err)
	}
	record.Key = append(record.Key, ']')
	return record, nil
}

// Expand adds to records one for every other key that the table knows for the same
// partition, so that a removal removes all and Java finds what it looks for by bytes,
// whichever of the keys it uses. Usually it returns records as they are.
func (t *OffsetTable) Expand(records []OffsetRecord) []OffsetRecord {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := records
	for _, record := range records {
		connector, partition, err := parseOffsetKey(record.Key)
		if err != nil {
			continue
		}
		canonical, err := canonicalPartition(partition)
		if err != nil {
			continue
		}
		entry := t.connectors[connector][canonical]
		if entry == nil {
			continue
		}
		for _, k := range entry.keys {
			if k.key != string(record.Key) {
				all = append(slices.Clip(all), OffsetRecord{Key: []byte(k.key), Value: record.Value})
			}
		}
	}
	return all
}
