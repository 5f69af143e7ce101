package protocol

import (
	"fmt"

	"tributary/internal/wire"
)

// Metadata is what a member tells the group about itself when it joins.
type Metadata struct {
	// Version is that of the subprotocol it is offered under.
	Version int16
	// URL is the worker's advertised REST address.
	URL string
	// ConfigOffset is how far the worker has read the config topic.
	ConfigOffset int64
	// Allocation is the work the member holds: its Snapshot. It is nil when
	// the member holds no assignment, and is not sent under version 0.
	Allocation *Assignment
}

// EncodeMetadata returns the metadata of one protocol in JoinGroup. The
// allocation is written with the version of the metadata, whatever the version
// of the round that it came from.
func EncodeMetadata(m Metadata) ([]byte, error) {
	if m.Version < 0 {
		return nil, fmt.Errorf("member metadata has version %d: it must not be negative", m.Version)
	}
	var w writer
	w.int16(m.Version)
	w.string("worker URL", m.URL)
	w.int64(m.ConfigOffset)
	if m.Version >= Compatible.Version {
		if m.Allocation == nil {
			w.int32(-1)
		} else {
			held := *m.Allocation
			held.Version = m.Version
			allocation, err := EncodeAssignment(held)
			if err != nil {
				return nil, fmt.Errorf("allocation in member metadata: %w", err)
			}
			w.count("allocation bytes", len(allocation))
			w.bytes = append(w.bytes, allocation...)
		}
	}
	return w.result()
}

// DecodeMetadata reads metadata of any version. The allocation may be missing
// at the end, which is how version 0 is read as well; bytes after it are
// ignored.
func DecodeMetadata(data []byte) (Metadata, error) {
	r := reader{wire.NewReader(data)}
	var m Metadata
	m.Version = r.version()
	m.URL = r.String("worker URL")
	m.ConfigOffset = r.Int64("config offset")
	var allocation []byte
	if r.More() {
		allocation = r.NullableBytes("allocation")
	}
	if r.Err() != nil {
		return Metadata{}, fmt.Errorf("member metadata: %w", r.Err())
	}
	if allocation != nil {
		held, err := DecodeAssignment(allocation)
		if err != nil {
			return Metadata{}, fmt.Errorf("allocation in member metadata: %w", err)
		}
		m.Allocation = &held
	}
	return m, nil
}

// NamedMetadata is one entry of JoinGroup's list of protocols.
type NamedMetadata struct {
	Name     string
	Metadata []byte
}

// JoinProtocols encodes the list of protocols for JoinGroup: the same facts
// once for each subprotocol offered, in the same order. Version is ignored.
func JoinProtocols(offered []Subprotocol, m Metadata) ([]NamedMetadata, error) {
	list := make([]NamedMetadata, 0, len(offered))
	for _, s := range offered {
		m.Version = s.Version
		data, err := EncodeMetadata(m)
		if err != nil {
			return nil, err
		}
		list = append(list, NamedMetadata{Name: s.Name, Metadata: data})
	}
	return list, nil
}
