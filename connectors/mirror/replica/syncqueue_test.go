package replica

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var errSend = errors.New("send failed")

// MirrorMaker 2 decides alike, but syncs gaps of the source, too.
func TestLagRuleSyncsWhatTranslationNeeds(t *testing.T) {
	steps := []struct {
		up, down int64
		now      bool
	}{
		{0, 100, true},  // first
		{2, 102, false}, // a gap in the source: translated to 101 from here on
		{3, 150, false}, // 49 behind
		{4, 151, true},  // 50 behind
		{5, 154, false},
		{6, 201, false},
		{7, 202, true},
		{2, 206, true}, // source went back
		{3, 207, false},
		{4, 3, true}, // target went back
		{5, 4, false},
		{7, 6, false},
		{7, 7, true}, // the same record again
		{8, 7, true}, // target lost that one
	}
	state, rule := NewPartitionSyncState(), LagRule(50)
	for _, step := range steps {
		if got := state.Record(rule, step.up, step.down); got != step.now {
			t.Errorf("(%d, %d): sync now = %v, want %v", step.up, step.down, got, step.now)
		}
	}
}

// A burst that is acknowledged while one sync is in flight.
func TestABurstKeepsTheSyncsThatTranslationNeeds(t *testing.T) {
	const lagMax, burst, begin = 20, 50_000, 7
	for name, acked := range map[string]func(q *SyncQueue){
		"record by record": func(q *SyncQueue) {
			for i := range int64(burst) {
				q.Acked(t0, begin+i, i)
			}
		},
		"in batches": func(q *SyncQueue) {
			for i := int64(0); i < burst; i += 500 {
				q.AckedRun(t0, begin+i, i, 500)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			q, store := NewSyncQueue(LagRule(lagMax), 10), NewOffsetSyncStore(true)
			store.Ready()
			acked(q)
			q.Promote()
			sent := 0
			for taken := takeAll(q); len(taken) > 0; taken = takeAll(q) {
				for _, s := range taken {
					sent++
					store.Add(s)
					q.Sent(s, nil)
				}
			}
			if most := 20; sent > most {
				t.Errorf("%d syncs for one burst, want at most %d", sent, most)
			}
			for behind := int64(0); behind <= burst; behind++ {
				truth := int64(burst) - behind
				got, ok := store.TranslateDownstream(t0, begin+truth)
				if allowed := max(lagMax, 3*behind); !ok || got > truth || truth-got > allowed {
					t.Fatalf("%d behind the end: translated to %d, %v, the place is %d; at most %d before it are allowed", behind, got, ok, truth, allowed)
				}
			}
		})
	}
}

func TestASyncThatTellsOfANewBeginningIsNotLostInABurst(t *testing.T) {
	q, store := NewSyncQueue(LagRule(20), 10), NewOffsetSyncStore(true)
	store.Ready()
	q.AckedRun(t0, 0, 0, 1000)
	for _, s := range takeAll(q) {
		store.Add(s)
	}
	q.AckedRun(t0, 1000, 0, 5000) // the target's topic was made anew
	q.Sent(OffsetSync{t0, 0, 0}, nil)
	for taken := takeAll(q); len(taken) > 0; taken = takeAll(q) {
		for _, s := range taken {
			store.Add(s)
			q.Sent(s, nil)
		}
	}
	if got, _ := store.TranslateDownstream(t0, 500); got != TooOld {
		t.Errorf("what was mirrored to the former topic is translated to %d", got)
	}
}

// Each transaction of one record leaves a marker, so the offsets of source and target
// drift apart by one each time.
func TestSmallTransactionsCostNoSyncEach(t *testing.T) {
	const lagMax, transactions = 100, 1000
	state, rule, store := NewPartitionSyncState(), LagRule(lagMax), NewOffsetSyncStore(true)
	store.Ready()
	syncs := 0
	for n := int64(0); n < transactions; n++ {
		if state.Record(rule, 2*n, n) {
			syncs++
			store.Add(OffsetSync{TopicPartition: t0, Upstream: 2 * n, Downstream: n})
		}
		for _, position := range []int64{2*n + 1, 2*n + 2} { // before and behind the marker
			got, ok := store.TranslateDownstream(t0, position)
			if truth := n + 1; !ok || got > truth || truth-got > lagMax {
				t.Fatalf("after %d transactions position %d is translated to %d, %v; it stands at %d", n+1, position, got, ok, truth)
			}
		}
	}
	if want := transactions/(lagMax+1) + 1; syncs != want {
		t.Errorf("%d syncs for %d transactions, want %d", syncs, transactions, want)
	}
}

func TestLagRuleWithoutAllowedLagSyncsEachRecord(t *testing.T) {
	state := NewPartitionSyncState()
	for i := int64(0); i < 5; i++ {
		if !state.Record(LagRule(0), i, i) {
			t.Errorf("record %d is not synced", i)
		}
	}
}

func TestLagRuleSyncsOneRecordIn101ByDefault(t *testing.T) {
	state := NewPartitionSyncState()
	var synced []int64
	for i := int64(0); i <= 303; i++ {
		if state.Record(LagRule(100), i, i) {
			synced = append(synced, i)
		}
	}
	if diff := cmp.Diff([]int64{0, 101, 202, 303}, synced); diff != "" {
		t.Error(diff)
	}
}

// takeAll takes what the queue has to send.
func takeAll(q *SyncQueue) []OffsetSync {
	var taken []OffsetSync
	for s, ok := q.Next(); ok; s, ok = q.Next() {
		taken = append(taken, s)
	}
	return taken
}

func expectTaken(t *testing.T, q *SyncQueue, want ...OffsetSync) {
	t.Helper()
	if diff := cmp.Diff(want, takeAll(q)); diff != "" {
		t.Errorf("syncs to send (-want +got):\n%s", diff)
	}
}

var (
	t0 = TopicPartition{"t", 0}
	t1 = TopicPartition{"t", 1}
	t2 = TopicPartition{"t", 2}
)

func TestFirstRecordIsSyncedAtOnceAndLaterOnesWithTheNextCommit(t *testing.T) {
	q := NewSyncQueue(LagRule(100), 10)
	q.Acked(t0, 5, 50)
	first := OffsetSync{t0, 5, 50}
	expectTaken(t, q, first)
	q.Sent(first, nil)

	q.Acked(t0, 6, 51)
	q.Acked(t0, 7, 52)
	expectTaken(t, q)
	if !q.Idle() || q.Unsent() != 1 {
		t.Errorf("Idle() = %v, Unsent() = %d; want true, 1", q.Idle(), q.Unsent())
	}

	q.Promote()
	expectTaken(t, q, OffsetSync{t0, 7, 52})
	q.Promote()
	expectTaken(t, q)
}

func TestSyncsAreSentInTheOrderTheirPartitionsBecameDue(t *testing.T) {
	q := NewSyncQueue(LagRule(100), 10)
	for _, tp := range []TopicPartition{t1, t0, t2} {
		q.Acked(tp, 0, 0)
	}
	q.Acked(t1, 105, 105) // due as well: it goes behind the first one of t1
	expectTaken(t, q, OffsetSync{t1, 0, 0}, OffsetSync{t0, 0, 0}, OffsetSync{t2, 0, 0})
	q.Sent(OffsetSync{t1, 0, 0}, nil)
	expectTaken(t, q, OffsetSync{t1, 105, 105})
}

func TestAnImmediateSyncReplacesTheDelayedOne(t *testing.T) {
	q := NewSyncQueue(LagRule(100), 10)
	q.Acked(t0, 0, 0)
	q.Sent(takeAll(q)[0], nil)
	q.Acked(t0, 1, 1)
	q.Acked(t0, 109, 102)
	expectTaken(t, q, OffsetSync{t0, 109, 102})
	q.Promote()
	expectTaken(t, q)
	if q.Unsent() != 0 {
		t.Errorf("%d syncs left", q.Unsent())
	}
}

func TestACompletionMakesRoomForTheNextSync(t *testing.T) {
	q := NewSyncQueue(LagRule(100), 1)
	q.Acked(t0, 0, 0)
	q.Acked(t1, 0, 0)
	expectTaken(t, q, OffsetSync{t0, 0, 0})
	if q.Idle() {
		t.Error("idle with a sync in flight and one due")
	}
	q.Sent(OffsetSync{t0, 0, 0}, nil)
	expectTaken(t, q, OffsetSync{t1, 0, 0})
	q.Sent(OffsetSync{t1, 0, 0}, nil)
	if !q.Idle() || q.Unsent() != 0 {
		t.Errorf("Idle() = %v, Unsent() = %d; want true, 0", q.Idle(), q.Unsent())
	}
}

func TestAPartitionHasOneSyncInFlightAtATime(t *testing.T) {
	q := NewSyncQueue(LagRule(0), 10)
	q.Acked(t0, 0, 0)
	first := takeAll(q)[0]
	q.Acked(t0, 1, 1)
	q.Acked(t0, 2, 2)
	expectTaken(t, q)
	q.Sent(first, nil)
	expectTaken(t, q, OffsetSync{t0, 1, 1})
	expectTaken(t, q)
	q.Sent(OffsetSync{t0, 1, 1}, nil)
	expectTaken(t, q, OffsetSync{t0, 2, 2})
}

func TestAFailedSyncIsSentAgainWithTheNextCommit(t *testing.T) {
	q := NewSyncQueue(LagRule(100), 10)
	q.Acked(t0, 0, 0)
	failed := takeAll(q)[0]
	q.Sent(failed, errSend)
	expectTaken(t, q)
	q.Promote()
	expectTaken(t, q, failed)
	q.Sent(failed, nil)
	q.Promote()
	expectTaken(t, q)
}

func TestAFailedSyncDoesNotCountAsTheLastOne(t *testing.T) {
	q := NewSyncQueue(LagRule(100), 10)
	q.Acked(t0, 0, 0)
	q.Sent(takeAll(q)[0], nil)
	for i := int64(1); i <= 101; i++ {
		q.Acked(t0, i, i)
	}
	expectTaken(t, q, OffsetSync{t0, 101, 101})
	q.Sent(OffsetSync{t0, 101, 101}, errSend)
	// Judged by the last acknowledged sync, 0, this record is too far behind.
	q.Acked(t0, 102, 102)
	expectTaken(t, q, OffsetSync{t0, 102, 102})
	q.Sent(OffsetSync{t0, 102, 102}, nil)
	q.Acked(t0, 103, 103)
	expectTaken(t, q)
}

func TestAFailedSyncGivesWayToANewerOne(t *testing.T) {
	q := NewSyncQueue(LagRule(100), 10)
	q.Acked(t0, 0, 0)
	q.Acked(t1, 0, 0)
	sendAll(q, nil)
	q.Acked(t0, 101, 101)
	q.Acked(t1, 101, 101)
	inFlight := takeAll(q)
	q.Acked(t0, 102, 102) // delayed
	q.Acked(t1, 205, 202) // pending: far ahead
	for _, s := range inFlight {
		q.Sent(s, errSend)
	}
	expectTaken(t, q, OffsetSync{t1, 205, 202})
	q.Promote()
	expectTaken(t, q, OffsetSync{t0, 102, 102})
}

func TestSentIgnoresWhatIsNotInFlight(t *testing.T) {
	q := NewSyncQueue(LagRule(100), 1)
	q.Sent(OffsetSync{t0, 0, 0}, errSend)
	q.Acked(t0, 0, 0)
	q.Sent(OffsetSync{t0, 0, 0}, errSend)
	expectTaken(t, q, OffsetSync{t0, 0, 0})
	if _, ok := q.Next(); ok {
		t.Error("a permit too many")
	}
}

// A topic's readers depend on three promises, whatever fails in between: the syncs of
// a partition arrive in the order of its records, no more than the permitted number
// is in flight, and once sending works the newest record of each partition is synced.
func TestSyncQueueLosesAndReordersNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		permits := rapid.IntRange(1, 3).Draw(t, "permits")
		q := NewSyncQueue(LagRule(rapid.Int64Range(0, 5).Draw(t, "lag")), permits)
		tps := []TopicPartition{t0, t1, t2, {"u", 0}}
		next := map[TopicPartition]OffsetSync{}
		last := map[TopicPartition]OffsetSync{}
		arrived := map[TopicPartition][]OffsetSync{}
		var inFlight []OffsetSync

		complete := func(i int, err error) {
			s := inFlight[i]
			inFlight = slices.Delete(inFlight, i, i+1)
			if err == nil {
				arrived[s.TopicPartition] = append(arrived[s.TopicPartition], s)
			}
			q.Sent(s, err)
		}
		take := func() {
			inFlight = append(inFlight, takeAll(q)...)
			if len(inFlight) > permits {
				t.Fatalf("%d syncs in flight with %d permits", len(inFlight), permits)
			}
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch action := rapid.IntRange(0, 9).Draw(t, "action"); {
			case action < 5:
				tp := rapid.SampledFrom(tps).Draw(t, "partition")
				s := OffsetSync{tp, next[tp].Upstream + rapid.Int64Range(0, 1).Draw(t, "gap"), next[tp].Downstream}
				q.Acked(tp, s.Upstream, s.Downstream)
				last[tp] = s
				next[tp] = OffsetSync{tp, s.Upstream + 1, s.Downstream + 1}
			case action == 5:
				q.Promote()
			case len(inFlight) > 0:
				var err error
				if rapid.Bool().Draw(t, "fails") {
					err = errSend
				}
				complete(rapid.IntRange(0, len(inFlight)-1).Draw(t, "completes"), err)
			}
			take()
		}

		// The end of the task: all that is in flight fails, then sending works.
		for len(inFlight) > 0 {
			complete(0, errSend)
		}
		q.Promote()
		for take(); len(inFlight) > 0; take() {
			complete(0, nil)
		}
		if !q.Idle() || q.Unsent() != 0 {
			t.Fatalf("Idle() = %v, Unsent() = %d after draining", q.Idle(), q.Unsent())
		}
		for tp, want := range last {
			got := arrived[tp]
			if len(got) == 0 || got[len(got)-1] != want {
				t.Fatalf("%v: syncs %v do not end with the last record %v", tp, got, want)
			}
			if !slices.IsSortedFunc(got, func(a, b OffsetSync) int { return int(a.Upstream - b.Upstream) }) {
				t.Fatalf("%v: syncs %v are out of order", tp, got)
			}
		}
	})
}

// Of the copy of 0 to 1000 the target lost what lay at 900 and behind it, so the record at 1001 was written there.
func TestASyncThatTellsOfANewBeginningIsSentUntilItArrives(t *testing.T) {
	tests := map[string]func(q *SyncQueue){
		"it fails alone": func(q *SyncQueue) {
			sendAll(q, errSend)
			q.AckedRun(t0, 1002, 901, 150)
		},
		"one behind it waits": func(q *SyncQueue) {
			begun := takeAll(q)
			q.AckedRun(t0, 1002, 901, 150)
			q.Sent(begun[0], errSend)
		},
		"those that follow fail, too": func(q *SyncQueue) {
			for i := range int64(5) {
				q.AckedRun(t0, 1002+100*i, 901+100*i, 100)
				q.Promote()
				sendAll(q, errSend)
			}
		},
		"the target loses some again meanwhile": func(q *SyncQueue) {
			sendAll(q, errSend)
			q.AckedRun(t0, 1002, 901, 300)
			sendAll(q, errSend)
			q.AckedRun(t0, 1302, 1100, 5)
		},
		"the source is read again meanwhile": func(q *SyncQueue) {
			sendAll(q, errSend)
			q.AckedRun(t0, 1002, 901, 300)
			sendAll(q, errSend)
			q.AckedRun(t0, 1100, 1201, 5)
		},
	}
	for name, meanwhile := range tests {
		for life, before := range map[string]int64{"in one life": 1001, "between two lives": 0} {
			t.Run(name+" "+life, func(t *testing.T) {
				q, store := NewSyncQueue(LagRule(100), 10), NewOffsetSyncStore(true)
				store.Ready()
				store.Add(OffsetSync{t0, 0, 0})
				store.Add(OffsetSync{t0, 1000, 1000})
				q.AckedRun(t0, 0, 0, before)
				sendAll(q, nil)

				q.Acked(t0, 1001, 900)
				meanwhile(q)
				for range 2 {
					q.Promote()
					for _, s := range sendAll(q, nil) {
						store.Add(s)
					}
				}

				if got, ok := store.TranslateDownstream(t0, 1050); !ok || got > 949 {
					t.Errorf("a group at 1050 is translated to %d, %v; it stands at 949", got, ok)
				}
				if n := q.Unsent(); n != 0 {
					t.Errorf("%d syncs left", n)
				}
			})
		}
	}
}

// sendAll ends, for a sync that fails is not due again at once.
func sendAll(q *SyncQueue, err error) (sent []OffsetSync) {
	for taken := takeAll(q); len(taken) > 0; taken = takeAll(q) {
		sent = append(sent, taken...)
		for _, s := range taken {
			q.Sent(s, err)
		}
	}
	return sent
}

// Whatever fails, whatever the target loses and wherever the source is read from: once the syncs that are due have
// arrived, a group misses nothing that it has not read and that the target has.
func TestNoGroupIsTranslatedBeyondItsPlaceWhateverFails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lagMax := rapid.Int64Range(0, 5).Draw(t, "lag")
		q, store := NewSyncQueue(LagRule(lagMax), 10), NewOffsetSyncStore(true)
		store.Ready()
		var up, down, furthest int64 // of the next record; and the end of the source
		place := map[int64]int64{}   // on the target, of each record that was mirrored and that the source is not read for again
		var inFlight []OffsetSync

		complete := func() {
			s := inFlight[0]
			inFlight = inFlight[1:]
			// What is said to have failed may have been written all the same.
			arrives, fails := rapid.Bool().Draw(t, "arrives"), rapid.Bool().Draw(t, "fails")
			if arrives || !fails {
				store.Add(s)
			}
			var err error
			if fails {
				err = errSend
			}
			q.Sent(s, err)
		}
		mirror := func(n int64) {
			q.AckedRun(t0, up, down, n)
			for range n {
				place[up] = down
				up, down = up+1, down+1
			}
			furthest = max(furthest, up)
		}
		settle := func() {
			mirror(1) // until then nobody knows what the target lost
			for range 2 {
				q.Promote()
				for inFlight = append(inFlight, takeAll(q)...); len(inFlight) > 0; inFlight = append(inFlight, takeAll(q)...) {
					s := inFlight[0]
					inFlight = inFlight[1:]
					store.Add(s)
					q.Sent(s, nil)
				}
			}
			if !q.Idle() || q.Unsent() != 0 {
				t.Fatalf("Idle() = %v, Unsent() = %d after all was sent", q.Idle(), q.Unsent())
			}
			next := down // on the target, of what a group at position has not read
			for position := furthest; position >= 0; position-- {
				if at, mirrored := place[position]; mirrored {
					next = min(next, at)
				}
				if got, ok := store.TranslateDownstream(t0, position); !ok || got > next {
					t.Fatalf("a group at %d is translated to %d, %v; it stands at %d", position, got, ok, next)
				}
			}
		}
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			switch action := rapid.IntRange(0, 19).Draw(t, "action"); {
			case action < 8:
				mirror(rapid.Int64Range(1, 12).Draw(t, "records"))
			case action < 10:
				q.Promote()
			case action < 14:
				inFlight = append(inFlight, takeAll(q)...)
			case action < 16:
				if len(inFlight) > 0 {
					complete()
				}
			case action == 16: // a gap on both sides
				up, down = up+rapid.Int64Range(0, 3).Draw(t, "gap"), down+rapid.Int64Range(0, 3).Draw(t, "downstream gap")
			case action == 17: // the target loses its end
				down = rapid.Int64Range(0, down).Draw(t, "truncated to")
				for u, d := range place {
					if d >= down {
						delete(place, u)
					}
				}
			case action == 18: // the source is read again
				up = rapid.Int64Range(0, up).Draw(t, "read from")
				for u := range place {
					if u >= up {
						delete(place, u)
					}
				}
			default: // a task's end, after which all is known to have been written, and another one's begin
				settle()
				q = NewSyncQueue(LagRule(lagMax), 10)
			}
		}
		settle()
	})
}

// While sending works, no acknowledged record is further than offset.lag.max from a
// sync that has been sent or is due.
func TestSyncQueueKeepsTheLagBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const lagMax = 10
		q := NewSyncQueue(LagRule(lagMax), 10)
		var up, down, synced int64 = 0, 0, -1
		for range rapid.IntRange(1, 50).Draw(t, "records") {
			q.Acked(t0, up, down)
			for _, s := range takeAll(q) {
				synced = s.Downstream
				q.Sent(s, nil)
			}
			if synced < 0 || down-(synced+translationReach) >= lagMax {
				t.Fatalf("record at %d, last sync at %d", down, synced)
			}
			up += 1 + rapid.Int64Range(0, 1).Draw(t, "gap")
			down += 1 + rapid.Int64Range(0, 3).Draw(t, "downstream gap")
		}
	})
}
