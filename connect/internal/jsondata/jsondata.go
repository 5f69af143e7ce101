// Package jsondata writes values that are not JSON's own as JSON, as Java's converters do:
// bytes, decimals, dates and times.
package jsondata

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tributary/connect"
)

// AppendBytes appends bytes as Base64 text.
func AppendBytes(b, data []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), data), '"')
}

// AppendDecimal appends a decimal of the schema: as a number if numeric, otherwise the
// bytes of its unscaled value. A *connect.DataError says why it is none.
func AppendDecimal(b []byte, schema *connect.Schema, value any, numeric bool) ([]byte, error) {
	d, ok := value.(connect.Decimal)
	if !ok {
		return nil, wrongType("Decimal", "BigDecimal", value)
	}
	if numeric {
		return append(b, d.String()...), nil
	}
	data, err := connect.DecimalToBytes(schema, d)
	if err != nil {
		return nil, err
	}
	return AppendBytes(b, data), nil
}

// AppendTemporal appends a date, a time or a timestamp, by the name of its schema, as a
// number. A *connect.DataError says why it is none.
func AppendTemporal(b []byte, name string, value any) ([]byte, error) {
	t, ok := value.(time.Time)
	if !ok {
		return nil, wrongType(name[strings.LastIndexByte(name, '.')+1:], "Date", value)
	}
	number := t.UnixMilli()
	var small int32
	var err error
	switch name {
	case connect.DateName:
		small, err = connect.DateToDays(t)
		number = int64(small)
	case connect.TimeName:
		small, err = connect.TimeToMillis(t)
		number = int64(small)
	}
	return strconv.AppendInt(b, number, 10), err
}

func wrongType(what, class string, value any) error {
	return &connect.DataError{Message: fmt.Sprintf("Invalid type for %s, expected %s but was class %s", what, class, connect.ClassName(value))}
}
