package rawkafka

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// FuzzTrimTags feeds the end of an answer's header to its reader: whatever a peer sends is refused or is what stands behind
// whole fields.
func FuzzTrimTags(f *testing.F) {
	f.Add([]byte{0, 'a', 'n', 's', 'w', 'e', 'r'})
	f.Add([]byte{1, 7, 2, 'x', 'y', 'a'})
	f.Add([]byte{1, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{})
	request := kmsg.NewPtrFetchRequest()
	request.Version = fetchVersion
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := trimTags(request, data)
		if err != nil {
			return
		}
		fields, n := binary.Uvarint(data)
		if n <= 0 || fields > uint64(len(data)) || !bytes.HasSuffix(data, body) || fields == 0 && len(body) != len(data)-n {
			t.Errorf("%d fields; %d of %d bytes are left", fields, len(body), len(data))
		}
	})
}
