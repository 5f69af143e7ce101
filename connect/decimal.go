package connect

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is an exact decimal number: unscaled × 10^-scale, java.math.BigDecimal's
// model. 1.0 and 1.00 are different values. The zero value is 0. Immutable.
type Decimal struct {
	unscaled *big.Int // nil is 0; never changed
	scale    int32
}

// NewDecimal returns unscaled × 10^-scale. The number is copied.
func NewDecimal(unscaled *big.Int, scale int32) Decimal {
	return Decimal{new(big.Int).Set(unscaled), scale}
}

// maxDecimalDigits bounds the work that a text from outside can cause.
const maxDecimalDigits = 10_000

// ParseDecimal reads what BigDecimal's constructor reads: digits with an optional sign,
// point and exponent. The scale is as written: "1.00" has 2, "1e3" has -3.
func ParseDecimal(text string) (Decimal, error) {
	mantissa, exponent := text, int64(0)
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.ParseInt(text[i+1:], 10, 32); err != nil {
			return Decimal{}, notDecimal(text)
		}
		mantissa = text[:i]
	}
	digits := strings.TrimLeft(mantissa, "+-")
	if len(mantissa)-len(digits) > 1 {
		return Decimal{}, notDecimal(text)
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	all := whole + fraction
	if all == "" || len(all) > maxDecimalDigits || strings.Trim(all, "0123456789") != "" {
		return Decimal{}, notDecimal(text)
	}
	scale := int64(len(fraction)) - exponent
	if scale < math.MinInt32 || scale > math.MaxInt32 {
		return Decimal{}, notDecimal(text)
	}
	unscaled, ok := new(big.Int).SetString(all, 10)
	if !ok {
		return Decimal{}, notDecimal(text)
	}
	if mantissa[0] == '-' {
		unscaled.Neg(unscaled)
	}
	return Decimal{unscaled, int32(scale)}, nil
}

func notDecimal(text string) error {
	if len(text) > 100 {
		text = text[:100] + "…"
	}
	return fmt.Errorf("%q is not a decimal number", text)
}

func (d Decimal) number() *big.Int {
	if d.unscaled == nil {
		return new(big.Int)
	}
	return d.unscaled
}

// Unscaled returns a copy of the number without its scale.
func (d Decimal) Unscaled() *big.Int { return new(big.Int).Set(d.number()) }

// Scale returns how many of the unscaled number's digits are after the point; negative
// is how many zeros are missing before it.
func (d Decimal) Scale() int32 { return d.scale }

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int { return d.number().Sign() }

// Equal reports whether two decimals have the same number and scale.
func (d Decimal) Equal(other Decimal) bool {
	return d.scale == other.scale && d.number().Cmp(other.number()) == 0
}

// String writes the number as BigDecimal.toString does: plainly, or with an exponent
// when it is below 10^-6 or the scale is negative.
func (d Decimal) String() string {
	digits := d.number().String()
	if d.scale == 0 {
		return digits
	}
	digits, negative := strings.CutPrefix(digits, "-")
	sign := ""
	if negative {
		sign = "-"
	}
	exponent := int64(len(digits)-1) - int64(d.scale)
	if d.scale > 0 && exponent >= -6 {
		point := len(digits) - int(d.scale)
		if point > 0 {
			return sign + digits[:point] + "." + digits[point:]
		}
		return sign + "0." + strings.Repeat("0", -point) + digits
	}
	out := sign + digits[:1]
	if len(digits) > 1 {
		out += "." + digits[1:]
	}
	if exponent != 0 {
		out += "E" + fmt.Sprintf("%+d", exponent)
	}
	return out
}

// Float64 returns the nearest float; beyond its range, an infinity.
func (d Decimal) Float64() float64 {
	f, _ := strconv.ParseFloat(d.String(), 64) // out of range is an infinity
	return f
}

// Float32 is Float64 for the smaller type.
func (d Decimal) Float32() float32 {
	f, _ := strconv.ParseFloat(d.String(), 32)
	return float32(f)
}

// Int64 returns the low 64 bits of the number without its fraction.
func (d Decimal) Int64() int64 {
	whole, _ := d.split()
	low := new(big.Int).And(whole, new(big.Int).SetUint64(math.MaxUint64))
	return int64(low.Uint64()) // the bits are wanted
}

// Whole returns the number when it has no fraction and fits 64 bits.
func (d Decimal) Whole() (int64, bool) {
	if d.scale < -19 && d.Sign() != 0 {
		return 0, false
	}
	whole, exact := d.split()
	if !exact || !whole.IsInt64() {
		return 0, false
	}
	return whole.Int64(), true
}

// split cuts the fraction off, and reports whether there was none. From 64 zeros on, the
// low 64 bits are zero, so more are not worth writing out.
func (d Decimal) split() (whole *big.Int, exact bool) {
	n := d.number()
	switch {
	case d.scale == 0 || n.Sign() == 0:
		return n, true
	case d.scale < 0:
		zeros := min(-int64(d.scale), 64)
		return new(big.Int).Mul(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(zeros), nil)), true
	case int64(d.scale) > int64(n.BitLen()): // 10^scale is beyond the number
		return new(big.Int), false
	}
	fraction := new(big.Int)
	whole, _ = new(big.Int).QuoRem(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.scale)), nil), fraction)
	return whole, fraction.Sign() == 0
}

// twosComplement returns the shortest such form of the unscaled number, as
// BigInteger.toByteArray.
func (d Decimal) twosComplement() []byte {
	n := d.number()
	if n.Sign() >= 0 {
		return n.FillBytes(make([]byte, n.BitLen()/8+1))
	}
	// -n-1 has the inverted bits.
	inverted := new(big.Int).Not(n)
	out := inverted.FillBytes(make([]byte, inverted.BitLen()/8+1))
	for i := range out {
		out[i] = ^out[i]
	}
	return out
}
