package rest

import (
	"encoding/json"
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
