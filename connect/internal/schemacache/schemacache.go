// Package schemacache remembers what was made of a schema. Looking up a schema that was
// seen before costs one map access; one that is merely equal costs a walk over it.
package schemacache

import (
	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tributary/connect"
)

// Cache holds a bounded number of values by schema, and forgets those not used for the
// longest time. It is for one goroutine.
type Cache[V any] struct {
	// last is nearly always what is asked for again.
	last      *connect.Schema
	lastValue V
	byPointer *simplelru.LRU[*connect.Schema, V]
	byHash    *simplelru.LRU[uint64, entry[V]]
}

type entry[V any] struct {
	schema *connect.Schema
	value  V
}

// New returns a cache of at most size values; one at least.
func New[V any](size int) *Cache[V] {
	size = max(size, 1)
	byPointer, _ := simplelru.NewLRU[*connect.Schema, V](size, nil) // sizes above 0 are fine
	byHash, _ := simplelru.NewLRU[uint64, entry[V]](size, nil)
	return &Cache[V]{byPointer: byPointer, byHash: byHash}
}

// Get returns the value made of a schema, with make where there is none. An error of
// make is returned and not remembered.
func (c *Cache[V]) Get(schema *connect.Schema, make func(*connect.Schema) (V, error)) (V, error) {
	if schema == c.last && schema != nil {
		return c.lastValue, nil
	}
	v, err := c.get(schema, make)
	if err == nil {
		c.last, c.lastValue = schema, v
	}
	return v, err
}

func (c *Cache[V]) get(schema *connect.Schema, make func(*connect.Schema) (V, error)) (V, error) {
	if v, ok := c.byPointer.Get(schema); ok {
		return v, nil
	}
	hash := schema.Hash()
	if e, ok := c.byHash.Get(hash); ok && e.schema.Equal(schema) {
		c.byPointer.Add(schema, e.value)
		return e.value, nil
	}
	v, err := make(schema)
	if err != nil {
		return v, err
	}
	c.byPointer.Add(schema, v)
	c.byHash.Add(hash, entry[V]{schema, v})
	return v, nil
}
