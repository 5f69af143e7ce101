package oracle

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"tributary/connect"
	"tributary/connect/converter"
	"tributary/internal/javatext"
)

// Notation reads values as the cases write them, and shows values as the answers do.
type Notation struct {
	envelope, bare connect.Converter // JsonConverter, with schemas and without
}

// NewNotation makes a notation. It fails never, but for a mistake in the converters.
func NewNotation() (*Notation, error) {
	n := &Notation{envelope: new(converter.JSON), bare: new(converter.JSON)}
	if err := n.envelope.Configure(map[string]string{"schemas.enable": "true"}, false); err != nil {
		return nil, err
	}
	return n, n.bare.Configure(map[string]string{"schemas.enable": "false"}, false)
}

// Value reads a value of a case.
func (n *Notation) Value(raw json.RawMessage) (*connect.Schema, any, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil, nil
	}
	var forms struct {
		JSON  *string
		Plain json.RawMessage
	}
	if err := json.Unmarshal(raw, &forms); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", raw, err)
	}
	var schema *connect.Schema
	var value any
	var err error
	switch {
	case forms.JSON != nil:
		schema, value, err = n.bare.ToConnectData("t", nil, []byte(*forms.JSON))
	case forms.Plain != nil:
		value, err = plain(forms.Plain)
	default:
		schema, value, err = n.envelope.ToConnectData("t", nil, raw)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", raw, err)
	}
	return schema, value, nil
}

// Show is a record as an answer has it.
func (n *Notation) Show(r *connect.Record) map[string]any {
	out := answer{"topic": r.Topic}
	if r.Partition != connect.PartitionUnset {
		out["partition"] = r.Partition
	}
	if r.Timestamp != connect.NoTimestamp {
		out["timestamp"] = r.Timestamp
	}
	n.put(out, "key", r.KeySchema, r.Key)
	n.put(out, "value", r.ValueSchema, r.Value)
	var headers []answer
	for _, h := range r.Headers {
		own := answer{"key": h.Key}
		n.put(own, "value", h.Schema, h.Value)
		headers = append(headers, own)
	}
	if headers != nil {
		out["headers"] = headers
	}
	return out
}

func (n *Notation) put(out answer, name string, schema *connect.Schema, value any) {
	out[name] = dump(value)
	data, err := n.envelope.FromConnectData("t", nil, schema, value)
	switch {
	case err != nil:
		out[name+"JsonError"] = failure(err)["message"]
	case data == nil:
		out[name+"Json"] = nil
	default:
		out[name+"Json"] = string(data)
	}
}

func plain(raw json.RawMessage) (any, error) {
	var v any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return untag(v)
}

func untag(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = untag(v[i]); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		for tag, n := range v {
			return tagged(tag, n)
		}
	}
	return v, nil
}

func tagged(tag string, n any) (any, error) {
	number := func(bits int) int64 {
		i, _ := strconv.ParseInt(fmt.Sprint(n), 10, bits) // the cases are right
		return i
	}
	switch tag {
	case "int8":
		return int8(number(8)), nil
	case "int16":
		return int16(number(16)), nil
	case "int32":
		return int32(number(32)), nil
	case "int64":
		return number(64), nil
	case "float32":
		f, err := strconv.ParseFloat(fmt.Sprint(n), 32)
		return float32(f), err
	case "float64":
		return strconv.ParseFloat(fmt.Sprint(n), 64)
	case "bytes":
		return unlatin(n.(string)), nil
	case "date":
		return time.UnixMilli(number(64)).UTC(), nil
	case "decimal":
		return connect.ParseDecimal(n.(string))
	case "map":
		entries := connect.MapEntries{}
		for _, pair := range n.([]any) {
			key, err := untag(pair.([]any)[0])
			if err != nil {
				return nil, err
			}
			value, err := untag(pair.([]any)[1])
			if err != nil {
				return nil, err
			}
			entries.Put(key, value)
		}
		javatext.SortAsHashMap(entries, javatext.DefaultCapacity)
		return entries, nil
	}
	return nil, fmt.Errorf("unknown tag %s", tag)
}

// dump shows a value with its type, in the order in which Java iterates it.
func dump(v any) string {
	switch v := v.(type) {
	case string:
		return "'" + v + "'"
	case int8, int16, int32, int64, float32, float64:
		return fmt.Sprintf("%T:%s", v, javatext.String(v))
	case []byte:
		return "bytes:" + base64.StdEncoding.EncodeToString(v)
	case time.Time:
		return "date:" + big.NewInt(v.UnixMilli()).String()
	case connect.Decimal:
		return "decimal:" + v.String()
	case []any:
		items := make([]string, len(v))
		for i := range v {
			items[i] = dump(v[i])
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any, connect.MapEntries:
		var items []string
		for _, e := range javatext.Entries(v) {
			items = append(items, dump(e.Key)+"="+dump(e.Value))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case *connect.StructValue:
		var items []string
		for i, f := range v.Schema().Fields {
			items = append(items, f.Name+"="+dump(v.RawAt(i)))
		}
		return "Struct{" + strings.Join(items, ", ") + "}"
	}
	return javatext.String(v)
}
