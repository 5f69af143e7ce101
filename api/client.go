package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Error is a worker's refusal of a request.
type Error struct {
	// Code is the HTTP status.
	Code    int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 256 << 20

// defaultHTTP serves clients without one of their own. A worker takes up to 90 s for
// an answer.
var defaultHTTP = &http.Client{Timeout: 100 * time.Second}

// Client speaks to one worker of a Connect cluster, Tributary's or Java's; requests
// that another worker must answer are forwarded by the worker. A refusal is an
// *Error. Safe for concurrent use.
type Client struct {
	// BaseURL is the worker's address, such as http://localhost:8083.
	BaseURL string
	// HTTP may be nil for a default with time-outs.
	HTTP *http.Client
	// Authorization, if set, is sent as the header of that name.
	Authorization string
}

// ServerInfo asks for the worker's version and its cluster.
func (c *Client) ServerInfo(ctx context.Context) (info ServerInfo, err error) {
	_, err = c.do(ctx, http.MethodGet, "/", nil, &info)
	return info, err
}

// Health asks whether the worker is ready. A worker that answers is no error, whatever
// its status is.
func (c *Client) Health(ctx context.Context) (WorkerHealth, error) {
	var health WorkerHealth
	_, body, err := c.send(ctx, http.MethodGet, "/health", nil)
	if err != nil {
		return health, err
	}
	if err := json.Unmarshal(body, &health); err != nil || health.Status == "" {
		return health, fmt.Errorf("GET /health: the answer is not a worker's: %s", snippet(body))
	}
	return health, nil
}

// List returns the names of all connectors.
func (c *Client) List(ctx context.Context) (names []string, err error) {
	_, err = c.do(ctx, http.MethodGet, "/connectors", nil, &names)
	return names, err
}

// ListExpanded returns status and configuration of all connectors, by name.
func (c *Client) ListExpanded(ctx context.Context) (all map[string]ConnectorExpansion, err error) {
	_, err = c.do(ctx, http.MethodGet, "/connectors?expand=status&expand=info", nil, &all)
	return all, err
}

// CreateConnector creates a connector; one that exists is an *Error with code 409.
func (c *Client) CreateConnector(ctx context.Context, request CreateConnectorRequest) (info ConnectorInfo, err error) {
	_, err = c.do(ctx, http.MethodPost, "/connectors", request, &info)
	return info, err
}

// PutConfig creates a connector or replaces its configuration.
func (c *Client) PutConfig(ctx context.Context, connector string, config map[string]string) (info ConnectorInfo, created bool, err error) {
	status, err := c.do(ctx, http.MethodPut, path(connector, "config"), config, &info)
	return info, status == http.StatusCreated, err
}

// PatchConfig changes some keys of a connector's configuration; nil removes a key.
func (c *Client) PatchConfig(ctx context.Context, connector string, patch map[string]*string) (info ConnectorInfo, err error) {
	_, err = c.do(ctx, http.MethodPatch, path(connector, "config"), patch, &info)
	return info, err
}

// Connector returns a connector's configuration and tasks.
func (c *Client) Connector(ctx context.Context, connector string) (info ConnectorInfo, err error) {
	_, err = c.do(ctx, http.MethodGet, path(connector), nil, &info)
	return info, err
}

// Config returns a connector's configuration.
func (c *Client) Config(ctx context.Context, connector string) (config map[string]*string, err error) {
	_, err = c.do(ctx, http.MethodGet, path(connector, "config"), nil, &config)
	return config, err
}

// Status returns the states of a connector and its tasks.
func (c *Client) Status(ctx context.Context, connector string) (status ConnectorStatus, err error) {
	_, err = c.do(ctx, http.MethodGet, path(connector, "status"), nil, &status)
	return status, err
}

// Tasks returns the configurations of a connector's tasks.
func (c *Client) Tasks(ctx context.Context, connector string) (tasks []TaskInfo, err error) {
	_, err = c.do(ctx, http.MethodGet, path(connector, "tasks"), nil, &tasks)
	return tasks, err
}

// TaskStatus returns the state of one task.
func (c *Client) TaskStatus(ctx context.Context, connector string, task int) (status TaskStatus, err error) {
	_, err = c.do(ctx, http.MethodGet, path(connector, "tasks", strconv.Itoa(task), "status"), nil, &status)
	return status, err
}

// Pause suspends a connector and its tasks, which keep their resources.
func (c *Client) Pause(ctx context.Context, connector string) error {
	_, err := c.do(ctx, http.MethodPut, path(connector, "pause"), nil, nil)
	return err
}

// Resume ends a pause or a stop.
func (c *Client) Resume(ctx context.Context, connector string) error {
	_, err := c.do(ctx, http.MethodPut, path(connector, "resume"), nil, nil)
	return err
}

// Stop ends a connector's tasks and keeps its configuration.
func (c *Client) Stop(ctx context.Context, connector string) error {
	_, err := c.do(ctx, http.MethodPut, path(connector, "stop"), nil, nil)
	return err
}

// Delete removes a connector.
func (c *Client) Delete(ctx context.Context, connector string) error {
	_, err := c.do(ctx, http.MethodDelete, path(connector), nil, nil)
	return err
}

// Restart restarts the connector instance alone and returns when it started.
func (c *Client) Restart(ctx context.Context, connector string) error {
	_, err := c.do(ctx, http.MethodPost, path(connector, "restart"), nil, nil)
	return err
}

// RestartWithTasks restarts a connector and its tasks, all or the failed ones, and
// returns at once with the status in which all that restarts shows RESTARTING.
func (c *Client) RestartWithTasks(ctx context.Context, connector string, onlyFailed bool) (status ConnectorStatus, err error) {
	p := path(connector, "restart") + "?includeTasks=true&onlyFailed=" + strconv.FormatBool(onlyFailed)
	_, err = c.do(ctx, http.MethodPost, p, nil, &status)
	return status, err
}

// RestartTask restarts one task.
func (c *Client) RestartTask(ctx context.Context, connector string, task int) error {
	_, err := c.do(ctx, http.MethodPost, path(connector, "tasks", strconv.Itoa(task), "restart"), nil, nil)
	return err
}

// Topics returns the topics that a connector has used.
func (c *Client) Topics(ctx context.Context, connector string) ([]string, error) {
	var topics map[string]ActiveTopics
	_, err := c.do(ctx, http.MethodGet, path(connector, "topics"), nil, &topics)
	return topics[connector].Topics, err
}

// ResetTopics forgets the topics that a connector has used.
func (c *Client) ResetTopics(ctx context.Context, connector string) error {
	_, err := c.do(ctx, http.MethodPut, path(connector, "topics", "reset"), nil, nil)
	return err
}

// Replication returns how far a connector has come in copying its partitions. Java's
// workers do not know it: they answer with an *Error, code 404.
func (c *Client) Replication(ctx context.Context, connector string) (replication Replication, err error) {
	_, err = c.do(ctx, http.MethodGet, path(connector, "replication"), nil, &replication)
	return replication, err
}

func path(connector string, rest ...string) string {
	p := "/connectors/" + url.PathEscape(connector)
	for _, r := range rest {
		p += "/" + r
	}
	return p
}

// do sends body as JSON and decodes the answer into result, either of which may be
// nil.
func (c *Client) do(ctx context.Context, method, path string, body, result any) (status int, err error) {
	status, answer, err := c.send(ctx, method, path, body)
	if err != nil {
		return 0, err
	}
	if status < 200 || status > 299 {
		return status, refusal(status, answer)
	}
	if result == nil {
		return status, nil
	}
	if err := json.Unmarshal(answer, result); err != nil {
		return status, fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return status, nil
}

func refusal(status int, answer []byte) error {
	var message ErrorMessage
	if err := json.Unmarshal(answer, &message); err != nil || message.ErrorCode == 0 {
		return &Error{Code: status, Message: snippet(answer)}
	}
	return &Error{Code: status, Message: message.Message}
}

// snippet is enough of a foreign answer to recognise it by.
func snippet(answer []byte) string {
	if len(answer) > 200 {
		return string(answer[:200]) + "…"
	}
	return string(answer)
}

func (c *Client) send(ctx context.Context, method, path string, body any) (int, []byte, error) {
	var content io.Reader
	if body != nil {
		b, err := Marshal(body)
		if err != nil {
			return 0, nil, fmt.Errorf("%s %s: %w", method, path, err)
		}
		content = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.BaseURL, "/")+path, content)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.Authorization != "" {
		request.Header.Set("Authorization", c.Authorization)
	}
	client := c.HTTP
	if client == nil {
		client = defaultHTTP
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	if len(answer) > maxAnswer {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, errTooLong)
	}
	return response.StatusCode, answer, nil
}

var errTooLong = errors.New("the answer is too long")
