// Package file has the FileStream connectors: a source that turns the lines of a file, or
// of the standard input, into records, and a sink that writes one line for each record.
// Names, keys and offsets are those of Kafka's own, so a file can be handed over between
// workers of both kinds. They are for trying things out more than for production: a
// source sees one file, and only what is appended to it.
package file

import (
	"io"
	"os"

	"tributary/connect/plugin"
)

// Java's class names.
const (
	SourceConnectorClass = "org.apache.kafka.connect.file.FileStreamSourceConnector"
	SourceTaskClass      = "org.apache.kafka.connect.file.FileStreamSourceTask"
	SinkConnectorClass   = "org.apache.kafka.connect.file.FileStreamSinkConnector"
	SinkTaskClass        = "org.apache.kafka.connect.file.FileStreamSinkTask"
)

// Plugins lists both connectors for a worker of the given version.
func Plugins(version string) []plugin.Plugin {
	return streams(version, newInput(os.Stdin), os.Stdout)
}

// streams lists the connectors with a standard input and output of their own.
func streams(version string, stdin *input, stdout io.Writer) []plugin.Plugin {
	out := &output{to: stdout}
	return []plugin.Plugin{
		{Class: SourceConnectorClass, Kind: plugin.Source, TaskClass: SourceTaskClass, Version: version, New: func() any { return &SourceConnector{stdin: stdin} }},
		{Class: SinkConnectorClass, Kind: plugin.Sink, TaskClass: SinkTaskClass, Version: version, New: func() any { return &SinkConnector{stdout: out} }},
	}
}
