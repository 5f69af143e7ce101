package plugins

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"tributary/connect"
)

// ChannelVariable names the environment variable with the address of the JVM's end of the channel.
const ChannelVariable = "TRIBUTARY_APACHE_CHANNEL"

// event is what the JVM is told; its fields are those of java/tributary/apache/Channel.java.
type event struct {
	Event      string           `json:"event"`
	Instance   string           `json:"instance,omitempty"`
	Connector  string           `json:"connector,omitempty"`
	Task       string           `json:"task,omitempty"`
	Count      int              `json:"count,omitempty"`
	Partitions []topicPartition `json:"partitions,omitempty"`
	Record     *sinkRecord      `json:"record,omitempty"`
	Block      string           `json:"block,omitempty"`
	Point      string           `json:"point,omitempty"`
	Order      string           `json:"order,omitempty"`
}

type topicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

type sinkRecord struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
	Key       *string `json:"key"`
	Value     *string `json:"value"`
}

// Channel tells the JVM of the tests what connectors see. Safe for concurrent use.
type Channel struct {
	url string
	// made counts blocks and handles, for their ids.
	made atomic.Int64

	mu sync.Mutex
	// commits are acknowledged records not yet told of.
	commits map[handle]int
	wake    chan struct{}
}

// NewChannel returns a channel to the JVM at url. Its Run must run.
func NewChannel(url string) *Channel {
	return &Channel{url: url, commits: map[handle]int{}, wake: make(chan struct{}, 1)}
}

// Run tells of acknowledged records until ctx ends: who acknowledges them must not wait.
func (c *Channel) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		}
		if err := c.flush(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (c *Channel) flush(ctx context.Context) error {
	c.mu.Lock()
	commits := c.commits
	c.commits = map[handle]int{}
	c.mu.Unlock()
	var events []event
	for h, n := range commits {
		e := h.event("commits")
		e.Count = n
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil
	}
	return c.tell(ctx, events...)
}

// handle stands for one instance of a connector or task. The JVM keeps the handle of the test that an instance was
// started in: what an instance that is being stopped still tells must not reach the next test, whose connector may have
// the same name.
type handle struct {
	channel                   *Channel
	connector, task, instance string
}

// handleOf is for a new instance, whose first event must be its start; task is empty for a connector.
func (c *Channel) handleOf(connector, task string) handle {
	return handle{c, connector, task, c.newID()}
}

// newID is not used by any other worker of the tests.
func (c *Channel) newID() string {
	return strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(c.made.Add(1), 10)
}

func (h handle) event(kind string) event {
	return event{Event: kind, Instance: h.instance, Connector: h.connector, Task: h.task}
}

func (h handle) tell(ctx context.Context, kind string) error {
	return h.channel.tell(ctx, h.event(kind))
}

// committed counts an acknowledged record; the JVM hears of it a little later.
func (h handle) committed() {
	c := h.channel
	c.mu.Lock()
	c.commits[h]++
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// tell returns when the JVM has taken the events. What a test's own code throws at them comes back as an error.
func (c *Channel) tell(ctx context.Context, events ...event) error {
	body, err := json.Marshal(events)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("tell the tests of %s: %w", events[0].Event, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the test refuses %s: %s", events[0].Event, text)
	}
	return nil
}

// Obeyed tells that an order of the tests was carried out.
func (c *Channel) Obeyed(ctx context.Context, order string) error {
	return c.tell(ctx, event{Event: "obeyed", Order: order})
}

// block is a place where the test wants something to hang, as BlockingConnectorTest.Block: no cancelling ends it.
type block struct {
	channel   *Channel
	id, point string
}

// arm makes the test wait for this block from now on.
func (c *Channel) arm(point string) (*block, error) {
	b := &block{channel: c, point: point, id: c.newID()}
	return b, c.tell(context.Background(), event{Event: "arm", Block: b.id, Point: point})
}

// at hangs if this is the place, until the test lifts the block. It knows no context: that is its point.
func (b *block) at(point string) error {
	if b == nil || b.point != point {
		return nil
	}
	return b.channel.tell(context.Background(), event{Event: "block", Block: b.id, Point: point})
}

func topicPartitions(in []connect.TopicPartition) []topicPartition {
	out := make([]topicPartition, len(in))
	for i, tp := range in {
		out[i] = topicPartition{tp.Topic, tp.Partition}
	}
	return out
}
