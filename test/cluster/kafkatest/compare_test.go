package kafkatest

import (
	"strings"
	"testing"
	"time"
)

// stream makes records of partition 0 whose values are the letters of a word, with equal timestamps, so that equal
// letters are equal records.
func stream(word string) map[int32][]Record {
	records := []Record{}
	for i, letter := range word {
		records = append(records, Record{Offset: int64(i), Timestamp: time.UnixMilli(1), Value: []byte(string(letter))})
	}
	return map[int32][]Record{0: records}
}

func TestDiffAtLeastOnceAllowsStepsBackButNoGapsAndNoChange(t *testing.T) {
	for _, test := range []struct {
		name, src, dst string
		duplicates     int
		problem        string // empty: the mirror keeps the promise
	}{
		{name: "the same", src: "abcd", dst: "abcd"},
		{name: "nothing on either side", src: "", dst: ""},
		{name: "one step back", src: "abcd", dst: "abcbcd", duplicates: 2},
		{name: "steps back while already stepping", src: "abcd", dst: "ababcabcd", duplicates: 5},
		{name: "all again after the end", src: "abc", dst: "abcabc", duplicates: 3},
		{name: "stopped in the middle of a second delivery", src: "abc", dst: "abcab", duplicates: 2},
		{name: "equal records delivered again", src: "aab", dst: "aaab", duplicates: 1},
		{name: "equal records where only the lower place explains the rest", src: "xayaz", dst: "xayayaz", duplicates: 2},
		{name: "a record lost", src: "abcd", dst: "abd", problem: "record 2 of the mirror"},
		{name: "a record lost in the second delivery", src: "abcd", dst: "abcacd", problem: "record 4 of the mirror"},
		{name: "the last record lost", src: "abcd", dst: "abcabc", problem: "delivered 3 of 4"},
		{name: "two records swapped", src: "abcd", dst: "acbd", problem: "record 1 of the mirror"},
		{name: "a record nobody wrote", src: "abcd", dst: "abxcd", problem: "record 2 of the mirror"},
		{name: "a record after the end nobody wrote", src: "ab", dst: "abx", problem: "source, due: nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			duplicates, problem := DiffAtLeastOnce(stream(test.src), stream(test.dst))
			if test.problem == "" {
				if problem != "" {
					t.Fatalf("unexpected difference: %s", problem)
				}
				if duplicates[0] != test.duplicates {
					t.Fatalf("counted %d duplicates, want %d", duplicates[0], test.duplicates)
				}
				return
			}
			if !strings.Contains(problem, test.problem) {
				t.Fatalf("difference %q does not say %q", problem, test.problem)
			}
		})
	}
}

func TestDiffSeesEveryFieldAndKeepsNullApartFromEmpty(t *testing.T) {
	base := Record{
		Timestamp: time.UnixMilli(1700000000123), Key: []byte("k"), Value: []byte("v"),
		Headers: []Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: nil}},
	}
	for _, test := range []struct {
		name    string
		change  func(*Record)
		problem string // empty: no difference
	}{
		{"another offset", func(r *Record) { r.Offset = 9 }, ""},
		{"the same", func(*Record) {}, ""},
		{"another timestamp", func(r *Record) { r.Timestamp = time.UnixMilli(1700000000124) }, "differs in timestamp"},
		{"a null key", func(r *Record) { r.Key = nil }, "differs in key"},
		{"an empty value", func(r *Record) { r.Value = []byte{} }, "differs in value"},
		{"headers in another order", func(r *Record) { r.Headers = []Header{r.Headers[1], r.Headers[0]} }, "differs in headers"},
		{"an empty header value for a null one", func(r *Record) {
			r.Headers = []Header{r.Headers[0], {Key: "a", Value: []byte{}}}
		}, "differs in headers"},
		{"a header less", func(r *Record) { r.Headers = r.Headers[:1] }, "differs in headers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := base
			test.change(&changed)
			got := Diff(map[int32][]Record{0: {base}}, map[int32][]Record{0: {changed}})
			if test.problem == "" && got != "" {
				t.Fatalf("unexpected difference: %s", got)
			}
			if !strings.Contains(got, test.problem) {
				t.Fatalf("difference %q does not say %q", got, test.problem)
			}
			_, atLeastOnce := DiffAtLeastOnce(map[int32][]Record{0: {base}}, map[int32][]Record{0: {changed}})
			if (atLeastOnce == "") != (test.problem == "") {
				t.Fatalf("DiffAtLeastOnce says %q where Diff says %q", atLeastOnce, got)
			}
		})
	}
}

func TestDiffNamesMissingAndExtraRecordsAndPartitions(t *testing.T) {
	for _, test := range []struct {
		src, dst map[int32][]Record
		problem  string
	}{
		{stream("abc"), stream("ab"), "the mirror has 2 of 3 records"},
		{stream("ab"), stream("abc"), "the mirror has 3 records, the source 2"},
		{map[int32][]Record{0: nil, 1: nil}, map[int32][]Record{0: nil}, "the partitions [0 1], the mirror [0]"},
	} {
		if got := Diff(test.src, test.dst); !strings.Contains(got, test.problem) {
			t.Errorf("difference %q does not say %q", got, test.problem)
		}
	}
}
