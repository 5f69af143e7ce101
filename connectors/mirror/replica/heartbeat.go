package replica

import (
	"encoding/binary"
	"fmt"

	"tributary/internal/wire"
)

// Heartbeat shows that the mirror named by its two aliases was alive at Timestamp.
// The aliases name the mirror that wrote it, whichever way it travels afterwards.
type Heartbeat struct {
	SourceAlias string
	TargetAlias string
	// Timestamp is in milliseconds since 1970. The record carries the same time.
	Timestamp int64
}

// Key encodes the record key: both aliases.
func (h Heartbeat) Key() ([]byte, error) {
	key, err := wire.AppendString(nil, "sourceClusterAlias", h.SourceAlias)
	if err == nil {
		key, err = wire.AppendString(key, "targetClusterAlias", h.TargetAlias)
	}
	if err != nil {
		return nil, fmt.Errorf("encode heartbeat key: %w", err)
	}
	return key, nil
}

// Value encodes the record value: version and timestamp, always 10 bytes.
func (h Heartbeat) Value() []byte {
	value := binary.BigEndian.AppendUint16(make([]byte, 0, 10), recordVersion)
	return binary.BigEndian.AppendUint64(value, uint64(h.Timestamp))
}

// DecodeHeartbeat reads a record of a heartbeats topic. It is as tolerant as
// DecodeOffsetSync, and takes any version for version 0.
func DecodeHeartbeat(key, value []byte) (Heartbeat, error) {
	if err := checkPresent(key, value); err != nil {
		return Heartbeat{}, fmt.Errorf("decode heartbeat: %w", err)
	}
	k, v := wire.NewReader(key), wire.NewReader(value)
	h := Heartbeat{SourceAlias: k.String("sourceClusterAlias"), TargetAlias: k.String("targetClusterAlias")}
	v.Int16("version")
	h.Timestamp = v.Int64("timestamp")
	if k.Err() != nil {
		return Heartbeat{}, fmt.Errorf("decode heartbeat key: %w", k.Err())
	}
	if v.Err() != nil {
		return Heartbeat{}, fmt.Errorf("decode heartbeat value: %w", v.Err())
	}
	return h, nil
}
