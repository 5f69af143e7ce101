package converter

import (
	"encoding/binary"
	"fmt"
	"math"

	"tributary/connect"
)

// number converts one number type to its bytes, big-endian, and back. The schema of what
// is written does not matter, the Go type does.
type number[T int16 | int32 | int64 | float32 | float64] struct {
	name   string // in messages
	schema *connect.Schema
	size   int
	encode func(T) uint64
	decode func(uint64) T
}

func newShort() configured {
	return &number[int16]{"short", connect.OptionalInt16Schema, 2, func(v int16) uint64 { return uint64(v) }, func(b uint64) int16 { return int16(b) }}
}

func newInteger() configured {
	return &number[int32]{"integer", connect.OptionalInt32Schema, 4, func(v int32) uint64 { return uint64(v) }, func(b uint64) int32 { return int32(b) }}
}

func newLong() configured {
	return &number[int64]{"long", connect.OptionalInt64Schema, 8, func(v int64) uint64 { return uint64(v) }, func(b uint64) int64 { return int64(b) }}
}

func newFloat() configured {
	return &number[float32]{"float", connect.OptionalFloat32Schema, 4,
		func(v float32) uint64 { return uint64(math.Float32bits(v)) }, func(b uint64) float32 { return math.Float32frombits(uint32(b)) }}
}

func newDouble() configured {
	return &number[float64]{"double", connect.OptionalFloat64Schema, 8, func(v float64) uint64 {
		if v != v {
			return 0x7ff8 << 48 // Java writes one NaN of the many
		}
		return math.Float64bits(v)
	}, math.Float64frombits}
}

// ConfigDef declares the settings.
func (*number[T]) ConfigDef() *connect.ConfigDef { return noSettings }

// Configure implements connect.Converter; there is nothing to configure.
func (*number[T]) Configure(map[string]string, bool) error { return nil }

// FromConnectData implements connect.Converter.
func (n *number[T]) FromConnectData(_ string, _ []connect.Header, _ *connect.Schema, value any) ([]byte, error) {
	if value == nil {
		return nil, nil
	}
	v, ok := value.(T)
	if !ok {
		return nil, dataError(nil, fmt.Sprintf("Failed to serialize to %s (was class %s)", n.name, connect.ClassName(value)))
	}
	return binary.BigEndian.AppendUint64(nil, n.encode(v)<<(64-8*n.size))[:n.size], nil
}

// ToConnectData implements connect.Converter.
func (n *number[T]) ToConnectData(_ string, _ []connect.Header, data []byte) (*connect.Schema, any, error) {
	if data == nil {
		return n.schema, nil, nil
	}
	if len(data) != n.size {
		return nil, nil, dataError(fmt.Errorf("there are %d bytes, not %d", len(data), n.size), "Failed to deserialize "+n.name+": ")
	}
	var bits uint64
	for _, b := range data {
		bits = bits<<8 | uint64(b)
	}
	return n.schema, n.decode(bits), nil
}
