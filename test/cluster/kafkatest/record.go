package kafkatest

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Record is one record as it lies in a partition.
//
// To write, Offset and LogAppendTime are ignored, and a zero Timestamp means now. A nil Key, Value or header value
// is Kafka's null, which is not the same as an empty one.
type Record struct {
	Partition int32
	Offset    int64
	// Timestamp has milliseconds; in a topic with LogAppendTime it is the time of the batch, as a consumer sees it.
	Timestamp time.Time
	// LogAppendTime is true when the broker, not the producer, set Timestamp.
	LogAppendTime bool
	Key, Value    []byte
	Headers       []Header
}

// Header is one record header; a key may occur more than once.
type Header struct {
	Key   string
	Value []byte
}

// String shows all of a record on one line, null as null and long values cut.
func (r Record) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "offset %d, timestamp %d, key %s, value %s, headers [", r.Offset, r.Timestamp.UnixMilli(), show(r.Key), show(r.Value))
	for i, h := range r.Headers {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q: %s", h.Key, show(h.Value))
	}
	b.WriteString("]")
	return b.String()
}

// sameContent says whether a mirror may hold r for s: everything but the offset and who set the timestamp.
func sameContent(r, s Record) bool { return contentKey(r) == contentKey(s) }

// contentKey is equal for two records exactly if their partition, timestamp, key, value and headers are.
func contentKey(r Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d/%d/", r.Partition, r.Timestamp.UnixMilli())
	for _, field := range [][]byte{r.Key, r.Value} {
		writeField(&b, field)
	}
	for _, h := range r.Headers {
		writeField(&b, []byte(h.Key))
		writeField(&b, h.Value)
	}
	return b.String()
}

// writeField puts the length before the bytes, so that no two lists of fields look alike; null has length -1.
func writeField(b *strings.Builder, field []byte) {
	length := len(field)
	if field == nil {
		length = -1
	}
	fmt.Fprintf(b, "%d:", length)
	b.Write(field)
}

// whatDiffers names the fields in which two records differ.
func whatDiffers(r, s Record) string {
	var fields []string
	if r.Partition != s.Partition {
		fields = append(fields, "partition")
	}
	if r.Timestamp.UnixMilli() != s.Timestamp.UnixMilli() {
		fields = append(fields, "timestamp")
	}
	if !sameBytes(r.Key, s.Key) {
		fields = append(fields, "key")
	}
	if !sameBytes(r.Value, s.Value) {
		fields = append(fields, "value")
	}
	if !sameHeaders(r.Headers, s.Headers) {
		fields = append(fields, "headers")
	}
	return strings.Join(fields, ", ")
}

func sameHeaders(a, b []Header) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Key != b[i].Key || !sameBytes(a[i].Value, b[i].Value) {
			return false
		}
	}
	return true
}

// sameBytes differs from bytes.Equal in that null is not empty.
func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// shownBytes is how much of a value a message shows.
const shownBytes = 80

func show(b []byte) string {
	switch {
	case b == nil:
		return "null"
	case len(b) > shownBytes:
		return fmt.Sprintf("%q... (%d bytes)", b[:shownBytes], len(b))
	default:
		return fmt.Sprintf("%q", b)
	}
}
