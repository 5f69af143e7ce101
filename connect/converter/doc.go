// Package converter holds the built-in converters between Connect data and bytes:
// org.apache.kafka.connect.converters.ByteArrayConverter,
// org.apache.kafka.connect.storage.StringConverter and
// org.apache.kafka.connect.storage.SimpleHeaderConverter.
package converter

import "tributary/connect/plugin"

// The Java class names of the converters here.
const (
	byteArrayClass    = "org.apache.kafka.connect.converters.ByteArrayConverter"
	stringClass       = "org.apache.kafka.connect.storage.StringConverter"
	simpleHeaderClass = "org.apache.kafka.connect.storage.SimpleHeaderConverter"
)

// Plugins lists the converters here for a worker of the given version.
func Plugins(version string) []plugin.Plugin {
	return []plugin.Plugin{
		{Class: byteArrayClass, Kind: plugin.Converter, Version: version, New: func() any { return new(ByteArray) }},
		{Class: byteArrayClass, Kind: plugin.HeaderConverter, Version: version, New: func() any { return new(ByteArrayHeader) }},
		{Class: stringClass, Kind: plugin.Converter, Version: version, New: func() any { return new(String) }},
		{Class: stringClass, Kind: plugin.HeaderConverter, Version: version, New: func() any { return new(StringHeader) }},
		{Class: simpleHeaderClass, Kind: plugin.HeaderConverter, Version: version, New: func() any { return new(SimpleHeader) }},
	}
}
