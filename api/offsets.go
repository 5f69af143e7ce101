package api

import (
	"context"
	"encoding/json"
	"net/http"
)

// ConnectorOffset is the offset of one partition of a connector's source, or of a topic
// partition that a sink reads. Both are kept as JSON objects, so that numbers stay what
// they are; a nil or null Offset is none.
type ConnectorOffset struct {
	Partition json.RawMessage `json:"partition"`
	Offset    json.RawMessage `json:"offset"`
}

// ConnectorOffsets answers GET /connectors/{name}/offsets and is the body of PATCH
// (KIP-875).
type ConnectorOffsets struct {
	Offsets []ConnectorOffset `json:"offsets"`
}

// Message is the answer to a change of offsets.
type Message struct {
	Message string `json:"message"`
}

// Offsets returns a connector's committed offsets.
func (c *Client) Offsets(ctx context.Context, connector string) (offsets ConnectorOffsets, err error) {
	_, err = c.do(ctx, http.MethodGet, path(connector, "offsets"), nil, &offsets)
	return offsets, err
}

// AlterOffsets sets the offsets of some partitions of a stopped connector, and removes
// those that are null. The result is the worker's message.
func (c *Client) AlterOffsets(ctx context.Context, connector string, offsets ConnectorOffsets) (string, error) {
	var answer Message
	_, err := c.do(ctx, http.MethodPatch, path(connector, "offsets"), offsets, &answer)
	return answer.Message, err
}

// ResetOffsets removes all offsets of a stopped connector. The result is the worker's
// message.
func (c *Client) ResetOffsets(ctx context.Context, connector string) (string, error) {
	var answer Message
	_, err := c.do(ctx, http.MethodDelete, path(connector, "offsets"), nil, &answer)
	return answer.Message, err
}
