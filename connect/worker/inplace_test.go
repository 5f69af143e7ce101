package worker

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/connect"
	"tributary/connect/converter"
	"tributary/connect/transform"
	"tributary/internal/kafka"
)

// insertion is InsertField with one field more for the value.
func insertion(t *testing.T, field string) step {
	t.Helper()
	for _, p := range transform.Plugins("1") {
		if strings.HasSuffix(p.Class, ".InsertField$Value") {
			s := step{class: p.Class, transformation: p.New().(connect.Transformation)}
			if err := s.transformation.Configure(map[string]string{"static.field": field, "static.value": "v"}); err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	t.Fatal("there is no InsertField")
	return step{}
}

// keeper is somebody else's transformation: it keeps what it sees.
type keeper struct {
	upper
	seen []*connect.Record
}

func (k *keeper) Apply(r *connect.Record) (*connect.Record, error) {
	k.seen = append(k.seen, r)
	return r, nil
}

func TestRecordsAreChangedInPlaceOnlyWhereNobodyKeepsThem(t *testing.T) {
	json := func() convert {
		c := new(converter.JSON)
		if err := c.Configure(map[string]string{"schemas.enable": "false"}, false); err != nil {
			t.Fatal(err)
		}
		return convert{converter: c}
	}
	k := &keeper{}
	withPredicate := insertion(t, "b")
	withPredicate.predicate = new(onPartition)
	for name, test := range map[string]struct {
		steps []step
		own   bool
	}{
		"built in":         {[]step{insertion(t, "a"), insertion(t, "b")}, true},
		"somebody else's":  {[]step{insertion(t, "a"), {transformation: k}, insertion(t, "b")}, false},
		"with a predicate": {[]step{insertion(t, "a"), withPredicate}, false},
		"nothing":          {nil, false},
	} {
		p := &pipeline{steps: test.steps, key: json(), value: json()}
		if p.shareOwn(); p.useOwn != test.own {
			t.Errorf("%s: in place is %v", name, p.useOwn)
		}
		want := `{"b":"v","n":"1","a":"v"}`
		if len(test.steps) == 0 {
			want = `{"n":"1"}`
		}
		record := &connect.SourceRecord{Record: connect.Record{Topic: "t", Partition: 1, Value: connect.MapEntries{{Key: "n", Value: "1"}}}}
		before := record.Record
		var out kafka.Record
		if err := p.apply(t.Context(), record, &out); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fieldsOf(t, want), fieldsOf(t, string(out.Value))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(before, record.Record); diff != "" {
			t.Errorf("%s: the task's record was changed: %s", name, diff)
		}

		var received []*connect.Record
		for i, n := range []string{"1", "2"} {
			in := &kafka.Record{Topic: "t", Partition: 1, Offset: int64(i), Value: []byte(`{"n":"` + n + `"}`)}
			r, err := p.receive(t.Context(), in, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			received = append(received, r)
		}
		for i, n := range []string{"1", "2"} {
			r := received[i]
			data, err := p.value.converter.FromConnectData("t", nil, nil, r.Value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(fieldsOf(t, strings.Replace(want, "1", n, 1)), fieldsOf(t, string(data))); diff != "" || r.Origin.Offset != int64(i) {
				t.Errorf("%s: record %d has the offset %d: %s", name, i, r.Origin.Offset, diff)
			}
		}
	}
	for i, n := range []string{"1", "1", "2"} { // one of the source, two of the sink
		value, _ := k.seen[i].Value.(connect.MapEntries)
		if v, _ := value.Get("n"); v != n || len(value) != 2 {
			t.Errorf("what a transformation kept became %v", value)
		}
	}
}

func fieldsOf(t *testing.T, text string) any {
	t.Helper()
	_, value, err := func() (*connect.Schema, any, error) {
		c := new(converter.JSON)
		if err := c.Configure(map[string]string{"schemas.enable": "false"}, false); err != nil {
			return nil, nil, err
		}
		return c.ToConnectData("t", nil, []byte(text))
	}()
	if err != nil {
		t.Fatal(err)
	}
	return value
}
