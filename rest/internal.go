package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"tributary/api"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
)

// Requests between workers (KIP-507, KIP-618, and two that only Tributary has). They are forwarded with the signature
// and the body they came with.

func putTaskConfigs(ctx context.Context, c *call, connector string) (answer, error) {
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	// What nobody has signed is not decoded: it may be large.
	if signer, ok := c.herder.(herder.RequestSigner); ok {
		if err := signer.VerifyInternal(c.signed(body)); err != nil {
			return answer{}, err
		}
	}
	configs, err := decodeTaskConfigs(body)
	if err != nil {
		return answer{}, err
	}
	return c.internal(ctx, http.MethodPost, connectorPath(connector, "/tasks"), body, func(ctx context.Context, request protocol.SignedRequest) error {
		return c.herder.PutTaskConfigs(ctx, connector, configs, request)
	})
}

func fenceZombies(ctx context.Context, c *call, connector string) (answer, error) {
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	return c.internal(ctx, http.MethodPut, connectorPath(connector, "/fence"), body, func(ctx context.Context, request protocol.SignedRequest) error {
		return c.herder.FenceZombies(ctx, connector, request)
	})
}

// localReplication is a worker's share of GET /connectors/{connector}/replication. It is
// never forwarded: it concerns the worker that was asked.
func localReplication(ctx context.Context, c *call, connector string) (answer, error) {
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	share, err := c.herder.LocalReplication(ctx, connector, c.signed(body))
	return answer{status: http.StatusOK, body: share}, err
}

// signed is the request as its signature sees it.
func (c *call) signed(body []byte) protocol.SignedRequest {
	if c.received == nil {
		r := protocol.Received(c.request.Header, c.request.Method+" "+c.request.URL.EscapedPath(), body)
		c.received = &r // one and the same however often it is verified
	}
	return *c.received
}

func memberDeparted(ctx context.Context, c *call) (answer, error) {
	body, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var departure api.Departure
	if err := json.Unmarshal(body, &departure); err != nil {
		return answer{}, refuse(http.StatusBadRequest, `The body must be {"member":"…"}: `+err.Error())
	}
	return c.internal(ctx, http.MethodPost, "/internal/departures", body, func(ctx context.Context, request protocol.SignedRequest) error {
		return c.herder.MemberDeparted(ctx, departure.Member, request)
	})
}

func (c *call) internal(ctx context.Context, method, path string, body []byte, do func(context.Context, protocol.SignedRequest) error) (answer, error) {
	request := c.signed(body)
	out := outgoing{method: method, path: path, body: body, header: http.Header{}}
	request.SetHeaders(out.header)
	_, err := c.orForward(ctx, out, func(ctx context.Context) error { return do(ctx, request) })
	return answer{status: http.StatusNoContent}, err
}
