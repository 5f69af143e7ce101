package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrMalformed is wrapped by every error of a decoder.
var ErrMalformed = errors.New("malformed bytes")

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
	if len(s) > math.MaxInt16 {
		w.fail(fmt.Errorf("%s has %d bytes: at most %d fit", field, len(s), math.MaxInt16))
		return
	}
	w.int16(int16(len(s)))
	w.bytes = append(w.bytes, s...)
}

// reader takes classic Kafka types off the front of rest. Its first error
// sticks, and everything read after it is zero.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.rest = nil
		r.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	}
}

// more reports whether there is anything left to read.
func (r *reader) more() bool { return len(r.rest) > 0 }

func (r *reader) take(field string, n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.rest) {
		r.fail("%s needs %d bytes, %d are left", field, n, len(r.rest))
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) int16(field string) int16 {
	if b := r.take(field, 2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32(field string) int32 {
	if b := r.take(field, 4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64(field string) int64 {
	if b := r.take(field, 8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// version reads the version at the head. Versions that are not known yet are
// read with the newest layout, as every Connect worker does.
func (r *reader) version() int16 {
	v := r.int16("version")
	if v < 0 {
		r.fail("version %d is negative", v)
	}
	return v
}

func (r *reader) string(field string) string {
	n := r.int16(field)
	if n < 0 {
		r.fail("length %d of %s is negative", n, field)
		return ""
	}
	return string(r.take(field, int(n)))
}

// nullableBytes returns nil for null and an empty slice for no bytes.
func (r *reader) nullableBytes(field string) []byte {
	n := r.int32(field)
	if n < 0 {
		return nil
	}
	return r.take(field, int(n))
}

// count reads the length of an array whose elements have at least size bytes
// each, and refuses one that cannot fit into what is left.
func (r *reader) count(field string, size int) (n int, null bool) {
	length := r.int32(field)
	if length < 0 {
		return 0, true
	}
	if int(length) > len(r.rest)/size {
		r.fail("%s has %d elements, %d bytes are left", field, length, len(r.rest))
		return 0, false
	}
	return int(length), false
}
