package kafka

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
)

// KeyError says what is wrong with the value of one key.
type KeyError struct {
	Key string
	// Value is the value as it was given, or "[hidden]" for a secret, or empty if there was none.
	Value string
	// Reason says what would be right.
	Reason string
}

func (e *KeyError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("invalid configuration %s: %s", e.Key, e.Reason)
	}
	return fmt.Sprintf("invalid value %q for configuration %s: %s", e.Value, e.Key, e.Reason)
}

// values are the typed values of all keys of a role, and the errors found so far.
type values struct {
	props Props
	typed map[string]any
	// bad are keys whose value was refused: checks over several keys leave them out.
	bad  map[string]bool
	errs *multierror.Error
}

// readValues gives every key of the role its value or Java's default.
func readValues(role Role, props Props) (v *values, warnings, unknown []string) {
	v = &values{props: props, typed: map[string]any{}, bad: map[string]bool{}}
	table := tableFor(role)
	for _, d := range sortedDefs(table) {
		text, given := props[d.name]
		if !given {
			if d.def != none {
				v.typed[d.name], _ = convert(d.kind, d.def)
			}
			continue
		}
		value, reason := convert(d.kind, text)
		if reason == "" && d.check != nil {
			reason = d.check(value)
		}
		if reason != "" {
			v.fail(d.name, reason)
			continue
		}
		v.typed[d.name] = value
		if fits, ok := satisfied[d.name]; d.ignored != "" && !(ok && strings.EqualFold(fits, strings.TrimSpace(text))) {
			warnings = append(warnings, fmt.Sprintf("%s is ignored: %s", d.name, d.ignored))
		}
	}
	for key := range props {
		if table[key] == nil {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	return v, warnings, unknown
}

func sortedDefs(table map[string]*keyDef) []*keyDef {
	defs := make([]*keyDef, 0, len(table))
	for _, d := range table {
		defs = append(defs, d)
	}
	slices.SortFunc(defs, func(a, b *keyDef) int { return strings.Compare(a.name, b.name) })
	return defs
}

var commaWithBlanks = regexp.MustCompile(`\s*,\s*`)

// convert reads text as Java's ConfigDef does. The reason is empty if it can.
func convert(k kind, text string) (value any, reason string) {
	text = strings.TrimFunc(text, func(r rune) bool { return r <= ' ' })
	var err error
	switch k {
	case kindBoolean:
		switch strings.ToLower(text) {
		case "true":
			return true, ""
		case "false":
			return false, ""
		}
		return nil, "must be true or false"
	case kindShort, kindInt, kindLong:
		bits := map[kind]int{kindShort: 16, kindInt: 32, kindLong: 64}[k]
		if value, err = strconv.ParseInt(text, 10, bits); err != nil {
			return nil, fmt.Sprintf("must be a whole number of at most %d bits", bits)
		}
		return value, ""
	case kindDouble:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, "must be a number"
		}
		return f, ""
	case kindList:
		if text == "" {
			return []string{}, ""
		}
		return commaWithBlanks.Split(text, -1), ""
	}
	return text, ""
}

func (v *values) fail(key, reason string) {
	value := v.props[key]
	if value != "" && IsSecret(key) {
		value = hidden
	}
	v.bad[key] = true
	v.errs = multierror.Append(v.errs, &KeyError{Key: key, Value: value, Reason: reason})
}

// given says whether the user set the key.
func (v *values) given(key string) bool {
	_, ok := v.props[key]
	return ok
}

func (v *values) boolean(key string) bool { b, _ := v.typed[key].(bool); return b }

func (v *values) int(key string) int { n, _ := v.typed[key].(int64); return int(n) }

func (v *values) int64(key string) int64 { n, _ := v.typed[key].(int64); return n }

func (v *values) float(key string) float64 { f, _ := v.typed[key].(float64); return f }

func (v *values) text(key string) string { s, _ := v.typed[key].(string); return s }

func (v *values) secret(key string) Secret { return Secret(v.text(key)) }

func (v *values) list(key string) []string { l, _ := v.typed[key].([]string); return l }

// millis reads a time in milliseconds. Java allows more of them than a Duration holds.
func (v *values) millis(key string) time.Duration {
	n := v.int64(key)
	if n > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(n) * time.Millisecond
}
