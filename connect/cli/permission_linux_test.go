package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestAFileThatThisUserMayNotReadIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret.properties")
	if err := os.WriteFile(file, []byte("group.id=a\n"), 0o000); err != nil {
		t.Fatal(err)
	}

	err := asOrdinaryUser(t, func() error {
		_, err := LoadProperties(file)
		return err
	})

	if want := "the properties file " + file + " may not be read by this user"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// asOrdinaryUser calls f without the superuser's right to read everything, should the
// tests have it: only the thread's identity for files changes, and only until f returns.
func asOrdinaryUser(t *testing.T, f func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return f()
	}
	const nobody = 65534
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := syscall.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setfsuid(0); err != nil {
			t.Fatal(err)
		}
	}()
	return f()
}
