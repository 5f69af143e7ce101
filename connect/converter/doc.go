// Package converter holds the built-in converters between Connect data and bytes, under
// the class names of their Java counterparts: ByteArray, String, Json, the numbers and
// booleans, each also for headers, and SimpleHeader for headers alone.
package converter

import (
	"tributary/connect"
	"tributary/connect/plugin"
)

// SimpleHeaderClass is the class of the header converter that a worker uses when its
// configuration names none.
const SimpleHeaderClass = "org.apache.kafka.connect.storage.SimpleHeaderConverter"

// Plugins lists the converters here for a worker of the given version.
func Plugins(version string) []plugin.Plugin {
	const byteArray = "org.apache.kafka.connect.converters.ByteArrayConverter"
	plugins := []plugin.Plugin{
		{Class: byteArray, Kind: plugin.Converter, Version: version, New: func() any { return new(ByteArray) }},
		{Class: byteArray, Kind: plugin.HeaderConverter, Version: version, New: func() any { return new(ByteArrayHeader) }},
		{Class: SimpleHeaderClass, Kind: plugin.HeaderConverter, Version: version, New: func() any { return new(SimpleHeader) }},
	}
	for class, make := range map[string]func() configured{
		"org.apache.kafka.connect.converters.BooleanConverter": func() configured { return new(Boolean) },
		"org.apache.kafka.connect.converters.DoubleConverter":  newDouble,
		"org.apache.kafka.connect.converters.FloatConverter":   newFloat,
		"org.apache.kafka.connect.converters.IntegerConverter": newInteger,
		"org.apache.kafka.connect.converters.LongConverter":    newLong,
		"org.apache.kafka.connect.converters.ShortConverter":   newShort,
		"org.apache.kafka.connect.json.JsonConverter":          func() configured { return new(JSON) },
		"org.apache.kafka.connect.storage.StringConverter":     func() configured { return new(String) },
	} {
		plugins = append(plugins,
			plugin.Plugin{Class: class, Kind: plugin.Converter, Version: version, New: func() any { return connect.Converter(make()) }},
			plugin.Plugin{Class: class, Kind: plugin.HeaderConverter, Version: version, New: func() any { return forHeaders{make()} }})
	}
	return plugins
}
