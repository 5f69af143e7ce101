package fakeregistry

import (
	"testing"

	"tributary/connect"
)

// ReadBackManyNumbers has a converter write a map of 200,000 numbers and read it back. If all that was read were searched for
// each key, that would take minutes.
func ReadBackManyNumbers(t testing.TB, c connect.Converter) {
	t.Helper()
	numbers := connect.MapOf(connect.Int32Schema, connect.Int32Schema)
	entries := connect.MapEntries{}
	for i := range int32(200_000) {
		entries = append(entries, connect.MapEntry{Key: i, Value: -i})
	}
	schema := connect.StructOf(connect.Field{Name: "numbers", Schema: numbers}).WithName("R")
	value := connect.NewStruct(schema)
	if err := value.PutAt(0, entries); err != nil {
		t.Fatal(err)
	}
	data, err := c.FromConnectData("t", nil, schema, value)
	if err != nil {
		t.Fatal(err)
	}

	_, got, err := c.ToConnectData("t", nil, data)

	if back, _ := got.(*connect.StructValue); err != nil || back == nil || !connect.EqualValues(back.At(0), entries) {
		t.Errorf("not the same came back: %v", err)
	}
}
