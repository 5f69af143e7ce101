package mirror

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAChoreIsRetriedWithGrowingPausesAndItsFailureSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &logBook{}
		began := time.Now()
		var at []time.Duration
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		doChores(ctx, 0, newTroubles(slog.New(slog.NewTextHandler(book, nil))), chore{name: "dig", do: func(context.Context) error {
			at = append(at, time.Since(began))
			if len(at) < 5 {
				return errors.New("a stone")
			}
			return nil
		}})
		if diff := cmp.Diff([]time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}, at); diff != "" {
			t.Error(diff)
		}
		if len(book.lines("Failed to dig", "a stone")) != 1 || len(book.lines()) != 2 || len(book.lines("A problem is over")) != 1 {
			t.Errorf("want one line when it fails and one when it is over: %q", book.lines())
		}
	})
}

func TestAGentleChoreRestsInProportionToItsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		doChores(ctx, 0, newTroubles(discard()), chore{name: "look", every: 2 * time.Second, gentle: true, do: func(context.Context) error {
			at = append(at, time.Since(began))
			time.Sleep(time.Second)
			return nil
		}})
		if diff := cmp.Diff([]time.Duration{0, 21 * time.Second, 42 * time.Second}, at); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAGentleChoreRestsInProportionToItsCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		look := chore{name: "look", every: 2 * time.Second, gentle: true, do: func(context.Context) error {
			at = append(at, time.Since(began))
			time.Sleep(time.Second)
			return nil
		}}
		look.cost = func() time.Duration { return 200 * time.Millisecond }
		doChores(ctx, 0, newTroubles(discard()), look)
		if diff := cmp.Diff([]time.Duration{0, 5 * time.Second}, at); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAGentleChoreRestsNoLongerThanANewTopicMayWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		look := chore{name: "look", every: 2 * time.Second, gentle: true, do: func(context.Context) error {
			at = append(at, time.Since(began))
			return nil
		}}
		look.cost = func() time.Duration { return 5 * time.Second }
		doChores(ctx, 0, newTroubles(discard()), look)
		if diff := cmp.Diff([]time.Duration{0, 30 * time.Second}, at); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOneSlowListOfTopicsIsNoSizeOfACluster(t *testing.T) {
	view := topicView{lists: [2]time.Duration{4 * time.Second, 10 * time.Millisecond}}
	if got := view.listing(); got != 10*time.Millisecond {
		t.Errorf("listing costs %s after one slow answer, want 10ms", got)
	}
	view.lists[1] = 3 * time.Second
	if got := view.listing(); got != 3*time.Second {
		t.Errorf("listing costs %s after two slow answers, want 3s", got)
	}
}

func TestAChoreThatWaitsForAnotherIsNoFailureAndRunsSoonAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &logBook{}
		var order []string
		looked := false
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		doChores(ctx, time.Second, newTroubles(slog.New(slog.NewTextHandler(book, nil))),
			chore{name: "look", do: func(ctx context.Context) error {
				order = append(order, "look")
				if len(order) == 1 {
					<-ctx.Done() // too long
					return ctx.Err()
				}
				looked = true
				return nil
			}},
			chore{name: "sync", every: time.Hour, do: func(context.Context) error {
				if !looked {
					return errNotYet
				}
				order = append(order, "sync")
				return nil
			}})
		if diff := cmp.Diff([]string{"look", "look", "sync"}, order); diff != "" {
			t.Error(diff)
		}
		if lines := book.lines("sync"); len(lines) != 0 {
			t.Errorf("waiting was logged: %q", lines)
		}
		if len(book.lines("Failed to look", "admin.timeout.ms = 1000")) != 1 {
			t.Errorf("the time-out was not told: %q", book.lines())
		}
	})
}
