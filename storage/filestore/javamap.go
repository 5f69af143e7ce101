package filestore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"tributary/storage"
)

// Parts of an object serialisation stream.
const (
	typeNull         = 0x70
	typeReference    = 0x71
	typeArray        = 0x75
	typeEndBlockData = 0x78

	// firstArray is the handle of the first byte array: before it come the class of the
	// map, the map and the class of byte arrays.
	firstArray = 0x7E0003
)

var (
	// mapHeader is everything before the fields: magic and version, an object, and
	// java.util.HashMap's description with its serial version and its two fields.
	mapHeader = []byte("\xAC\xED\x00\x05" + "\x73\x72\x00\x11java.util.HashMap" + "\x05\x07\xDA\xC1\xC3\x16\x60\xD1" + "\x03\x00\x02" +
		"F\x00\x0AloadFactor" + "I\x00\x09threshold" + "\x78\x70")
	// blockHeader starts the eight bytes that the map writes itself: buckets and size.
	blockHeader = []byte{0x77, 8}
	// arrayClass describes byte[] where one first appears, arrayClassAgain wherever else.
	arrayClass      = []byte("\x72\x00\x02[B" + "\xAC\xF3\x17\xF8\x06\x08\x54\xE0" + "\x02\x00\x00" + "\x78\x70")
	arrayClassAgain = []byte("\x71\x00\x7E\x00\x02")
)

const (
	loadFactor  = 0.75
	minCapacity = 16
	maxCapacity = 1 << 30
)

// encodeMap writes records in their order as Java writes a map that they were put into
// one by one. The keys differ.
func encodeMap(records []storage.Record) []byte {
	capacity, threshold := minCapacity, 0
	if len(records) > 0 {
		for float64(len(records)) > float64(capacity)*loadFactor && capacity < maxCapacity {
			capacity *= 2
		}
		threshold = int(float64(capacity) * loadFactor)
	}
	b := bytes.Clone(mapHeader)
	b = binary.BigEndian.AppendUint32(b, math.Float32bits(loadFactor))
	b = binary.BigEndian.AppendUint32(b, uint32(threshold))
	b = append(b, blockHeader...)
	b = binary.BigEndian.AppendUint32(b, uint32(capacity))
	b = binary.BigEndian.AppendUint32(b, uint32(len(records)))
	class := arrayClass
	for _, record := range records {
		for _, data := range [][]byte{record.Key, record.Value} {
			if data == nil {
				b = append(b, typeNull)
				continue
			}
			b = append(append(b, typeArray), class...)
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(data))), data...)
			class = arrayClassAgain
		}
	}
	return append(b, typeEndBlockData)
}

// decodeMap reads the entries of a map in the order of the stream. The slices are b's.
func decodeMap(b []byte) ([]storage.Record, error) {
	d := decoder{all: b, rest: b}
	d.expect(mapHeader, "a java.util.HashMap")
	d.take(8) // load factor and threshold follow from the size
	d.expect(blockHeader, "the map's size")
	d.take(4) // buckets: likewise
	size := int32(d.uint32())
	if size < 0 {
		d.fail("the map's size is negative")
	}
	var records []storage.Record
	for n := int32(0); n < size && d.err == nil; n++ {
		records = append(records, storage.Record{Key: d.array(), Value: d.array()})
	}
	d.expect([]byte{typeEndBlockData}, "the end of the map")
	if d.err == nil && len(d.rest) > 0 {
		d.fail("something follows the map")
	}
	if d.err != nil {
		return nil, d.err
	}
	return records, nil
}

// decoder reads a stream; after its first error it reads nothing more.
type decoder struct {
	all, rest []byte
	arrays    [][]byte // those seen, by handle
	err       error
}

var errEndsEarly = errors.New("it ends before the map does")

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("at byte %d: "+format, append([]any{len(d.all) - len(d.rest)}, args...)...)
	}
}

// take returns the next n bytes, nil if there are fewer.
func (d *decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n > len(d.rest) {
		d.err = errEndsEarly
		return nil
	}
	taken := d.rest[:n:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// expect skips bytes that must be there.
func (d *decoder) expect(want []byte, what string) {
	if d.err != nil {
		return
	}
	if len(d.rest) < len(want) && bytes.HasPrefix(want, d.rest) {
		d.err = errEndsEarly
		return
	}
	if !bytes.HasPrefix(d.rest, want) {
		d.fail("%s was expected", what)
		return
	}
	d.rest = d.rest[len(want):]
}

// array reads a byte array, or null as nil.
func (d *decoder) array() []byte {
	kind := d.take(1)
	if kind == nil {
		return nil
	}
	switch kind[0] {
	case typeNull:
		return nil
	case typeReference: // one that was there before
		handle := int64(d.uint32()) - firstArray
		if d.err == nil && (handle < 0 || handle >= int64(len(d.arrays))) {
			d.fail("a byte array is referred to that does not exist")
		}
		if d.err != nil {
			return nil
		}
		return d.arrays[handle]
	case typeArray:
		class := arrayClass
		if len(d.arrays) > 0 {
			class = arrayClassAgain
		}
		d.expect(class, "the class of byte arrays")
		length := int32(d.uint32())
		if length < 0 {
			d.fail("a byte array's length is negative")
		}
		data := d.take(int(max(length, 0)))
		d.arrays = append(d.arrays, data)
		return data
	}
	d.rest = d.all[len(d.all)-len(d.rest)-1:] // point at it
	d.fail("a byte array was expected")
	return nil
}
