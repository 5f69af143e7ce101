package worker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tributary/connect"
)

func partition(name string) *connect.SourcePartition {
	return connect.NewSourcePartition(map[string]any{"p": name})
}

func offsetAt(n int) connect.OffsetMap { return connect.OffsetMap{"at": n} }

// TestTrackerCommitsTheLongestAcknowledgedPrefix runs scripts: "+a1" submits record 1
// of source partition a, "!a1" acknowledges it, "-a1" withdraws it, "?" asks what is
// committable.
func TestTrackerCommitsTheLongestAcknowledgedPrefix(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"nothing is committable before an acknowledgement", "+a1 ?", "[]"},
		{"an acknowledged record is, once", "+a1 !a1 ? ?", "[a1] []"},
		{"a later one waits for the earlier", "+a1 +a2 !a2 ? !a1 ?", "[] [a2]"},
		{"of several the last is taken", "+a1 +a2 +a3 !a1 !a2 ? !a3 ?", "[a2] [a3]"},
		{"a gap holds back all behind it", "+a1 +a2 +a3 +a4 !a1 !a3 !a4 ? !a2 ?", "[a1] [a4]"},
		{"source partitions do not hold up each other", "+a1 +b1 +a2 !b1 !a2 ? !a1 ?", "[b1] [a2]"},
		{"a withdrawn record is as if it had never been", "+a1 +a2 -a2 !a1 ? +a2 !a2 ?", "[a1] [a2]"},
		{"records without a position commit nothing", "+1 +a1 !1 ? !a1 ?", "[] [a1]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := newTracker()
			entries := map[string]*entry{}
			var got []string
			for step := range strings.FieldsSeq(test.script) {
				id := step[1:]
				switch step[0] {
				case '+':
					e := tr.take()
					e.record = scriptRecord(id)
					tr.submit(e)
					entries[id] = e
				case '!':
					tr.ack(entries[id])
				case '-':
					tr.withdraw(entries[id])
				case '?':
					got = append(got, fmt.Sprint(names(tr.committable())))
				}
			}
			if s := strings.Join(got, " "); s != test.want {
				t.Errorf("got %s, want %s", s, test.want)
			}
		})
	}
}

func scriptRecord(id string) *connect.SourceRecord {
	name := strings.TrimRight(id, "0123456789")
	r := &connect.SourceRecord{SourceOffset: connect.OffsetMap{"at": id[len(name):]}}
	if name != "" {
		r.SourcePartition = partition(name)
	}
	return r
}

func names(positions []position) []string {
	out := []string{}
	for _, p := range positions {
		out = append(out, fmt.Sprint(p.partition.Fields()["p"], p.offset.OffsetFields()["at"]))
	}
	slices.Sort(out)
	return out
}

// TestTrackerKeepsItsInvariants compares the tracker with a model that remembers
// everything. The letters are those of the tracker's comment.
func TestTrackerKeepsItsInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := newTracker()
		type submitted struct {
			*entry
			acked bool
		}
		history := map[string][]*submitted{} // by partition, in order
		var live []*submitted
		committed := map[string]int{}
		serial := 0
		partitions := []*connect.SourcePartition{nil, partition("a"), partition("b"), partition("c")}
		key := func(p *connect.SourcePartition) string {
			if p == nil {
				return ""
			}
			return p.Key()
		}
		prefix := func(k string) int {
			n := 0
			for n < len(history[k]) && history[k][n].acked {
				n++
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"submit": func(t *rapid.T) {
				p := rapid.SampledFrom(partitions).Draw(t, "partition")
				if p != nil && rapid.Bool().Draw(t, "fresh") {
					p = connect.NewSourcePartition(p.Fields()) // equal, not identical
				}
				e := tr.take()
				if e.record != nil || e.out.Value != nil || e.acked || e.queue != nil {
					t.Fatalf("an entry in use was handed out: %+v", e)
				}
				e.record = &connect.SourceRecord{SourcePartition: p, SourceOffset: offsetAt(len(history[key(p)]) + 1)}
				e.out.Value = fmt.Append(nil, serial)
				serial++
				tr.submit(e)
				s := &submitted{entry: e}
				history[key(p)] = append(history[key(p)], s)
				live = append(live, s)
			},
			"ack": func(t *rapid.T) {
				if len(live) == 0 {
					t.Skip("nothing to acknowledge")
				}
				i := rapid.IntRange(0, len(live)-1).Draw(t, "which")
				live[i].acked = true
				tr.ack(live[i].entry)
				live = slices.Delete(live, i, i+1)
			},
			"withdraw": func(t *rapid.T) {
				if len(live) == 0 {
					t.Skip("nothing to withdraw")
				}
				s := live[len(live)-1]
				k := key(s.record.SourcePartition)
				if h := history[k]; h[len(h)-1] != s {
					t.Skip("another was submitted behind it")
				}
				tr.withdraw(s.entry)
				live, history[k] = live[:len(live)-1], history[k][:len(history[k])-1]
			},
			"commit": func(t *rapid.T) {
				for _, p := range tr.committable() {
					committed[p.partition.Key()] = p.offset.OffsetFields()["at"].(int)
				}
				for k := range history { // A
					if k != "" && committed[k] != prefix(k) {
						t.Fatalf("%s: committed %d, the acknowledged prefix is %d", k, committed[k], prefix(k))
					}
					if k != "" && prefix(k) == len(history[k]) && tr.queues[k] != nil && len(history[k]) > 0 && tr.queues[k].count > 0 { // C
						t.Fatalf("%s takes memory for nothing", k)
					}
				}
			},
			"": func(t *rapid.T) { // B
				var got, want []string
				for _, e := range tr.unackedInOrder() {
					got = append(got, string(e.out.Value))
				}
				for _, s := range live {
					want = append(want, string(s.out.Value))
				}
				if d := cmp.Diff(want, got); d != "" || tr.unacked != len(live) {
					t.Fatalf("unacknowledged (%d): %s", tr.unacked, d)
				}
			},
		})
	})
}

func TestTrackerForgetsPartitionsThatAreDone(t *testing.T) {
	tr := newTracker()
	for i := range 1000 {
		e := tr.take()
		e.record = &connect.SourceRecord{SourcePartition: partition(fmt.Sprint(i)), SourceOffset: offsetAt(1)}
		tr.submit(e)
		tr.ack(e)
	}
	if n := len(tr.committable()); n != 1000 {
		t.Errorf("%d positions were committable, want 1000", n)
	}
	if len(tr.queues) != 0 || tr.recent != nil {
		t.Errorf("%d partitions are still remembered", len(tr.queues))
	}
}
