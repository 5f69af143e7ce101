package filestore_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/storage"
	"tributary/storage/filestore"
	"tributary/storage/storagetest"
)

type fields = map[string]any

func TestOffsetStore(t *testing.T) {
	storagetest.TestOffsetStore(t, func(t *testing.T) func() storage.OffsetStore {
		path := filepath.Join(t.TempDir(), "connect.offsets")
		return func() storage.OffsetStore { return filestore.New(path, slog.New(slog.DiscardHandler)) }
	})
}

// open starts a store over path; what it logs goes to the returned buffer.
func open(t *testing.T, path string) (*filestore.Store, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	store := filestore.New(path, slog.New(slog.NewTextHandler(log, nil)))
	if err := store.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Stop)
	return store, log
}

func write(t *testing.T, store *filestore.Store, partition, offset fields) {
	t.Helper()
	record, err := store.Record("files", partition, offset)
	if err == nil {
		err = store.WriteOffsets(t.Context(), []storage.OffsetRecord{record})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, store *filestore.Store, partitions ...fields) []fields {
	t.Helper()
	offsets, err := store.Offsets(t.Context(), "files", partitions)
	if err != nil {
		t.Fatal(err)
	}
	return offsets
}

func file(name string) fields { return fields{"filename": name} }

func copyOf(t *testing.T, name string) (path string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "connect.offsets")
	if err := os.WriteFile(path, content, 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCarriesOnWhereJavaStopped(t *testing.T) {
	path := copyOf(t, "java-13.offsets")
	store, log := open(t, path)
	got := read(t, store, file("/var/log/é-12"), file("/var/log/é-6"), file("/var/log/é-99"))
	if diff := cmp.Diff([]fields{{"position": int64(12000)}, nil, nil}, got); diff != "" {
		t.Errorf("offsets (-want +got):\n%s", diff)
	}
	if partitions, err := store.Partitions(t.Context(), "files"); err != nil || len(partitions) != 12 {
		t.Errorf("%d partitions, %v; the removed one does not count", len(partitions), err)
	}

	write(t, store, file("/var/log/é-12"), fields{"position": int64(12500)})
	late, _ := open(t, path)
	got = read(t, late, file("/var/log/é-12"), file("/var/log/é-11"))
	if diff := cmp.Diff([]fields{{"position": int64(12500)}, {"position": int64(11000)}}, got); diff != "" {
		t.Errorf("offsets after a write (-want +got):\n%s", diff)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode is %v, %v; want it kept", info.Mode(), err)
	}
	if log.Len() > 0 {
		t.Errorf("logged: %s", log)
	}
}

// go.offsets was read with FileOffsetBackingStore as OffsetsFile.java's "read" shows.
func TestWritesWhatJavaHasRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "connect.offsets")
	store, _ := open(t, path)
	for _, name := range []string{"b", "é😀", "a"} {
		write(t, store, file(name), fields{"position": int64(len(name))})
	}
	write(t, store, file("b"), nil)
	if got, want := contents(t, path), contents(t, filepath.Join("testdata", "go.offsets")); !bytes.Equal(got, want) {
		t.Errorf("written:\n%q\nwant:\n%q", got, want)
	}
}

func TestMissingAndEmptyFilesHoldNoOffsets(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, filepath.Join(t.TempDir(), "missing"), os.DevNull} {
		store, _ := open(t, path)
		if got := read(t, store, file("a")); got[0] != nil {
			t.Errorf("%s: offset %v", path, got)
		}
		write(t, store, file("a"), fields{"position": int64(1)})
		if got := read(t, store, file("a")); got[0]["position"] != int64(1) {
			t.Errorf("%s: offset after a write: %v", path, got)
		}
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s was replaced by a file: %v, %v", os.DevNull, info, err)
	}
}

func TestWhatIsNoSourceOffsetStaysInTheFile(t *testing.T) {
	path := copyOf(t, "java-odd.offsets")
	store, log := open(t, path)
	write(t, store, file("a"), fields{"position": int64(8)})
	if !bytes.Contains(contents(t, path), []byte("not JSON")) {
		t.Error("an entry was lost")
	}
	if !strings.Contains(log.String(), "not JSON") {
		t.Errorf("nothing was said of the odd entry: %s", log)
	}
}

func TestBadFilesAreErrorsThatNameKeyAndPath(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "worker.properties")
	if err := os.WriteFile(text, []byte("bootstrap.servers=localhost:9092\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut")
	if err := os.WriteFile(cut, contents(t, filepath.Join("testdata", "java-3.offsets"))[:200], 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		text: "it is not a file of offsets: at byte 0: a java.util.HashMap was expected; name another file, or remove this one to begin without offsets",
		cut:  "it is not a file of offsets: it ends before the map does; name another file, or remove this one to begin without offsets",
		dir:  "it must be a file but is a folder",
		filepath.Join(dir, "none", "connect.offsets"): "the folder " + filepath.Join(dir, "none") + " does not exist",
		filepath.Join(text, "connect.offsets"):        "files in the folder " + text + " cannot be written: not a directory",
	} {
		err := filestore.New(path, slog.New(slog.DiscardHandler)).Start(t.Context())
		if want = "offset.storage.file.filename is " + path + ": " + want; err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(dir, ".*")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

// A cleaner of temporary folders must not cost offsets.
func TestAFileThatVanishesIsWrittenAnewAsAWhole(t *testing.T) {
	path := copyOf(t, "java-3.offsets")
	store, _ := open(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, store, file("new"), fields{"position": int64(1)})
	late, _ := open(t, path)
	got := read(t, late, file("new"), file("/var/log/é-2"))
	if diff := cmp.Diff([]fields{{"position": int64(1)}, {"position": int64(2000)}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnotherWorkersWritesAreKeptAndReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "connect.offsets")
	a, log := open(t, path)
	b, _ := open(t, path)
	write(t, a, file("a"), fields{"position": int64(1)})
	write(t, b, file("b"), fields{"position": int64(2)})
	write(t, a, file("a"), fields{"position": int64(3)})
	late, _ := open(t, path)
	if diff := cmp.Diff([]fields{{"position": int64(3)}, {"position": int64(2)}}, read(t, late, file("a"), file("b"))); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(log.String(), "Something else has changed the offsets file"); n != 1 {
		t.Errorf("reported %d times: %s", n, log)
	}
}

func TestAFileSpoiltWhileTheWorkerRunsIsNotOverwritten(t *testing.T) {
	path := copyOf(t, "java-3.offsets")
	store, _ := open(t, path)
	if err := os.WriteFile(path, []byte("spoilt"), 0o600); err != nil {
		t.Fatal(err)
	}
	record, err := store.Record("files", file("a"), fields{"position": 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.WriteOffsets(t.Context(), []storage.OffsetRecord{record}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the write answered %v", err)
	}
	if got := string(contents(t, path)); got != "spoilt" {
		t.Errorf("the file holds %q", got)
	}
}

func TestAWriteThatFailsChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	store, _ := open(t, filepath.Join(dir, "connect.offsets"))
	write(t, store, file("a"), fields{"position": int64(1)})
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	record, err := store.Record("files", file("a"), fields{"position": 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.WriteOffsets(t.Context(), []storage.OffsetRecord{record}); err == nil || !strings.Contains(err.Error(), "offset.storage.file.filename") {
		t.Errorf("the write answered %v", err)
	}
	if got := read(t, store, file("a")); got[0]["position"] != int64(1) {
		t.Errorf("offset %v", got)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if err := store.WriteOffsets(t.Context(), []storage.OffsetRecord{record}); err != nil {
		t.Error(err)
	}
	if got := read(t, store, file("a")); got[0]["position"] != int64(2) {
		t.Errorf("offset %v", got)
	}
}

func TestSymbolicLinksAreFollowed(t *testing.T) {
	dir := t.TempDir()
	link, goal := filepath.Join(dir, "link"), filepath.Join(dir, "goal")
	if err := os.Symlink("goal", link); err != nil {
		t.Fatal(err)
	}
	store, _ := open(t, link)
	write(t, store, file("a"), fields{"position": int64(1)})
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	late, _ := open(t, goal)
	if got := read(t, late, file("a")); got[0]["position"] != int64(1) {
		t.Errorf("offset %v", got)
	}
}
