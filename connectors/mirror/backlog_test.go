package mirror

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/internal/kafka"
)

func TestWhoFillsTheRoomIsHeldBack(t *testing.T) {
	type step struct {
		hand string // partition=bytes; each is one portion
		ack  string // partition=how many of its portions
		want string // curbed then
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"all are slow alike and fit", []step{{"a=15 b=15 c=15", "", ""}}},
		{"a stuck one has more than half of what is left", []step{{"a=40 b=10", "b=1", "a"}}},
		{"a stuck one may have half of what is left", []step{{"a=30 b=10", "b=1", ""}, {"a=10 b=5", "b=1", "a"}}},
		{"two share with the rest", []step{{"a=25 b=25 c=10", "c=1", ""}, {"a=10 b=10 c=10", "c=1", "a b"}}},
		{"it goes on when it fits again", []step{{"a=20 a=40 b=10", "b=1", "a"}, {"", "a=1", "a"}, {"", "a=1", ""}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := traffic{room: 100, busy: map[*sourcePartition]struct{}{}, curbed: map[*sourcePartition]bool{}}
			partitions, offsets := map[string]*sourcePartition{}, map[string]int64{}
			each := func(text string, do func(name string, p *sourcePartition, n int64)) {
				for item := range strings.FieldsSeq(text) {
					name, number, _ := strings.Cut(item, "=")
					var n int64
					if _, err := fmt.Sscan(number, &n); err != nil {
						t.Fatal(err)
					}
					if partitions[name] == nil {
						partitions[name] = &sourcePartition{}
					}
					do(name, partitions[name], n)
				}
			}
			for i, s := range c.steps {
				each(s.hand, func(name string, p *sourcePartition, n int64) {
					offsets[name]++
					p.backlog.hand(offsets[name], n, time.Time{})
					f.busy[p] = struct{}{}
				})
				each(s.ack, func(_ string, p *sourcePartition, n int64) { p.progress.upTo.Add(n) })
				f.judgeAll()
				var got []string
				for name, p := range partitions {
					if _, curbed := f.curbed[p]; curbed {
						got = append(got, name)
					}
				}
				slices.Sort(got)
				if text := strings.Join(got, " "); text != s.want {
					t.Errorf("step %d: held back are %q, want %q", i, text, s.want)
				}
			}
		})
	}
}

// judgeAll judges until nothing changes.
func (f *traffic) judgeAll() {
	for range 3 {
		curb, free := f.judge()
		for _, p := range curb {
			f.curbed[p] = false
		}
		for _, p := range free {
			delete(f.curbed, p)
		}
	}
}

// Between two looks no more may be handed out than the room has left for the answer of one partition.
func TestTheRoomIsLookedAtAgainBeforeItCanBeFull(t *testing.T) {
	now := time.Unix(1, 0)
	f := traffic{room: 1600, busy: map[*sourcePartition]struct{}{}, looked: now}
	p := &sourcePartition{}
	hand := func(bytes int) {
		f.sent([]portion{{partition: p, records: []kafka.Record{{Value: make([]byte, bytes)}}}}, now)
	}
	hand(99)
	if f.due(now) || !f.due(now.Add(curbEvery)) {
		t.Error("a little is looked at after some time, and not before")
	}
	hand(1)
	if !f.due(now) {
		t.Error("a sixteenth of the room is not looked at at once")
	}
}
