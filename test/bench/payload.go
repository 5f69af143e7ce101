package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// valueBytes is the size of every record's value.
const valueBytes = 1000

// payload makes order documents of exactly valueBytes. They compress about as orders do: field names and words repeat,
// identifiers and amounts do not. Every payload makes the same ones in the same order.
type payload struct {
	random *rand.Rand
	made   int
}

func newPayload() *payload { return &payload{random: rand.New(rand.NewPCG(4, 31))} }

var words = []string{
	"river", "stone", "lamp", "green", "copper", "window", "paper", "north", "harbour", "silver", "bread", "cotton",
	"maple", "bridge", "glass", "winter", "candle", "orange", "travel", "engine", "garden", "mirror", "pepper", "signal",
}

// next gives a record of its own memory.
func (p *payload) next() (key, value []byte) {
	key = []byte(orderKey(p.made))
	value = make([]byte, 0, valueBytes+64)
	value = fmt.Appendf(value, `{"order":"%s","trace":"%016x%016x","customer":%d,"country":"%s","items":[`,
		key, p.random.Uint64(), p.random.Uint64(), p.random.IntN(1_000_000), [...]string{"DE", "FR", "JP", "US"}[p.random.IntN(4)])
	for item := range 5 {
		if item > 0 {
			value = append(value, ',')
		}
		value = fmt.Appendf(value, `{"sku":"%010d","name":"%s %s","quantity":%d,"price":%d.%02d}`, p.random.IntN(10_000_000_000),
			p.word(), p.word(), 1+p.random.IntN(9), p.random.IntN(1000), p.random.IntN(100))
	}
	value = append(value, `],"note":"`...)
	for len(value) < valueBytes {
		value = append(value, p.word()...)
		value = append(value, ' ')
		value = strconv.AppendInt(value, int64(p.random.IntN(10_000)), 10)
		value = append(value, ' ')
	}
	value = append(value[:valueBytes-2], `"}`...)
	p.made++
	return key, value
}

// sized gives a record with a value of so many bytes: the beginning of a document, or several.
func (p *payload) sized(bytes int) (key, value []byte) {
	key, value = p.next()
	if bytes <= len(value) {
		return key, value[:bytes]
	}
	p.made--
	whole := make([]byte, 0, bytes+valueBytes)
	for len(whole) < bytes {
		_, more := p.next()
		p.made--
		whole = append(whole, more...)
	}
	p.made++
	return key, whole[:bytes]
}

// orderKey is the key of the nth record.
func orderKey(number int) string { return fmt.Sprintf("order-%010d", number) }

func (p *payload) word() string { return words[p.random.IntN(len(words))] }
