package main

import (
	"context"
	"io"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var silent = log.New(io.Discard, "", 0)

func TestAScopeThatFailsEndsAndCleansUpLastFirst(t *testing.T) {
	var did []string
	err := inScope(t.Context(), "outer", silent, func(s *scope) {
		s.Cleanup(func() { did = append(did, "first cleanup") })
		s.Cleanup(func() { s.Fatalf("a cleanup that fails") })
		s.Cleanup(func() {
			if s.Context().Err() == nil || !s.Failed() {
				t.Error("cleanups are to see an ended context and the failure")
			}
			did = append(did, "last cleanup")
		})
		s.within("inner", func(s *scope) {
			s.Cleanup(func() { did = append(did, "inner cleanup") })
			s.Fatalf("no %s", "luck")
			did = append(did, "after Fatalf")
		})
		did = append(did, "after the inner scope")
	})
	if err == nil || err.Error() != "outer/inner: no luck" {
		t.Errorf("error %v, want the first failure with the scope's name", err)
	}
	if diff := cmp.Diff([]string{"inner cleanup", "last cleanup", "first cleanup"}, did); diff != "" {
		t.Errorf("what was done (-want +got):\n%s", diff)
	}
}

func TestAnAttemptThatFailsDoesNotEndItsScope(t *testing.T) {
	var did []string
	err := inScope(t.Context(), "outer", silent, func(s *scope) {
		s.attempt("first", func(s *scope) { s.Fatalf("no luck") })
		s.attempt("second", func(*scope) { did = append(did, "second") })
		did = append(did, "after both")
	})
	if err == nil || err.Error() != "outer/first: no luck" {
		t.Errorf("error %v, want the first failure", err)
	}
	if diff := cmp.Diff([]string{"second", "after both"}, did); diff != "" {
		t.Errorf("what was done (-want +got):\n%s", diff)
	}
}

func TestAScopeRemovesItsFoldersAndSkippingFailsIt(t *testing.T) {
	var dir string
	err := inScope(t.Context(), "b", silent, func(s *scope) {
		dir = s.TempDir()
		if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
			t.Error(err)
		}
		s.Skipf("no Java")
	})
	if err == nil || !strings.Contains(err.Error(), "no Java") {
		t.Errorf("error %v, want the reason for the skip", err)
	}
	if _, err := os.Stat(dir); dir == "" || !os.IsNotExist(err) {
		t.Errorf("folder %q is there after its scope: %v", dir, err)
	}
}

func TestAnInterruptionEndsTheScopeButIsNoFailureOfItsPrograms(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := inScope(ctx, "b", silent, func(s *scope) {
		s.Cleanup(func() {
			if s.Failed() {
				t.Error("an interrupted scope passes for one whose programs failed: their logs would be shown")
			}
		})
		cancel()
		s.pause(time.Minute)
	})
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("error %v, want one that says interrupted", err)
	}
}
