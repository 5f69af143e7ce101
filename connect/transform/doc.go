// Package transform holds the built-in transformations, under the class names of their
// Java counterparts. Most have two: $Key works on a record's key, $Value on its value.
//
// They follow Kafka 4.3.1 in what they do, refuse and say, because chains of them were
// tuned to that. Two things hold for all: a record is never changed in place, unless it is
// the one that ChangeInPlace named, and the schema that a transformation gives to a record
// is made once for each schema it meets.
package transform

import (
	"tributary/connect"
	"tributary/connect/plugin"
)

const javaPackage = "org.apache.kafka.connect.transforms."

// Plugins lists the transformations here for a worker of the given version.
func Plugins(version string) []plugin.Plugin {
	var plugins []plugin.Plugin
	add := func(class string, make func() connect.Transformation) {
		plugins = append(plugins, plugin.Plugin{Class: javaPackage + class, Kind: plugin.Transformation, Version: version, New: func() any { return make() }})
	}
	for class, make := range map[string]func(side) connect.Transformation{
		"Cast":               func(s side) connect.Transformation { return &Cast{side: s} },
		"ExtractField":       func(s side) connect.Transformation { return &ExtractField{side: s} },
		"Flatten":            func(s side) connect.Transformation { return &Flatten{side: s} },
		"HeaderFrom":         func(s side) connect.Transformation { return &HeaderFrom{side: s} },
		"HoistField":         func(s side) connect.Transformation { return &HoistField{side: s} },
		"InsertField":        func(s side) connect.Transformation { return &InsertField{side: s} },
		"MaskField":          func(s side) connect.Transformation { return &MaskField{side: s} },
		"ReplaceField":       func(s side) connect.Transformation { return &ReplaceField{side: s} },
		"SetSchemaMetadata":  func(s side) connect.Transformation { return &SetSchemaMetadata{side: s} },
		"TimestampConverter": func(s side) connect.Transformation { return &TimestampConverter{side: s} },
	} {
		add(class+"$Key", func() connect.Transformation { return make(onKey) })
		add(class+"$Value", func() connect.Transformation { return make(onValue) })
	}
	for class, s := range map[string]side{parseClass + "$Key": onKey, parseClass + "$Value": onValue} {
		plugins = append(plugins, plugin.Plugin{Class: class, Kind: plugin.Transformation, Version: version, New: func() any { return connect.Transformation(&Parse{side: s}) }})
	}
	add("DropHeaders", func() connect.Transformation { return new(DropHeaders) })
	add("Filter", func() connect.Transformation { return new(Filter) })
	add("InsertHeader", func() connect.Transformation { return new(InsertHeader) })
	add("RegexRouter", func() connect.Transformation { return new(RegexRouter) })
	add("TimestampRouter", func() connect.Transformation { return new(TimestampRouter) })
	add("ValueToKey", func() connect.Transformation { return new(ValueToKey) })
	return plugins
}
