// Package verifiable has the Verifiable connectors: a source that writes numbered records
// at a given rate, and a sink that reads them. Both print one line of JSON for each record
// sent, acknowledged, read and flushed, in the form of Kafka's own, so that what went
// through a cluster can be checked from outside.
package verifiable

import (
	"encoding/json"
	"io"
	"os"
	"strconv"
	"sync"

	"tributary/connect/plugin"
)

// Java's class names.
const (
	SourceConnectorClass = "org.apache.kafka.connect.tools.VerifiableSourceConnector"
	SourceTaskClass      = "org.apache.kafka.connect.tools.VerifiableSourceTask"
	SinkConnectorClass   = "org.apache.kafka.connect.tools.VerifiableSinkConnector"
	SinkTaskClass        = "org.apache.kafka.connect.tools.VerifiableSinkTask"
)

// Plugins lists both connectors for a worker of the given version.
func Plugins(version string) []plugin.Plugin { return printing(version, os.Stdout) }

// printing lists the connectors with an output of their own.
func printing(version string, to io.Writer) []plugin.Plugin {
	out := &printer{to: to}
	return []plugin.Plugin{
		{Class: SourceConnectorClass, Kind: plugin.Source, TaskClass: SourceTaskClass, Version: version, New: func() any { return &SourceConnector{out: out} }},
		{Class: SinkConnectorClass, Kind: plugin.Sink, TaskClass: SinkTaskClass, Version: version, New: func() any { return &SinkConnector{out: out} }},
	}
}

// divide makes one task configuration for each task: the connector's with the task's id.
func divide(config map[string]string, maxTasks int) []map[string]string {
	configs := make([]map[string]string, maxTasks)
	for i := range configs {
		configs[i] = map[string]string{}
		for k, v := range config {
			configs[i][k] = v
		}
		configs[i]["id"] = strconv.Itoa(i)
	}
	return configs
}

// field is one field of a line.
type field struct {
	name  string
	value any
}

// printer writes one line of JSON at a time, for all tasks of a process.
type printer struct {
	mu sync.Mutex
	to io.Writer
}

// print writes the fields in the order given: that of the hash map that Java prints. An
// error of the output is nobody's concern, as in Java.
func (p *printer) print(fields ...field) {
	line := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			line = append(line, ',')
		}
		line = append(strconv.AppendQuote(line, f.name), ':')
		value, err := json.Marshal(f.value)
		if err != nil {
			value, _ = json.Marshal("Bad data can't be written as json: " + err.Error())
		}
		line = append(line, value...)
	}
	line = append(line, '}', '\n')
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.to.Write(line)
}
