package connect

import (
	"math/big"
	"strconv"
	"time"
)

// The names that make a schema one of a logical type. Its values are a Go type of their
// own then: Decimal, or time.Time in UTC.
const (
	DecimalName   = "org.apache.kafka.connect.data.Decimal"
	DateName      = "org.apache.kafka.connect.data.Date"
	TimeName      = "org.apache.kafka.connect.data.Time"
	TimestampName = "org.apache.kafka.connect.data.Timestamp"
)

// DecimalScale is the parameter of a Decimal schema that holds the digits after the
// point.
const DecimalScale = "scale"

const millisPerDay = 24 * 60 * 60 * 1000

var logicalVersion = 1

// Schemas of the logical types: a day, a time of the day, and a point in time, all in
// UTC and to the millisecond.
var (
	DateSchema      = &Schema{Type: Int32, Name: DateName, Version: &logicalVersion}
	TimeSchema      = &Schema{Type: Int32, Name: TimeName, Version: &logicalVersion}
	TimestampSchema = &Schema{Type: Int64, Name: TimestampName, Version: &logicalVersion}

	OptionalDateSchema      = DateSchema.AsOptional()
	OptionalTimeSchema      = TimeSchema.AsOptional()
	OptionalTimestampSchema = TimestampSchema.AsOptional()
)

// DecimalSchema returns the schema of decimals with that many digits after the point.
func DecimalSchema(scale int32) *Schema {
	return &Schema{Type: Bytes, Name: DecimalName, Version: &logicalVersion,
		Parameters: Parameters{{DecimalScale, strconv.Itoa(int(scale))}}}
}

// DateToDays returns a Date's days since 1970. A *DataError says that t is not midnight.
func DateToDays(t time.Time) (int32, error) {
	millis := t.UnixMilli()
	if millis%millisPerDay != 0 {
		return 0, dataErrorf("Kafka Connect Date type should not have any time fields set to non-zero values.")
	}
	return int32(millis / millisPerDay), nil // wraps as Java's cast does
}

// DateFromDays is the inverse of DateToDays.
func DateFromDays(days int32) time.Time { return time.UnixMilli(int64(days) * millisPerDay).UTC() }

// TimeToMillis returns a Time's milliseconds since midnight. A *DataError says that t is
// not on the first day of 1970.
func TimeToMillis(t time.Time) (int32, error) {
	millis := t.UnixMilli()
	if millis < 0 || millis > millisPerDay {
		return 0, dataErrorf("Kafka Connect Time type should not have any date fields set to non-zero values.")
	}
	return int32(millis), nil
}

// TimeFromMillis is the inverse of TimeToMillis. A *DataError refuses more than a day.
func TimeFromMillis(millis int32) (time.Time, error) {
	if millis < 0 || millis > millisPerDay {
		return time.Time{}, dataErrorf("Time values must use number of milliseconds greater than 0 and less than 86400000")
	}
	return time.UnixMilli(int64(millis)).UTC(), nil
}

// TimestampFromMillis returns the Timestamp at that many milliseconds since 1970. Its
// inverse is [time.Time.UnixMilli].
func TimestampFromMillis(millis int64) time.Time { return time.UnixMilli(millis).UTC() }

// DecimalToBytes returns the unscaled number in two's complement. A *DataError says that
// d has another scale than the schema.
func DecimalToBytes(schema *Schema, d Decimal) ([]byte, error) {
	scale, err := decimalScale(schema)
	if err != nil {
		return nil, err
	}
	if scale != d.scale {
		return nil, dataErrorf("Decimal value has mismatching scale for given Decimal schema. Schema has scale %d, value has scale %d.", scale, d.scale)
	}
	return d.twosComplement(), nil
}

// DecimalFromBytes is the inverse of DecimalToBytes. A *DataError says that there are no
// bytes, or that the schema has no scale.
func DecimalFromBytes(schema *Schema, data []byte) (Decimal, error) {
	scale, err := decimalScale(schema)
	if err != nil {
		return Decimal{}, err
	}
	if len(data) == 0 {
		return Decimal{}, dataErrorf("Zero length BigInteger")
	}
	unscaled := new(big.Int).SetBytes(data)
	if data[0]&0x80 != 0 {
		unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(8*len(data))))
	}
	return Decimal{unscaled, scale}, nil
}

func decimalScale(schema *Schema) (int32, error) {
	text, ok := schema.Parameters.Get(DecimalScale)
	if !ok {
		return 0, dataErrorf("Invalid Decimal schema: scale parameter not found.")
	}
	scale, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, &DataError{Message: "Invalid scale parameter found in Decimal schema: ", Err: err}
	}
	return int32(scale), nil
}
