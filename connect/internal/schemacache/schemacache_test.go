package schemacache_test

import (
	"errors"
	"strconv"
	"testing"

	"tributary/connect"
	"tributary/connect/internal/schemacache"
)

func TestEqualSchemasShareAValueAndOldOnesAreForgotten(t *testing.T) {
	c := schemacache.New[int](2)
	made := 0
	make := func(*connect.Schema) (int, error) { made++; return made, nil }
	get := func(name string) int {
		v, err := c.Get(connect.StringSchema.WithName(name), make)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for i, want := range []int{1, 1, 2, 1} {
		if got := get([]string{"a", "a", "b", "a"}[i]); got != want {
			t.Errorf("%d: got %d, want %d", i, got, want)
		}
	}
	for i := range 5 {
		get(strconv.Itoa(i))
	}
	if v := get("a"); v != 8 {
		t.Errorf("the cache grew: got %d", v)
	}
}

func TestFailuresAreNotRemembered(t *testing.T) {
	c := schemacache.New[int](0)
	broken := errors.New("broken")
	if _, err := c.Get(connect.StringSchema, func(*connect.Schema) (int, error) { return 0, broken }); err != broken {
		t.Errorf("got %v", err)
	}
	if v, err := c.Get(connect.StringSchema, func(*connect.Schema) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("got %d, %v", v, err)
	}
}
