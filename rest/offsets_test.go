package rest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
)

func TestNumbersOfOffsetsKeepTheirKind(t *testing.T) {
	got, err := decodeOffsets([]byte(`{"offsets":[{"partition":{"i":9007199254740993,"f":1.0,"e":1e3,"big":18446744073709551616,"n":null},"offset":{"a":[1,{"b":2}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []connect.OffsetChange{{
		Partition: map[string]any{"i": int64(9007199254740993), "f": 1.0, "e": 1000.0, "big": json.Number("18446744073709551616"), "n": nil},
		Offset:    map[string]any{"a": []any{int64(1), map[string]any{"b": int64(2)}}},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A goroutine's stack that grows too large ends the process, and no recover helps. Java's limit is the same.
func TestABodyThatNestsTooDeeplyIsRefused(t *testing.T) {
	for name, levels := range map[string][2]string{"arrays": {"[", "]"}, "objects": {`{"a":`, "}"}} {
		nested := func(n int) []byte {
			return []byte(`{"offsets":[{"partition":{"p":` + strings.Repeat(levels[0], n) + "1" + strings.Repeat(levels[1], n) + "}}]}")
		}
		const around = 4 // levels of the document itself
		if changes, err := decodeOffsets(nested(1000 - around)); err != nil || len(changes) != 1 {
			t.Errorf("1,000 levels, %s: %d changes, %v", name, len(changes), err)
		}
		for _, n := range []int{1001 - around, (4<<20 - 100) / len(levels[0]+levels[1])} {
			_, err := decodeOffsets(nested(n))
			want := "Document nesting depth (1001) exceeds the maximum allowed (1000, from `StreamReadConstraints.getMaxNestingDepth()`)"
			if err == nil || !strings.HasPrefix(err.Error(), want+"\n at [Source: ") {
				t.Errorf("%d levels, %s: %.300v", n+around, name, err)
			}
		}
	}
	open := []byte(`{"offsets":[{"partition":{"p":` + strings.Repeat("[", 4<<20))
	if _, err := decodeOffsets(open); err == nil {
		t.Error("arrays without an end were read")
	}
}

// With blanks looked through for every token, this takes an hour.
func TestBlanksBeforeALongBodyCostNothing(t *testing.T) {
	const numbers = 1 << 20
	body := strings.Repeat(" ", 2<<20) + `{"offsets":[{"partition":{"p":[1` + strings.Repeat(",1", numbers-1) + `]}}]}`
	changes, err := decodeOffsets([]byte(body))
	if err != nil || len(changes) != 1 || len(changes[0].Partition["p"].([]any)) != numbers {
		t.Errorf("%d changes, %v", len(changes), err)
	}
}
