package main

import (
	"testing"
)

func TestMemoryIsTouchedAndGivenBack(t *testing.T) {
	const megabytes = 300
	before := residentPeak(t)
	if before > megabytes<<10 {
		t.Fatalf("the test has had %d kB already, more than it touches", before)
	}
	if err := touchMemory(megabytes); err != nil {
		t.Fatal(err)
	}
	if peak := residentPeak(t); peak < megabytes<<10 {
		t.Errorf("at most %d kB were resident, want %d MB", peak, megabytes)
	}
	if err := touchMemory(0); err != nil {
		t.Errorf("touching nothing: %v", err)
	}
}

func residentPeak(t *testing.T) (kilobytes int) {
	t.Helper()
	kilobytes, err := inKilobytes("/proc/self/status", "VmHWM")
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes
}
