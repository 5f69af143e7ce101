package replica

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// javaRecords gives the lines of testdata/java-records.txt of one kind, as fields.
func javaRecords(t *testing.T, kind string) [][]string {
	t.Helper()
	data, err := os.ReadFile("testdata/java-records.txt")
	if err != nil {
		t.Fatal(err)
	}
	var records [][]string
	for scanner := bufio.NewScanner(bytes.NewReader(data)); scanner.Scan(); {
		if fields := strings.Fields(scanner.Text()); len(fields) > 0 && fields[0] == kind {
			records = append(records, fields[1:])
		}
	}
	if len(records) == 0 {
		t.Fatalf("no golden records of kind %s", kind)
	}
	return records
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOffsetSyncBytesAreJavas(t *testing.T) {
	for _, f := range javaRecords(t, "offset-sync") {
		key, value := unhex(t, f[0]), unhex(t, f[1])
		want := OffsetSync{TopicPartition{f[2], int32(number(t, f[3]))}, number(t, f[4]), number(t, f[5])}

		got, err := DecodeOffsetSync(key, value)
		if err != nil || got != want {
			t.Errorf("DecodeOffsetSync(%x, %x) = %v, %v; want %v", key, value, got, err, want)
		}
		gotKey, err := want.Key()
		if err != nil || !bytes.Equal(gotKey, key) || !bytes.Equal(want.Value(), value) {
			t.Errorf("%v encodes to %x, %x (%v); want %x, %x", want, gotKey, want.Value(), err, key, value)
		}
	}
}

func TestHeartbeatBytesAreJavas(t *testing.T) {
	for _, f := range javaRecords(t, "heartbeat") {
		key, value := unhex(t, f[0]), unhex(t, f[1])
		want := Heartbeat{f[2], f[3], number(t, f[4])}

		got, err := DecodeHeartbeat(key, value)
		if err != nil || got != want {
			t.Errorf("DecodeHeartbeat(%x, %x) = %v, %v; want %v", key, value, got, err, want)
		}
		gotKey, err := want.Key()
		if err != nil || !bytes.Equal(gotKey, key) || !bytes.Equal(want.Value(), value) {
			t.Errorf("%v encodes to %x, %x (%v); want %x, %x", want, gotKey, want.Value(), err, key, value)
		}
	}
}

func TestCheckpointBytesFollowTheFormat(t *testing.T) {
	c := Checkpoint{"grüße", TopicPartition{"A.t", 3}, 258, -1, "m"}
	wantKey := unhex(t, "0007 6772c3bcc39f65 0003 412e74 00000003")
	wantValue := unhex(t, "0000 0000000000000102 ffffffffffffffff 0001 6d")

	key, err := c.Key()
	if err != nil || !bytes.Equal(key, wantKey) {
		t.Errorf("Key() = %x, %v; want %x", key, err, wantKey)
	}
	value, err := c.Value()
	if err != nil || !bytes.Equal(value, wantValue) {
		t.Errorf("Value() = %x, %v; want %x", value, err, wantValue)
	}
	got, err := DecodeCheckpoint(wantKey, wantValue)
	if err != nil || got != c {
		t.Errorf("DecodeCheckpoint = %+v, %v; want %+v", got, err, c)
	}
	if diff := cmp.Diff(CommittedOffset{Offset: -1, Metadata: "m"}, c.Committed()); diff != "" {
		t.Error(diff)
	}
}

// decoders wraps the three decoders so that promises common to all can be checked in
// one place; each comes with a good record.
var decoders = map[string]struct {
	decode     func(key, value []byte) (any, error)
	key, value []byte
}{
	"offset sync": {
		func(k, v []byte) (any, error) { return DecodeOffsetSync(k, v) },
		must(OffsetSync{TopicPartition{"t", 3}, 7, 8}.Key()), OffsetSync{Upstream: 7, Downstream: 8}.Value(),
	},
	"checkpoint": {
		func(k, v []byte) (any, error) { return DecodeCheckpoint(k, v) },
		must(Checkpoint{Group: "g", TopicPartition: TopicPartition{"t", 3}}.Key()),
		must(Checkpoint{Upstream: 7, Downstream: 8, Metadata: "meta"}.Value()),
	},
	"heartbeat": {
		func(k, v []byte) (any, error) { return DecodeHeartbeat(k, v) },
		must(Heartbeat{SourceAlias: "A", TargetAlias: "B"}.Key()), Heartbeat{Timestamp: 9}.Value(),
	},
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestDecodersReportTombstones(t *testing.T) {
	for name, d := range decoders {
		for _, key := range [][]byte{d.key, nil, {}} {
			if _, err := d.decode(key, nil); !errors.Is(err, ErrTombstone) {
				t.Errorf("%s: null value with key %x gives %v, want ErrTombstone", name, key, err)
			}
		}
	}
}

func TestDecodersRefuseTruncatedBytes(t *testing.T) {
	for name, d := range decoders {
		if _, err := d.decode(nil, d.value); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: null key gives %v, want ErrMalformed", name, err)
		}
		for i := range d.key {
			if _, err := d.decode(d.key[:i], d.value); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: key cut to %d bytes gives %v, want ErrMalformed", name, i, err)
			}
		}
		for i := range d.value {
			if _, err := d.decode(d.key, d.value[:i:i]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: value cut to %d bytes gives %v, want ErrMalformed", name, i, err)
			}
		}
		negative := append([]byte{0xff, 0xff}, d.key[2:]...)
		if _, err := d.decode(negative, d.value); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: negative string length gives %v, want ErrMalformed", name, err)
		}
	}
}

func TestDecodersIgnoreTrailingBytes(t *testing.T) {
	for name, d := range decoders {
		want, err := d.decode(d.key, d.value)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := d.decode(append(bytes.Clone(d.key), 1, 2), append(bytes.Clone(d.value), 3))
		if err != nil || got != want {
			t.Errorf("%s: trailing bytes give %v, %v; want %v", name, got, err, want)
		}
	}
}

func TestDecodersTakeAnyVersionForZero(t *testing.T) {
	for _, name := range []string{"checkpoint", "heartbeat"} {
		d := decoders[name]
		want, err := d.decode(d.key, d.value)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		value := bytes.Clone(d.value)
		value[1] = 5
		if got, err := d.decode(d.key, value); err != nil || got != want {
			t.Errorf("%s: version 5 gives %v, %v; want %v", name, got, err, want)
		}
	}
}

func TestEncodersRefuseStringsTheFormatCannotHold(t *testing.T) {
	fits, tooLong := strings.Repeat("x", 32767), strings.Repeat("x", 32768)
	encoders := map[string]func(s string) ([]byte, error){
		"sync topic":       func(s string) ([]byte, error) { return OffsetSync{TopicPartition: TopicPartition{Topic: s}}.Key() },
		"checkpoint group": func(s string) ([]byte, error) { return Checkpoint{Group: s}.Key() },
		"checkpoint topic": func(s string) ([]byte, error) { return Checkpoint{TopicPartition: TopicPartition{Topic: s}}.Key() },
		"metadata":         func(s string) ([]byte, error) { return Checkpoint{Metadata: s}.Value() },
		"source alias":     func(s string) ([]byte, error) { return Heartbeat{SourceAlias: s}.Key() },
		"target alias":     func(s string) ([]byte, error) { return Heartbeat{TargetAlias: s}.Key() },
	}
	for name, encode := range encoders {
		if b, err := encode(fits); err != nil || !bytes.Contains(b, []byte("\x7f\xff"+fits)) {
			t.Errorf("%s of 32767 bytes: %v", name, err)
		}
		if b, err := encode(tooLong); !errors.Is(err, ErrTooLong) || b != nil {
			t.Errorf("%s of 32768 bytes gives %d bytes, %v; want ErrTooLong", name, len(b), err)
		}
	}
}

func TestRecordsSurviveARoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tp := TopicPartition{rapid.String().Draw(t, "topic"), rapid.Int32().Draw(t, "partition")}
		up, down := rapid.Int64().Draw(t, "up"), rapid.Int64().Draw(t, "down")

		sync := OffsetSync{tp, up, down}
		if got, err := DecodeOffsetSync(must(sync.Key()), sync.Value()); err != nil || got != sync {
			t.Fatalf("%v came back as %v, %v", sync, got, err)
		}
		checkpoint := Checkpoint{rapid.String().Draw(t, "group"), tp, up, down, rapid.String().Draw(t, "metadata")}
		if got, err := DecodeCheckpoint(must(checkpoint.Key()), must(checkpoint.Value())); err != nil || got != checkpoint {
			t.Fatalf("%v came back as %v, %v", checkpoint, got, err)
		}
		heartbeat := Heartbeat{rapid.String().Draw(t, "source"), rapid.String().Draw(t, "target"), up}
		if got, err := DecodeHeartbeat(must(heartbeat.Key()), heartbeat.Value()); err != nil || got != heartbeat {
			t.Fatalf("%v came back as %v, %v", heartbeat, got, err)
		}
	})
}

func FuzzDecodeOffsetSync(f *testing.F) {
	f.Add(decoders["offset sync"].key, decoders["offset sync"].value)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		sync, err := DecodeOffsetSync(key, value)
		if err != nil {
			checkDecodeError(t, err)
			return
		}
		if !bytes.HasPrefix(key, must(sync.Key())) || !bytes.HasPrefix(value, sync.Value()) {
			t.Errorf("%x, %x decodes to %v, which encodes differently", key, value, sync)
		}
	})
}

func FuzzDecodeCheckpoint(f *testing.F) {
	f.Add(decoders["checkpoint"].key, decoders["checkpoint"].value)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		c, err := DecodeCheckpoint(key, value)
		if err != nil {
			checkDecodeError(t, err)
			return
		}
		// The version is not kept.
		if !bytes.HasPrefix(key, must(c.Key())) || !bytes.HasPrefix(value[2:], must(c.Value())[2:]) {
			t.Errorf("%x, %x decodes to %v, which encodes differently", key, value, c)
		}
	})
}

func FuzzDecodeHeartbeat(f *testing.F) {
	f.Add(decoders["heartbeat"].key, decoders["heartbeat"].value)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		h, err := DecodeHeartbeat(key, value)
		if err != nil {
			checkDecodeError(t, err)
			return
		}
		if !bytes.HasPrefix(key, must(h.Key())) || !bytes.HasPrefix(value[2:], h.Value()[2:]) {
			t.Errorf("%x, %x decodes to %v, which encodes differently", key, value, h)
		}
	})
}

func checkDecodeError(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTombstone) {
		t.Errorf("error %v is neither ErrMalformed nor ErrTombstone", err)
	}
}

func TestOffsetMapsEncodeAsJavaWritesThem(t *testing.T) {
	for _, f := range javaRecords(t, "offset") {
		var key []any
		if err := json.Unmarshal([]byte(f[0]), &key); err != nil {
			t.Fatal(err)
		}
		var partition, offset map[string]any
		switch stored := key[1].(map[string]any); key[0] {
		case "MirrorSourceConnector":
			partition = SourcePartitionMap(stored["cluster"].(string), stored["topic"].(string), int32(stored["partition"].(float64)))
		case "MirrorHeartbeatConnector":
			partition = HeartbeatPartitionMap(stored["sourceClusterAlias"].(string), stored["targetClusterAlias"].(string))
		default:
			t.Fatalf("golden record of connector %v", key[0])
		}
		decoder := json.NewDecoder(strings.NewReader(f[1]))
		decoder.UseNumber()
		if err := decoder.Decode(&offset); err != nil {
			t.Fatal(err)
		}
		n, err := UnwrapOffset(offset)
		if err != nil {
			t.Fatal(err)
		}

		// Sorted fields, as encoding/json writes them, are Java's order for these two maps.
		gotKey, keyErr := json.Marshal([]any{key[0], partition})
		gotValue, valueErr := json.Marshal(WrapOffset(n))
		if err := errors.Join(keyErr, valueErr); err != nil {
			t.Fatal(err)
		}
		if string(gotKey) != f[0] || string(gotValue) != f[1] {
			t.Errorf("got %s %s, want %s %s", gotKey, gotValue, f[0], f[1])
		}
	}
}
