package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/herder"
)

// The Java types that messages about the body of PATCH /connectors/{c}/offsets name.
const (
	typeOffsets     = "org.apache.kafka.connect.runtime.rest.entities.ConnectorOffsets"
	typeOffset      = "org.apache.kafka.connect.runtime.rest.entities.ConnectorOffset"
	typeOffsetList  = typeList + "<" + typeOffset + ">"
	typeOffsetField = typeMap + "<java.lang.String,java.lang.Object>"
)

func alterOffsets(ctx context.Context, c *call, connector string) (answer, error) {
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	changes, err := decodeOffsets(body)
	if err != nil {
		return answer{}, err
	}
	if len(changes) == 0 {
		return answer{}, &herder.BadRequestError{Message: "Partitions / offsets need to be provided for an alter offsets request"}
	}
	out := outgoing{method: http.MethodPatch, path: connectorPath(connector, "/offsets"), body: body}
	return c.message(ctx, out, func(ctx context.Context) (api.Message, error) {
		return c.herder.AlterOffsets(ctx, connector, changes)
	})
}

func resetOffsets(ctx context.Context, c *call, connector string) (answer, error) {
	out := outgoing{method: http.MethodDelete, path: connectorPath(connector, "/offsets")}
	return c.message(ctx, out, func(ctx context.Context) (api.Message, error) {
		return c.herder.ResetOffsets(ctx, connector)
	})
}

// message answers with the message that an operation here or elsewhere ends with.
func (c *call) message(ctx context.Context, out outgoing, operation func(ctx context.Context) (api.Message, error)) (answer, error) {
	var message api.Message
	in, err := c.orForward(ctx, out, func(ctx context.Context) (err error) {
		message, err = operation(ctx)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	if in != nil {
		return forwarded(*in, http.StatusOK), nil
	}
	return answer{status: http.StatusOK, body: message}, nil
}

// decodeOffsets reads the body of PATCH /connectors/{c}/offsets. Integers are int64,
// other numbers float64; integers that are too large stay json.Number.
func decodeOffsets(body []byte) ([]connect.OffsetChange, error) {
	r := newBodyReader(body)
	var changes []connect.OffsetChange
	err := r.object(typeOffsets, []string{"offsets"}, func(string) error {
		t, err := r.next()
		if err != nil || t.isNull() {
			return err
		}
		if t.value != json.Delim('[') {
			return r.mismatch(t, typeOffsetList)
		}
		for r.dec.More() {
			leave := r.enter(typeList + "[" + strconv.Itoa(len(changes)) + "]")
			change, err := r.offset()
			if err != nil {
				return err
			}
			leave()
			changes = append(changes, change)
		}
		return r.end()
	})
	if err != nil {
		return nil, err
	}
	return changes, r.nothingMore()
}

func (r *bodyReader) offset() (change connect.OffsetChange, err error) {
	err = r.object(typeOffset, []string{"partition", "offset"}, func(name string) (err error) {
		into := &change.Partition
		if name == "offset" {
			into = &change.Offset
		}
		t, err := r.next()
		if err != nil || t.isNull() {
			*into = nil
			return err
		}
		if t.value != json.Delim('{') {
			return r.mismatch(t, typeOffsetField)
		}
		*into, err = r.fields()
		return err
	})
	return change, err
}

// fields reads the rest of an object whose bracket was read.
func (r *bodyReader) fields() (map[string]any, error) {
	out := map[string]any{}
	for r.dec.More() {
		key, err := r.next()
		if err != nil {
			return nil, err
		}
		if out[key.value.(string)], err = r.any(); err != nil {
			return nil, err
		}
	}
	return out, r.end()
}

// any reads a value of any kind.
func (r *bodyReader) any() (any, error) {
	t, err := r.next()
	if err != nil {
		return nil, err
	}
	switch v := t.value.(type) {
	case json.Number:
		return number(v), nil
	case json.Delim:
		if v == '{' {
			return r.fields()
		}
		list := []any{}
		for r.dec.More() {
			item, err := r.any()
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		return list, r.end()
	}
	return t.value, nil
}

func number(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return i
	}
	if f, err := n.Float64(); err == nil && !isInteger(n) {
		return f
	}
	return n
}

func isInteger(n json.Number) bool {
	for _, c := range n.String() {
		if c == '.' || c == 'e' || c == 'E' {
			return false
		}
	}
	return true
}
