package javajson

import (
	"strconv"

	"tributary/connect"
)

// Number is a number as it stands in the text, which it shares.
type Number struct {
	Text    []byte
	Integer bool // it has neither point nor exponent
}

// Int64 returns an integer that fits 64 bits.
func (n Number) Int64() (int64, bool) {
	if !n.Integer {
		return 0, false
	}
	if len(n.Text) > 18 {
		v, err := strconv.ParseInt(string(n.Text), 10, 64)
		return v, err == nil
	}
	var v int64
	digits := n.Text
	if digits[0] == '-' {
		digits = digits[1:]
	}
	for _, d := range digits {
		v = 10*v + int64(d-'0')
	}
	if n.Text[0] == '-' {
		v = -v
	}
	return v, true
}

// Float64 returns the nearest float. There is no -0.0, because Java's reader goes
// through BigDecimal, which has none; out of range is an infinity.
func (n Number) Float64() float64 {
	f, _ := strconv.ParseFloat(string(n.Text), 64)
	if f == 0 {
		return 0
	}
	return f
}

// Float32 is Float64 for the smaller type.
func (n Number) Float32() float32 {
	f, _ := strconv.ParseFloat(string(n.Text), 32)
	if f == 0 {
		return 0
	}
	return float32(f)
}

// Truncated is the number without its fraction, of which the low 64 bits are kept.
func (n Number) Truncated() int64 {
	if v, ok := n.Int64(); ok {
		return v
	}
	d, err := connect.ParseDecimal(string(n.Text))
	if err != nil { // its exponent is beyond any type
		return 0
	}
	return d.Int64()
}

// value is the number as a schemaless value.
func (n Number) value() any {
	if n.Integer {
		return n.Truncated()
	}
	return n.Float64()
}
