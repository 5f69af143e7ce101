package values

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"tributary/connect"
	"tributary/internal/javatext"
	"tributary/internal/simpledate"
)

const millisPerDay = 24 * 60 * 60 * 1000

var (
	datePattern      = pattern("yyyy-MM-dd")
	timePattern      = pattern("HH:mm:ss.SSS'Z'")
	timestampPattern = pattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")
)

func pattern(text string) *simpledate.Format {
	f, err := simpledate.Compile(text, nil)
	if err != nil {
		panic(err) // a constant
	}
	return f
}

// FormatTime writes a point in time as time of the day when it is on the first day of
// 1970 or before, as day when it is midnight, else in full.
func FormatTime(t time.Time) string {
	switch millis := t.UnixMilli(); {
	case millis < millisPerDay:
		return timePattern.Format(t)
	case millis%millisPerDay == 0:
		return datePattern.Format(t)
	}
	return timestampPattern.Format(t)
}

// Append appends the text of a value: strings as they are, containers in a form like
// JSON. A *connect.DataError refuses what is not of the data model.
func Append(b []byte, value any) ([]byte, error) { return appendValue(b, value, false) }

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// appendValue appends the text of a value; embedded ones are inside a container.
func appendValue(b []byte, value any, embedded bool) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		if embedded {
			return append(append(append(b, '"'), escaper.Replace(v)...), '"'), nil
		}
		return append(b, v...), nil
	case []byte:
		if embedded {
			b = append(b, '"')
		}
		b = base64.StdEncoding.AppendEncode(b, v)
		if embedded {
			b = append(b, '"')
		}
		return b, nil
	case []any:
		return appendSequence(b, '[', ']', len(v), func(b []byte, i int) ([]byte, error) {
			return appendValue(b, v[i], true)
		})
	case map[string]any, connect.MapEntries:
		entries := javatext.Entries(value)
		return appendSequence(b, '{', '}', len(entries), func(b []byte, i int) ([]byte, error) {
			return appendEntry(b, entries[i].Key, entries[i].Value)
		})
	case *connect.StructValue:
		fields := v.Schema().Fields
		return appendSequence(b, '{', '}', len(fields), func(b []byte, i int) ([]byte, error) {
			return appendEntry(b, fields[i].Name, v.At(i))
		})
	case time.Time:
		return append(b, FormatTime(v)...), nil
	case connect.Decimal:
		return append(b, v.String()...), nil
	}
	if scalar, ok := javatext.AppendScalar(b, value); ok {
		return scalar, nil
	}
	return nil, &connect.DataError{Message: fmt.Sprintf("Failed to serialize unexpected value type %s: %v", connect.ClassName(value), value)}
}

func appendSequence(b []byte, begin, end byte, n int, item func([]byte, int) ([]byte, error)) ([]byte, error) {
	b = append(b, begin)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = item(b, i); err != nil {
			return nil, err
		}
	}
	return append(b, end), nil
}

func appendEntry(b []byte, key, value any) ([]byte, error) {
	b, err := appendValue(b, key, true)
	if err != nil {
		return nil, err
	}
	return appendValue(append(b, ':'), value, true)
}
