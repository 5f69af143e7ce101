package realkafka

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/magiconair/properties"
)

func TestMajorVersionReadsEveryWayJavaPrintsIt(t *testing.T) {
	for output, want := range map[string]int{
		`openjdk version "17.0.15" 2025-04-15`:      17,
		`java version "1.8.0_401"`:                  8,
		`openjdk version "25" 2025-09-16`:           25,
		`openjdk version "21-ea" 2023-09-19`:        21,
		"Picked up OPTIONS\nversion \"18.0.1\" foo": 18,
	} {
		if got, err := majorVersion(output); err != nil || got != want {
			t.Errorf("%q is read as %d (%v), want %d", output, got, err, want)
		}
	}
	if _, err := majorVersion("command not found"); err == nil {
		t.Error("no error for output without a version")
	}
}

func TestPropertiesAreReadBackAsWritten(t *testing.T) {
	want := map[string]string{
		"plain":               "value",
		"a key=with:marks #!": `C:\dir  "quoted";`,
		"blanks":              "  both ends ",
		"lines":               "a\r\nb\tc",
		"beyond":              "žluťoučký 鯨",
		"empty":               "",
		"expression":          "a=b:c#d!e",
	}
	path := filepath.Join(t.TempDir(), "p")
	if err := writeProperties(path, want); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	read, err := loader.LoadBytes(text)
	if err != nil {
		t.Fatal(err)
	}
	if read.Len() != len(want) {
		t.Errorf("%d keys, want %d:\n%s", read.Len(), len(want), text)
	}
	for key, value := range want {
		if got, found := read.Get(key); !found || got != value {
			t.Errorf("key %q is read as %q, want %q", key, got, value)
		}
	}
}

func TestFreePortsAreFreeDifferentAndOutOfTheWayOfClients(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		port := FreePort(t)
		if seen[port] {
			t.Errorf("port %d was given twice", port)
		}
		seen[port] = true
		if port < firstPort || port >= lastPort {
			t.Errorf("port %d is not between %d and %d", port, firstPort, lastPort)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			t.Errorf("port %d is not free: %v", port, err)
			continue
		}
		listener.Close()
	}
}
