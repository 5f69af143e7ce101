// Package wire reads and appends the classic types of Kafka's protocol, which are also
// those of the records that Connect workers and mirrors leave for each other: big-endian
// integers, STRING (a 16-bit length, then UTF-8) and NULLABLE_BYTES.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrMalformed is wrapped by a Reader's error for bytes that end too early or hold a
// value that cannot be.
var ErrMalformed = errors.New("malformed")

// ErrTooLong is wrapped by the error for a string of more than 32,767 bytes, which the
// format cannot hold.
var ErrTooLong = errors.New("string is longer than 32767 bytes")

// AppendString appends a STRING. field names it in the error.
func AppendString(dst []byte, field, s string) ([]byte, error) {
	if len(s) > math.MaxInt16 {
		return dst, fmt.Errorf("%s has %d bytes: %w", field, len(s), ErrTooLong)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...), nil
}

// Reader takes values off the front of bytes. Its first error sticks, and everything
// read after it is zero, so that a decoder checks once, at its end. What it returns
// shares memory with the bytes, strings excepted. The names of fields are for errors.
type Reader struct {
	rest []byte
	err  error
}

// NewReader returns a reader of b.
func NewReader(b []byte) *Reader { return &Reader{rest: b} }

// Err is the first error, which wraps ErrMalformed.
func (r *Reader) Err() error { return r.err }

// More reports whether there is anything left to read.
func (r *Reader) More() bool { return len(r.rest) > 0 }

// Left is how many bytes are left.
func (r *Reader) Left() int { return len(r.rest) }

// Fail notes an error that the caller found in what it read.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.rest = nil
		r.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	}
}

// Take returns the next n bytes, nil if there are not as many.
func (r *Reader) Take(field string, n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.rest) {
		r.Fail("%s needs %d bytes, %d are left", field, n, len(r.rest))
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// Int16 reads an INT16.
func (r *Reader) Int16(field string) int16 {
	if b := r.Take(field, 2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

// Int32 reads an INT32.
func (r *Reader) Int32(field string) int32 {
	if b := r.Take(field, 4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// Int64 reads an INT64.
func (r *Reader) Int64(field string) int64 {
	if b := r.Take(field, 8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// String reads a STRING.
func (r *Reader) String(field string) string {
	n := r.Int16(field)
	if n < 0 {
		r.Fail("length %d of %s is negative", n, field)
		return ""
	}
	return string(r.Take(field, int(n)))
}

// NullableBytes reads NULLABLE_BYTES: nil for null and an empty slice for no bytes.
func (r *Reader) NullableBytes(field string) []byte {
	n := r.Int32(field)
	if n < 0 {
		return nil
	}
	return r.Take(field, int(n))
}
