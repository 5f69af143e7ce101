package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestTypesAreReadAsKafkaWritesThem(t *testing.T) {
	text, err := AppendString([]byte{0x80, 0x01, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 1, 0}, "name", "grüße")
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(append(text, 0, 0, 0, 2, 'a', 'b', 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 7))
	if a, b, c, d := r.Int16("a"), r.Int32("b"), r.Int64("c"), r.String("d"); a != -32767 || b != -2 || c != 256 || d != "grüße" {
		t.Errorf("read %d, %d, %d, %q", a, b, c, d)
	}
	if some, none, null := r.NullableBytes("e"), r.NullableBytes("f"), r.NullableBytes("g"); !bytes.Equal(some, []byte("ab")) || none == nil || len(none) != 0 || null != nil {
		t.Errorf("read %v, %v, %v", some, none, null)
	}
	if !r.More() || r.Left() != 1 || r.Err() != nil {
		t.Errorf("left %d, %v", r.Left(), r.Err())
	}
}

func TestTheFirstErrorSticks(t *testing.T) {
	r := NewReader([]byte{0, 5, 'a', 'b'})
	if s, n := r.String("name"), r.Int16("count"); s != "" || n != 0 {
		t.Errorf("read %q, %d", s, n)
	}
	r.Fail("another")
	if !errors.Is(r.Err(), ErrMalformed) || r.Err().Error() != "malformed: name needs 5 bytes, 2 are left" || r.More() {
		t.Error(r.Err())
	}
	if r = NewReader([]byte{0xff, 0xff}); r.String("name") != "" || !errors.Is(r.Err(), ErrMalformed) {
		t.Errorf("a negative length: %v", r.Err())
	}
	if b, err := AppendString([]byte{1}, "name", strings.Repeat("x", 32768)); !errors.Is(err, ErrTooLong) || !bytes.Equal(b, []byte{1}) {
		t.Errorf("a string that is too long: %v, %v", b, err)
	}
}
