package oracle

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"tributary/connect"
)

// Case is one entry of a file of cases, see the package's documentation.
type Case struct {
	Name       string
	Chain      []Step
	Records    []Record
	Converter  string
	Config     map[string]any
	Write      []json.RawMessage
	Read       []json.RawMessage
	Definition string
}

// Step is a transformation, or the predicate of one.
type Step struct {
	Class     string
	Config    map[string]any
	Predicate *Step
	Negate    bool
}

// Settings are the step's own keys.
func (s Step) Settings() map[string]string { return Settings(s.Config) }

// Settings are a configuration as text.
func Settings(m map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = fmt.Sprint(v)
	}
	return out
}

// Record is a record to send through a chain. Without a topic it goes to "topic"; with an offset it is one of a sink.
type Record struct {
	Topic     string          `json:"topic,omitempty"`
	Partition *int32          `json:"partition,omitempty"`
	Timestamp *int64          `json:"timestamp,omitempty"`
	Offset    *int64          `json:"offset,omitempty"`
	Key       json.RawMessage `json:"key,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
	Headers   []Header        `json:"headers,omitempty"`
}

// Header is a record's header.
type Header struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// Cases reads file, a path without .cases.json.
func Cases(t *testing.T, file string) (cases []Case) {
	t.Helper()
	read(t, file+".cases.json", &cases)
	return cases
}

// Golden reads what Kafka's own classes answered to a file of cases, by their names.
func Golden(t *testing.T, file string) (answers map[string]any) {
	t.Helper()
	read(t, file+".golden.json", &answers)
	return answers
}

func read(t *testing.T, file string, to any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// Bytes is what a converter is to read: null, a text, or {"bytes":"latin-1"}.
func Bytes(raw json.RawMessage) ([]byte, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(v), nil
	case map[string]any:
		if text, ok := v["bytes"].(string); ok {
			return unlatin(text), nil
		}
	}
	return nil, fmt.Errorf("%s is neither null, a text nor {\"bytes\":…}", raw)
}

func latin(data []byte) string {
	var b strings.Builder
	for _, c := range data {
		b.WriteRune(rune(c))
	}
	return b.String()
}

func unlatin(s string) []byte {
	out := []byte{}
	for _, r := range s {
		out = append(out, byte(r))
	}
	return out
}

// Record is what a transformation gets of a case's record.
func (n *Notation) Record(c Record) (*connect.Record, error) {
	r := &connect.Record{Topic: "topic", Partition: connect.PartitionUnset, Timestamp: connect.NoTimestamp}
	if c.Topic != "" {
		r.Topic = c.Topic
	}
	if c.Partition != nil {
		r.Partition = *c.Partition
	}
	if c.Timestamp != nil {
		r.Timestamp = *c.Timestamp
	}
	if c.Offset != nil {
		r.Origin = &connect.Origin{Topic: r.Topic, Partition: r.Partition, Offset: *c.Offset}
	}
	var err error
	if r.KeySchema, r.Key, err = n.Value(c.Key); err != nil {
		return nil, err
	}
	if r.ValueSchema, r.Value, err = n.Value(c.Value); err != nil {
		return nil, err
	}
	for _, h := range c.Headers {
		schema, value, err := n.Value(h.Value)
		if err != nil {
			return nil, err
		}
		r.Headers = append(r.Headers, connect.Header{Key: h.Key, Schema: schema, Value: value})
	}
	return r, nil
}
