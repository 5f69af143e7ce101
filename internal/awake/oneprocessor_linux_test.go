package awake

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// collectVariable has the test binary do nothing but what TestAGarbageCollectionOnOneProcessorWakesTheNapAFewTimes measures.
const collectVariable = "AWAKE_TEST_COLLECT"

func TestMain(m *testing.M) {
	if os.Getenv(collectVariable) != "" {
		fmt.Println("switches:", switchesOfCollections())
		return
	}
	os.Exit(m.Run())
}

const collections = 20

// switchesOfCollections is how often threads gave their processor away in some garbage collections while a goroutine napped.
func switchesOfCollections() int64 {
	for Keep(); !held.Load(); Keep() {
		runtime.Gosched()
	}
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for range collections {
		Keep()
		runtime.GC()
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	return after.Nvcsw - before.Nvcsw
}

// With one processor for all threads the collector and the goroutine that naps take turns: the collector must not have to ask for
// its stack each time anew.
func TestAGarbageCollectionOnOneProcessorWakesTheNapAFewTimes(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var mask, one [16]uintptr // of 1,024 processors
	affinity := func(call uintptr, mask *[16]uintptr) {
		if _, _, err := syscall.RawSyscall(call, 0, unsafe.Sizeof(*mask), uintptr(unsafe.Pointer(mask))); err != 0 {
			t.Fatal(err)
		}
	}
	affinity(syscall.SYS_SCHED_GETAFFINITY, &mask)
	for i, word := range mask {
		if word != 0 {
			one[i] = word & -word
			break
		}
	}
	affinity(syscall.SYS_SCHED_SETAFFINITY, &one)
	defer affinity(syscall.SYS_SCHED_SETAFFINITY, &mask)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // it may never end
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), collectVariable+"=1", "GOMAXPROCS=2")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, number, _ := strings.Cut(string(out), "switches: ")
	switches, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if switches > 200*collections {
		t.Errorf("%d switches of threads in %d collections, want some dozens in each", switches, collections)
	}
}
