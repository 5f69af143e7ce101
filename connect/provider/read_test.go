package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileWithoutEndIsAnError(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int64{"much": sizeLimit + 1, "most": sizeLimit} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
	}
	p := mustNew(t, allThree())
	references := map[string]string{
		`at path "` + dir + `": file "much": the file is larger than 16 MiB`:           "${dir:" + dir + ":much}",
		`at path "` + filepath.Join(dir, "much") + `": the file is larger than 16 MiB`: "${file:" + filepath.Join(dir, "much") + ":x}",
	}
	if _, err := os.Stat("/dev/zero"); err == nil {
		references[`at path "/dev/zero": the file is larger than 16 MiB`] = "${file:/dev/zero:x}"
	}
	for want, reference := range references {
		_, err := p.Transform(t.Context(), "c", map[string]string{"k": reference})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", reference, err, want)
		}
	}
	got, err := p.Transform(t.Context(), "c", map[string]string{"k": "${dir:" + dir + ":most}"})
	if err != nil || len(got["k"]) != sizeLimit {
		t.Errorf("%d bytes of the largest file: %v", len(got["k"]), err)
	}
}

// <(...) of a shell, for one.
func TestAPipeIsRead(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := "/proc/self/fd/" + fmt.Sprint(r.Fd())
	if _, err := os.Stat(path); err != nil {
		t.Skip("no files of descriptors here")
	}
	if _, err := w.WriteString("x=1\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := mustNew(t, allThree()).Transform(t.Context(), "c", map[string]string{"k": "${file:" + path + ":x}"})
	if err != nil || got["k"] != "1" {
		t.Errorf("got %v, %v", got, err)
	}
}
