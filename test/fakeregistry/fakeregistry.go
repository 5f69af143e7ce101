// Package fakeregistry is a Schema Registry in memory for tests of converters.
package fakeregistry

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"tributary/connect"
)

// Start starts a registry that ends with the test.
func Start(t testing.TB) *srfake.Registry {
	t.Helper()
	r := srfake.New()
	t.Cleanup(r.Close)
	return r
}

// Configure gives a converter of values the address of the registry, and settings, each name=value.
func Configure[C connect.Converter](t testing.TB, c C, r *srfake.Registry, settings ...string) C {
	t.Helper()
	config := map[string]string{"schema.registry.url": r.URL()}
	for _, s := range settings {
		k, v, _ := strings.Cut(s, "=")
		config[k] = v
	}
	if err := c.Configure(config, false); err != nil {
		t.Fatal(err)
	}
	return c
}

// SameButOrder says whether two texts consist of the same bytes, as those of maps do.
func SameButOrder(a, b string) bool {
	var counts [256]int
	for i := range len(a) {
		counts[a[i]]++
	}
	for i := range len(b) {
		counts[b[i]]--
	}
	return counts == [256]int{}
}
