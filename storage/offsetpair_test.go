package storage_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"tributary/storage"
	"tributary/storage/memstore"
)

// failing is a store that cannot be written to while told so.
type failing struct {
	storage.OffsetStore
	err error
}

func (f *failing) WriteOffsets(ctx context.Context, records []storage.OffsetRecord) error {
	if f.err != nil {
		return f.err
	}
	return f.OffsetStore.WriteOffsets(ctx, records)
}

func TestOffsetPairReadsItsOwnStoreBeforeTheCopyAndKeepsTheCopy(t *testing.T) {
	ctx := t.Context()
	log := slog.New(slog.DiscardHandler)
	open := func() *failing {
		s := memstore.NewOffsetStore(nil, "t", log)
		if err := s.Start(ctx); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		return &failing{OffsetStore: s}
	}
	own, shared := open(), open()
	pair := storage.NewOffsetPair(own, shared, log)
	write := func(s storage.OffsetStore, p string, at any) error {
		var offset map[string]any
		if at != nil {
			offset = map[string]any{"at": at}
		}
		r, err := s.Record("c", map[string]any{"p": p}, offset)
		if err != nil {
			t.Fatal(err)
		}
		return s.WriteOffsets(ctx, []storage.OffsetRecord{r})
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// state is what a store says of partitions a, b and c, and which it lists.
	state := func(s storage.OffsetStore) string {
		offsets, err := s.Offsets(ctx, "c", []map[string]any{{"p": "a"}, {"p": "b"}, {"p": "c"}})
		must(err)
		partitions, err := s.Partitions(ctx, "c")
		must(err)
		return fmt.Sprint(offsets, partitions)
	}
	expect := func(what string, s storage.OffsetStore, want string) {
		t.Helper()
		if got := state(s); got != want {
			t.Errorf("%s:\n got %s\nwant %s", what, got, want)
		}
	}
	must(write(shared, "a", 1))
	must(write(shared, "b", 1))
	must(write(own, "b", 2))
	expect("both", pair, "[map[at:1] map[at:2] map[]] [map[p:b] map[p:a]]")

	must(write(pair, "c", 3))
	expect("own", own, "[map[] map[at:2] map[at:3]] [map[p:b] map[p:c]]")
	expect("copy", shared, "[map[at:1] map[at:1] map[at:3]] [map[p:a] map[p:b] map[p:c]]")

	must(write(pair, "b", nil))
	expect("own after a removal", own, "[map[] map[] map[at:3]] [map[p:c]]")
	expect("copy after a removal", shared, "[map[at:1] map[] map[at:3]] [map[p:a] map[p:c]]")

	// A copy that is away costs nothing but the copy, save for removals.
	shared.err = errors.New("away")
	must(write(pair, "b", 4))
	expect("both without the copy", pair, "[map[at:1] map[at:4] map[at:3]] [map[p:b] map[p:c] map[p:a]]")
	if err := write(pair, "b", nil); !errors.Is(err, shared.err) {
		t.Errorf("a removal without the copy: %v", err)
	}
	expect("own after a failed removal", own, "[map[] map[at:4] map[at:3]] [map[p:b] map[p:c]]")
}
