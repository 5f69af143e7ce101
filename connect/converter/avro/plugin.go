package avro

import "tributary/connect/plugin"

// Plugins lists the converter for a worker of the given version.
func Plugins(version string) []plugin.Plugin {
	return []plugin.Plugin{{Class: Class, Kind: plugin.Converter, Version: version, New: func() any { return new(Converter) }}}
}
