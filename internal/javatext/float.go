package javatext

import (
	"math"
	"strconv"
	"strings"
)

// AppendFloat appends f as Double.toString or Float.toString of Java 19 and later do:
// the shortest digits that read back, at least one after the point, an exponent below
// 10^-3 and from 10^7 on.
func AppendFloat(b []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	if abs := math.Abs(f); abs == 0 || abs >= 1e-3 && abs < 1e7 {
		text := strconv.FormatFloat(f, 'f', -1, bits)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return append(b, text...)
	}
	text := strconv.FormatFloat(f, 'e', -1, bits)
	mantissa, exponent, _ := strings.Cut(text, "e")
	if !strings.Contains(mantissa, ".") {
		// Of the two-digit numbers that read back, Java takes the closest one.
		mantissa, exponent, _ = strings.Cut(strconv.FormatFloat(f, 'e', 1, bits), "e")
	}
	power, _ := strconv.Atoi(exponent)
	b = append(append(b, mantissa...), 'E')
	return strconv.AppendInt(b, int64(power), 10)
}
