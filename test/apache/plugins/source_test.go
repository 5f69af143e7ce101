package plugins

import (
	"strconv"
	"strings"
	"testing"

	"tributary/connect"
)

// borders notes where transactions end.
type borders struct {
	connect.TransactionContext
	ends []string
}

func (b *borders) CommitTransactionAfter(r *connect.SourceRecord) { b.note("commit ", r) }
func (b *borders) AbortTransactionAfter(r *connect.SourceRecord)  { b.note("abort ", r) }

func (b *borders) note(what string, r *connect.SourceRecord) {
	b.ends = append(b.ends, what+strconv.FormatInt(r.SourceOffset.OffsetFields()["saved"].(int64), 10))
}

func TestTransactionsEndAtFibonacciNumbersAlsoAfterARestart(t *testing.T) {
	for first, want := range map[int64]string{
		0:  "commit 1, abort 2, commit 3, commit 5, abort 8, commit 13",
		6:  "abort 8, commit 13",
		13: "",
	} {
		_, c := startJVM(t)
		b := &borders{}
		task := &testableSourceTask{channel: c, max: 20, perPoll: 20 - first, sent: first, first: first, transactions: b, border: 1}
		task.nextBorder()
		records, err := task.Poll(t.Context())
		if err != nil || len(records) != int(20-first) {
			t.Fatalf("%d records, %v", len(records), err)
		}
		if got := strings.Join(b.ends, ", "); got != want {
			t.Errorf("from %d: %s, want %s", first, got, want)
		}
		if v := records[0].Value; v != "value--"+strconv.FormatInt(first+1, 10) {
			t.Errorf("the first value is %v", v)
		}
	}
}
