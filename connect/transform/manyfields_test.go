package transform_test

import (
	"fmt"
	"testing"

	"tributary/connect"
	"tributary/connect/transform"
)

// If all fields so far were searched for each one, this would take minutes.
func TestOfManyFieldsEachHasItsLastValue(t *testing.T) {
	const n = 200_000
	fields := make(connect.MapEntries, n, n+1)
	for i := range fields {
		fields[i] = connect.MapEntry{Key: fmt.Sprint("f", i), Value: int32(i)}
	}
	for _, c := range []struct {
		name   string
		config map[string]string
		given  connect.MapEntries
		prefix string
		first  any
	}{
		{"ReplaceField$Value", map[string]string{"renames": "again:f0"}, append(fields, connect.MapEntry{Key: "again", Value: "last"}), "f", "last"},
		{"Flatten$Value", nil, connect.MapEntries{{Key: "of.f0", Value: "first"}, {Key: "of", Value: fields}}, "of.f", int32(0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			own := find[connect.Transformation](t, transform.Plugins("1"), "org.apache.kafka.connect.transforms."+c.name)
			if err := own.Configure(c.config); err != nil {
				t.Fatal(err)
			}

			out, err := own.Apply(&connect.Record{Topic: "t", Value: c.given})

			if err != nil {
				t.Fatal(err)
			}
			got, ok := connect.StringMap(out.Value)
			if !ok || len(got) != n || len(out.Value.(connect.MapEntries)) != n {
				t.Fatalf("got a %T with %d fields, want %d", out.Value, len(got), n)
			}
			for i := range n {
				want := any(int32(i))
				if i == 0 {
					want = c.first
				}
				if v := got[fmt.Sprint(c.prefix, i)]; v != want {
					t.Fatalf("field %d is %v, want %v", i, v, want)
				}
			}
		})
	}
}
