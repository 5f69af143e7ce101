package replica

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// checkInvariants asserts A, and B and C for each pair of indices.
func checkInvariants(t rapid.TB, r *syncRing, newest OffsetSync) {
	t.Helper()
	if *r[0] != (syncPoint{newest.Upstream, newest.Downstream}) {
		t.Fatalf("A: index 0 holds %v, not the newest sync %v", *r[0], newest)
	}
	for i := range r {
		for j := i + 1; j < ringSize; j++ {
			up, behind := r[i].upstream, r[j].upstream
			if up == behind {
				continue // The same sync, or one that was repeated.
			}
			if bound := behind + int64(1)<<j - int64(1)<<i; bound >= 0 && up > bound {
				t.Fatalf("B: %d at %d is more than 2^%d-2^%d ahead of %d at %d", up, i, j, i, behind, j)
			}
			if bound := behind + int64(1)<<max(i-2, 0); bound < 0 || up < bound {
				t.Fatalf("C: %d at %d is less than 2^%d ahead of %d at %d", up, i, max(i-2, 0), behind, j)
			}
		}
	}
}

// distinct counts the syncs that a ring holds.
func distinct(r *syncRing) int {
	seen := map[*syncPoint]bool{}
	for _, s := range r {
		seen[s] = true
	}
	return len(seen)
}

// addAll adds syncs of t0 whose offsets are equal on both sides.
func addAll(t *testing.T, s *OffsetSyncStore, from, to, step int64) {
	t.Helper()
	for offset := from; offset <= to; offset += step {
		s.Add(OffsetSync{t0, offset, offset})
		checkInvariants(t, s.rings[t0], OffsetSync{t0, offset, offset})
	}
}

func readyStore(keepHistory bool) *OffsetSyncStore {
	s := NewOffsetSyncStore(keepHistory)
	s.Ready()
	return s
}

func expectTranslation(t *testing.T, s *OffsetSyncStore, upstream, want int64) {
	t.Helper()
	if got, ok := s.TranslateDownstream(t0, upstream); !ok || got != want {
		t.Errorf("offset %d is translated to %d, %v; want %d", upstream, got, ok, want)
	}
}

// expectBoundaries asserts which syncs t0 has left: boundaries are their offsets,
// oldest first; just below each, a consumer is translated to one past the one before.
func expectBoundaries(t *testing.T, s *OffsetSyncStore, boundaries ...int64) {
	t.Helper()
	before := TooOld
	for i, boundary := range boundaries {
		if i > 0 || boundary > 0 {
			expectTranslation(t, s, boundary-1, before)
		}
		expectTranslation(t, s, boundary, boundary)
		before = boundary + 1
	}
}

func TestOffsetsAreTranslatedByTheNewestSyncAtOrBeforeThem(t *testing.T) {
	s := readyStore(false)
	s.Add(OffsetSync{t0, 100, 200})
	expectTranslation(t, s, 150, 201) // Never further than one past a sync.
	s.Add(OffsetSync{t0, 150, 251})
	expectTranslation(t, s, 150, 251)
	expectTranslation(t, s, 5, TooOld)
	s.Add(OffsetSync{t0, 200, 10}) // The target's offsets start again.
	expectTranslation(t, s, 200, 10)
	s.Add(OffsetSync{t0, 20, 20}) // The source's offsets start again.
	expectTranslation(t, s, 20, 20)
}

func TestNothingIsTranslatedBeforeTheInitialReadIsDone(t *testing.T) {
	for _, keepHistory := range []bool{true, false} {
		s := NewOffsetSyncStore(keepHistory)
		s.Add(OffsetSync{t0, 100, 200})
		if got, ok := s.TranslateDownstream(t0, 100); ok {
			t.Errorf("translated to %d before Ready", got)
		}
		s.Ready()
		expectTranslation(t, s, 0, TooOld)
		expectTranslation(t, s, 100, 200)
		expectTranslation(t, s, 200, 201)
	}
}

func TestPartitionsWithoutSyncsAreNotTranslated(t *testing.T) {
	s := readyStore(true)
	s.Add(OffsetSync{t0, 0, 0})
	if got, ok := s.TranslateDownstream(t1, 0); ok {
		t.Errorf("translated to %d", got)
	}
}

func TestWithoutCheckpointsOnlyTheLastSyncOfTheHistoryIsUsed(t *testing.T) {
	s := NewOffsetSyncStore(false)
	addAll(t, s, 0, 1000, 10)
	s.Ready()
	expectBoundaries(t, s, 1000)

	addAll(t, s, 1010, 10000, 10)
	// D: the last sync of the initial read is still there, and nothing before it.
	expectBoundaries(t, s, 1000, 4840, 6760, 8680, 9160, 9640, 9880, 9940, 9970, 9990, 10000)

	s.Add(OffsetSync{t0, 1500, 11000})
	checkInvariants(t, s.rings[t0], OffsetSync{t0, 1500, 11000})
	expectTranslation(t, s, 1499, TooOld)
	expectTranslation(t, s, 1500, 11000)
	expectTranslation(t, s, 2000, 11001)
}

func TestWithCheckpointsTheWholeHistoryIsUsed(t *testing.T) {
	s := NewOffsetSyncStore(true)
	addAll(t, s, 0, 1000, 10)
	s.Ready()
	expectBoundaries(t, s, 0, 480, 720, 840, 900, 960, 990, 1000)

	addAll(t, s, 1010, 10000, 10)
	expectBoundaries(t, s, 0, 3840, 7680, 8640, 9120, 9600, 9840, 9900, 9960, 9990, 10000)
}

func TestATargetThatStartsAgainInvalidatesTheHistory(t *testing.T) {
	s := readyStore(true)
	addAll(t, s, 0, 1000, 10)
	s.Add(OffsetSync{t0, 1010, 0})
	checkInvariants(t, s.rings[t0], OffsetSync{t0, 1010, 0})
	expectTranslation(t, s, 990, TooOld) // Not 990, which the target no longer has.
	expectTranslation(t, s, 1010, 0)
	expectTranslation(t, s, 1011, 1)
}

func TestSyncsAtTheLargestOffsetsKeepTheInvariants(t *testing.T) {
	r := new(syncRing)
	r.fill(&syncPoint{0, 0})
	for _, up := range []int64{1, math.MaxInt64 / 2, math.MaxInt64 - 2, math.MaxInt64 - 1, math.MaxInt64} {
		r.push(&syncPoint{up, up})
		checkInvariants(t, r, OffsetSync{t0, up, up})
	}
}

// javaSequence calls yield with the count syncs of one of the sequences from which
// testdata/java-rings.txt was made: a xorshift generator and seven kinds of gaps.
func javaSequence(kind, count int, yield func(up, down int64)) {
	x := uint64(88172645463325252 + kind*1000 + count)
	var up, down int64
	for range count {
		yield(up, down)
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		r := int64(x >> 1)
		var gap int64
		switch kind {
		case 0:
			gap = 1
		case 1:
			gap = 101
		case 2:
			gap = 1 + r%16
		case 3:
			gap = 1 << (r % 30)
		case 4:
			gap = r % 3 // Repeated offsets, too.
		case 5:
			gap = 1 + r%(1<<40)
		default:
			gap = 1 + r%100
			if r%50 == 0 {
				gap = -(up / 2)
			}
		}
		up += gap
		if gap < 0 {
			down++
		} else {
			down += max(gap/2, 1)
		}
	}
}

func TestTheRingKeepsTheSyncsThatJavaKeeps(t *testing.T) {
	data, err := os.ReadFile("testdata/java-rings.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for scanner := bufio.NewScanner(bytes.NewReader(data)); scanner.Scan(); {
		want := scanner.Text()
		if strings.HasPrefix(want, "#") {
			continue
		}
		var kind, count int
		if _, err := fmt.Sscan(want, &kind, &count); err != nil {
			t.Fatalf("%q: %v", want, err)
		}
		cases++
		s := readyStore(true)
		javaSequence(kind, count, func(up, down int64) { s.Add(OffsetSync{t0, up, down}) })

		got := fmt.Sprintf("%d %d", kind, count)
		ring := s.rings[t0]
		for i, run := 0, 0; i < ringSize; i += run {
			for run = 1; i+run < ringSize && ring[i+run] == ring[i]; run++ {
			}
			got += fmt.Sprintf(" %dx%d:%d", run, ring[i].upstream, ring[i].downstream)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("kind %d, %d syncs (-Java +Go):\n%s", kind, count, diff)
		}
	}
	if cases != 49 {
		t.Errorf("%d golden rings, want 49", cases)
	}
}

func TestTheRingKeepsItsInvariantsWhateverComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := new(syncRing)
		s := OffsetSync{t0, rapid.Int64Range(0, math.MaxInt64).Draw(t, "up"), 0}
		r.fill(&syncPoint{s.Upstream, s.Downstream})
		for range rapid.IntRange(1, 80).Draw(t, "pushes") {
			switch rapid.IntRange(0, 20).Draw(t, "kind") {
			case 0: // Anywhere, mostly a rewind or the far end.
				s.Upstream = rapid.Int64Range(0, math.MaxInt64).Draw(t, "up")
			case 1: // The same once more.
			default:
				gap := int64(1) << rapid.IntRange(0, 40).Draw(t, "bits")
				if s.Upstream > math.MaxInt64-gap {
					gap = 0
				}
				s.Upstream += gap
			}
			s.Downstream += rapid.Int64Range(-1, 10).Draw(t, "down")
			old := *r
			r.push(&syncPoint{s.Upstream, s.Downstream})
			checkRing(t, &old, r, s)
		}
	})
}

// checkRing asserts the invariants after a push, and that the ring only holds what it
// held before or was just given, newest first.
func checkRing(t *rapid.T, old, r *syncRing, newest OffsetSync) {
	for i := 1; i < ringSize; i++ {
		if r[i] != r[0] {
			known := false
			for _, o := range old {
				known = known || o == r[i]
			}
			if !known {
				t.Fatalf("index %d holds %v, which the ring did not hold before", i, *r[i])
			}
		}
		if r[i].upstream > r[i-1].upstream || r[i].downstream > r[i-1].downstream {
			t.Fatalf("index %d holds %v, newer than %v before it", i, *r[i], *r[i-1])
		}
	}
	checkInvariants(t, r, newest)
}

// expectFewExpirations pushes count syncs with the gaps that next gives, and asserts
// that none makes more than limit others expire.
func expectFewExpirations(t *testing.T, first int64, count, limit int, next func() int64) {
	t.Helper()
	r := new(syncRing)
	r.fill(&syncPoint{first, first})
	up, before := first, 1
	for range count {
		up += next()
		r.push(&syncPoint{up, up})
		now := distinct(r)
		if expired := before + 1 - now; expired > limit {
			t.Fatalf("the sync at %d makes %d others expire, more than %d", up, expired, limit)
		}
		before = now
	}
}

func TestEvenlySpacedSyncsExpireOneByOne(t *testing.T) {
	for step := int64(1); step < 1<<40; step = step*3 + 1 {
		for _, first := range []int64{0, 1, 1 << 20} {
			expectFewExpirations(t, first, 500, 1, func() int64 { return step })
		}
	}
}

// The bounds of the next two tests hold for random gaps, not for the worst ones, so
// the sequences are fixed.
func TestSyncsWithGapsOfNBitsExpireSlowly(t *testing.T) {
	for bits := 1; bits <= 20; bits++ {
		for seed := range uint64(10) {
			random := rand.New(rand.NewPCG(seed, uint64(bits)))
			expectFewExpirations(t, 0, 500, bits+2, func() int64 { return 1 + random.Int64N(1<<bits-1) })
		}
	}
}

func TestEvenlySpacedSyncsWithSomeMissingExpireSlowly(t *testing.T) {
	for _, step := range []int64{1, 2, 10, 100, 101, 1000, 1 << 20} {
		for seed := range uint64(10) {
			random := rand.New(rand.NewPCG(seed, uint64(step)))
			expectFewExpirations(t, 0, 1000, 4, func() int64 {
				if random.IntN(100) == 0 {
					return 2 * step
				}
				return step
			})
		}
	}
}

// The promise that consumers rely on: whatever part of the source was mirrored, and
// whichever syncs were sent, a consumer that goes on at the translated offset misses
// nothing that it has not read; and a consumer that is further on is not translated
// to an earlier offset.
func TestTranslationNeverSkipsAndNeverFalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := readyStore(rapid.Bool().Draw(t, "keep history"))
		// downstreamOf[i] is where the source's record i was written, -1 if it was not.
		var downstreamOf []int64
		var down int64
		for range rapid.IntRange(1, 300).Draw(t, "records") {
			kind := rapid.IntRange(0, 9).Draw(t, "kind")
			if kind == 0 { // Lost to compaction, or a marker.
				downstreamOf = append(downstreamOf, -1)
				continue
			}
			if kind == 1 { // Something else on the target.
				down += 3
			}
			downstreamOf = append(downstreamOf, down)
			if kind < 5 {
				s.Add(OffsetSync{t0, int64(len(downstreamOf) - 1), down})
			}
			down++
		}
		truth := down // Of the first record mirrored at or after upstream.
		translatedAbove := int64(math.MaxInt64)
		for upstream := len(downstreamOf); upstream >= 0; upstream-- {
			if upstream < len(downstreamOf) && downstreamOf[upstream] >= 0 {
				truth = downstreamOf[upstream]
			}
			got, ok := s.TranslateDownstream(t0, int64(upstream))
			if !ok {
				break // No sync was sent at all.
			}
			if got > truth {
				t.Fatalf("offset %d is translated to %d, past %d", upstream, got, truth)
			}
			if got > translatedAbove {
				t.Fatalf("offset %d is translated to %d, but %d to %d", upstream, got, upstream+1, translatedAbove)
			}
			translatedAbove = got
		}
	})
}

func TestTheStoreMayBeReadWhileItIsFilled(t *testing.T) {
	s := NewOffsetSyncStore(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range int64(1000) {
			s.Add(OffsetSync{t0, i, i})
			if i == 10 {
				s.Ready()
			}
		}
	})
	for range 1000 {
		if got, ok := s.TranslateDownstream(t0, 5); ok && got > 5 {
			t.Errorf("translated to %d", got)
		}
	}
	wg.Wait()
	expectTranslation(t, s, 999, 999)
}
