package mirror

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestOnlyWhoLagsBehindOthersAndFillsTheRoomIsHeldBack(t *testing.T) {
	type step struct {
		hand string // partition=bytes; each is one portion
		ack  string // partition=how many of its portions
		want string // curbed then
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"all are slow alike", []step{{"a=60 b=30", "", ""}}},
		{"one alone fills the room", []step{{"a=50 a=50", "a=1", ""}}},
		{"a stuck one has more than is left", []step{{"a=60 b=10", "b=1", "a"}}},
		{"a stuck one may have what is left", []step{{"a=40 b=10", "b=1", ""}, {"a=20 b=10", "b=1", "a"}}},
		{"two share with the rest", []step{{"a=30 b=30 c=10", "c=1", ""}, {"a=10 b=10 c=10", "c=1", "a b"}}},
		{"it goes on when it fits again", []step{{"a=20 a=40 b=10", "b=1", "a"}, {"", "a=1", "a"}, {"", "a=1", ""}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := traffic{room: 100, busy: map[*sourcePartition]struct{}{}, curbed: map[*sourcePartition]struct{}{}}
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
					f.turn++
					p.backlog.hand(offsets[name], n, f.turn)
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
			f.curbed[p] = struct{}{}
		}
		for _, p := range free {
			delete(f.curbed, p)
		}
	}
}
