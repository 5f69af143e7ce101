package protocol

import (
	"encoding/binary"
	"fmt"
	"math"

	"tributary/internal/wire"
)

// ErrMalformed is wrapped by every error of a decoder.
var ErrMalformed = wire.ErrMalformed

// writer appends classic Kafka types, big-endian. Its first error sticks.
type writer struct {
	bytes []byte
	err   error
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) result() ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	return w.bytes, nil
}

func (w *writer) int16(v int16) { w.bytes = binary.BigEndian.AppendUint16(w.bytes, uint16(v)) }
func (w *writer) int32(v int32) { w.bytes = binary.BigEndian.AppendUint32(w.bytes, uint32(v)) }
func (w *writer) int64(v int64) { w.bytes = binary.BigEndian.AppendUint64(w.bytes, uint64(v)) }

func (w *writer) count(what string, n int) {
	if n > math.MaxInt32 {
		w.fail(fmt.Errorf("%d %s: at most %d fit", n, what, math.MaxInt32))
		return
	}
	w.int32(int32(n))
}

func (w *writer) string(field, s string) {
	var err error
	if w.bytes, err = wire.AppendString(w.bytes, field, s); err != nil {
		w.fail(err)
	}
}

// reader is a wire.Reader for what only this package's messages have.
type reader struct{ *wire.Reader }

// version reads the version at the head. Versions that are not known yet are
// read with the newest layout, as every Connect worker does.
func (r reader) version() int16 {
	v := r.Int16("version")
	if v < 0 {
		r.Fail("version %d is negative", v)
	}
	return v
}

// count reads the length of an array whose elements have at least size bytes
// each, and refuses one that cannot fit into what is left.
func (r reader) count(field string, size int) (n int, null bool) {
	length := r.Int32(field)
	if length < 0 {
		return 0, true
	}
	if int(length) > r.Left()/size {
		r.Fail("%s has %d elements, %d bytes are left", field, length, r.Left())
		return 0, false
	}
	return int(length), false
}
