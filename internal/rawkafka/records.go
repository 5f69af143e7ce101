package rawkafka

import (
	"encoding/binary"
)

// recordReader goes through the uncompressed records of a batch. It looks no further into a record than it is
// asked to.
type recordReader struct {
	rest []byte // behind the current record

	attributes     byte
	timestampDelta int64
	offsetDelta    int64
	body           []byte // key, value and headers, as they are
}

// next reads the record at the beginning of data, which is r.rest for those after the first. It is false at the
// end, and when the bytes make no record.
func (r *recordReader) next(data []byte) bool {
	length, n := binary.Varint(data)
	if n <= 0 || length < 1 || length > int64(len(data)-n) {
		return false
	}
	record := data[n : n+int(length)]
	r.rest = data[n+int(length):]
	r.attributes, record = record[0], record[1:]
	if r.timestampDelta, n = binary.Varint(record); n <= 0 {
		return false
	}
	record = record[n:]
	if r.offsetDelta, n = binary.Varint(record); n <= 0 {
		return false
	}
	r.body = record[n:]
	return true
}

// key returns the current record's key.
func (r *recordReader) key() ([]byte, bool) {
	length, n := binary.Varint(r.body)
	if n <= 0 || length < 0 || length > int64(len(r.body)-n) {
		return nil, false
	}
	return r.body[n : n+int(length)], true
}

// appendRecord writes a record with another place in its batch.
func appendRecord(to []byte, attributes byte, timestampDelta, offsetDelta int64, body []byte) []byte {
	var head [2 * binary.MaxVarintLen64]byte
	n := binary.PutVarint(head[:], timestampDelta)
	n += binary.PutVarint(head[n:], offsetDelta)
	to = binary.AppendVarint(to, int64(1+n+len(body)))
	to = append(to, attributes)
	to = append(to, head[:n]...)
	return append(to, body...)
}

// appendBody writes key, value and headers as a record has them.
func appendBody(to, key, value []byte, headers int, header func(i int) (key string, value []byte)) []byte {
	to = appendBytes(to, key)
	to = appendBytes(to, value)
	to = binary.AppendVarint(to, int64(headers))
	for i := range headers {
		key, value := header(i)
		to = binary.AppendVarint(to, int64(len(key)))
		to = append(to, key...)
		to = appendBytes(to, value)
	}
	return to
}

func appendBytes(to, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(to, -1)
	}
	to = binary.AppendVarint(to, int64(len(b)))
	return append(to, b...)
}
