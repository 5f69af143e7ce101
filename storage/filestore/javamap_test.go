package filestore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/storage"
)

func javaFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// javaEntries is what OffsetsFile.java writes for a count.
func javaEntries(count int) map[string]string {
	entries := map[string]string{}
	for i := range count {
		value := fmt.Sprintf(`{"position":%d}`, i*1000)
		if i%7 == 6 {
			value = "null"
		}
		entries[fmt.Sprintf(`["files",{"filename":"/var/log/é-%d"}]`, i)] = value
	}
	return entries
}

func entriesOf(records []storage.Record) map[string]string {
	entries := map[string]string{}
	for _, r := range records {
		value := "null"
		if r.Value != nil {
			value = string(r.Value)
		}
		entries[string(r.Key)] = value
	}
	return entries
}

// What Java wrote is read, and written again in the same order it is the same bytes:
// the size of Java's table, too.
func TestJavasFilesAreReadAndWrittenByteByByte(t *testing.T) {
	for _, count := range []int{0, 1, 3, 12, 13, 40} {
		content := javaFile(t, fmt.Sprintf("java-%d.offsets", count))
		records, err := decodeMap(content)
		if err != nil {
			t.Fatalf("%d offsets: %v", count, err)
		}
		if diff := cmp.Diff(javaEntries(count), entriesOf(records)); diff != "" {
			t.Errorf("%d offsets (-want +got):\n%s", count, diff)
		}
		if written := encodeMap(records); !bytes.Equal(written, content) {
			t.Errorf("%d offsets were written as\n%q\nbut Java writes\n%q", count, written, content)
		}
	}
}

func TestWhatTheFormatAllowsIsRead(t *testing.T) {
	records, err := decodeMap(javaFile(t, "java-odd.offsets"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"": `{"position":7}`, `["files",{"filename":"a"}]`: `{"position":7}`, "not JSON": ""}
	if diff := cmp.Diff(want, entriesOf(records)); diff != "" {
		t.Error(diff)
	}
	if i := indexOfKey(records, ""); records[i].Key != nil {
		t.Error("a null key was read as an empty one")
	}
	if i := indexOfKey(records, "not JSON"); records[i].Value == nil {
		t.Error("an empty value was read as null")
	}
}

func indexOfKey(records []storage.Record, key string) int {
	for i, r := range records {
		if string(r.Key) == key {
			return i
		}
	}
	return -1
}

func TestEveryTruncationIsNoticed(t *testing.T) {
	content := javaFile(t, "java-13.offsets")
	for n := range len(content) {
		if _, err := decodeMap(content[:n]); err == nil || err.Error() != "it ends before the map does" {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
}

func TestMalformedMapsSayWhere(t *testing.T) {
	content := string(javaFile(t, "java-3.offsets"))
	for _, c := range []struct{ name, content, want string }{
		{"text", "offsets are here, or are they not?", "at byte 0: a java.util.HashMap was expected"},
		{"another class", strings.Replace(content, "HashMap", "TreeMap", 1), "at byte 0: a java.util.HashMap was expected"},
		{"trailing bytes", content + "x", "at byte 317: something follows the map"},
		{"negative size", content[:77] + "\xFF\xFF\xFF\xFF" + content[81:], "at byte 81: the map's size is negative"},
		{"more entries than there are", content[:77] + "\x7F\xFF\xFF\xFF" + content[81:], "at byte 316: a byte array was expected"},
		{"no arrays", content[:81] + "\x74\x00\x01a" + content[82:], "at byte 81: a byte array was expected"},
		{"arrays of another class", strings.Replace(content, "[B", "[C", 1), "at byte 82: the class of byte arrays was expected"},
		{"negative length", content[:100] + "\xFF\xFF\xFF\xFF" + content[104:], "at byte 104: a byte array's length is negative"},
		{"endless length", content[:100] + "\x7F\xFF\xFF\xFF" + content[104:], "it ends before the map does"},
		{"reference to nothing", content[:81] + "\x71\x00\x7E\x00\x03", "at byte 86: a byte array is referred to that does not exist"},
		{"reference to the map", content[:81] + "\x71\x00\x7E\x00\x01", "at byte 86: a byte array is referred to that does not exist"},
	} {
		if _, err := decodeMap([]byte(c.content)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// Whatever is read without an error is the same when written and read again.
func FuzzDecodeMap(f *testing.F) {
	for _, name := range []string{"java-0.offsets", "java-1.offsets", "java-13.offsets", "java-odd.offsets"} {
		f.Add(javaFile(f, name))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		records, err := decodeMap(content)
		if err != nil {
			return
		}
		again, err := decodeMap(encodeMap(records))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(records, again); diff != "" {
			t.Error(diff)
		}
	})
}
