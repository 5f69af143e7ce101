package localkafka

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// API is a Kafka API key.
type API int16

// The APIs that tests disturb; any other key works as well.
const (
	Produce            API = 0
	Fetch              API = 1
	ListOffsets        API = 2
	Metadata           API = 3
	OffsetCommit       API = 8
	OffsetFetch        API = 9
	FindCoordinator    API = 10
	JoinGroup          API = 11
	Heartbeat          API = 12
	LeaveGroup         API = 13
	SyncGroup          API = 14
	DescribeGroups     API = 15
	APIVersions        API = 18
	CreateTopics       API = 19
	InitProducerID     API = 22
	AddPartitionsToTxn API = 24
	EndTxn             API = 26
	DescribeConfigs    API = 32
)

// Fault answers requests with an error code instead of the real answer. Every field that is
// set narrows it.
type Fault struct {
	API        API
	Code       int16 // Kafka's error code, such as 6 for NOT_LEADER_OR_FOLLOWER
	Topic      string
	Partitions []int32
	Group      string
	TxnID      string
	Node       *int32
	TopLevel   bool // fail the whole request rather than its topics or partitions
	Times      int  // how many requests; 0 means one, -1 until Undo
}

// Disturbance is a fault in place. Undo takes it away; Hits counts the requests it met.
type Disturbance struct {
	undo func()
	hits func() int
}

// Undo takes the disturbance away. It may be called more than once.
func (d *Disturbance) Undo() { d.undo() }

// Hits is how many requests the disturbance met so far.
func (d *Disturbance) Hits() int { return d.hits() }

// Fail puts a fault in place.
func (c *Cluster) Fail(f Fault) *Disturbance {
	in := kfake.Fault{
		Keys:       []kmsg.Key{kmsg.Key(f.API)},
		Topic:      f.Topic,
		Partitions: f.Partitions,
		Group:      f.Group,
		TxnID:      f.TxnID,
		TopLevel:   f.TopLevel,
		Count:      f.Times,
		Err:        kerr.TypedErrorForCode(f.Code),
	}
	if f.Node != nil {
		in.Nodes = []int32{*f.Node}
	}
	h := c.kfake.Fault(in)
	return &Disturbance{undo: h.Remove, hits: h.Hits}
}

// errRefused makes kfake close the connection without an answer.
var errRefused = errors.New("refused by a test")

// Refuse closes the connection on the next requests of an API, unanswered and not executed.
// times is how many; -1 means until Undo.
func (c *Cluster) Refuse(api API, times int) *Disturbance {
	return c.control(api, times, func() (kmsg.Response, error, bool) { return nil, errRefused, true })
}

// Delay lets the next requests of an API wait before they are executed. Requests on other
// connections go on meanwhile. times is how many; -1 means until Undo.
func (c *Cluster) Delay(api API, d time.Duration, times int) *Disturbance {
	return c.control(api, times, func() (kmsg.Response, error, bool) {
		c.kfake.SleepControl(func() { time.Sleep(d) })
		return nil, nil, false
	})
}

// Hold lets requests of an API wait, unexecuted, until Undo; from then on it has no effect.
func (c *Cluster) Hold(api API) *Disturbance { return c.hold(api, -1) }

// HoldNext is Hold for the next request alone. What follows it on its connection waits as well, but nothing else.
func (c *Cluster) HoldNext(api API) *Disturbance { return c.hold(api, 1) }

func (c *Cluster) hold(api API, times int) *Disturbance {
	released := make(chan struct{})
	d := c.control(api, times, func() (kmsg.Response, error, bool) {
		c.kfake.SleepControl(func() { <-released })
		return nil, nil, false
	})
	undo := d.undo
	d.undo = sync.OnceFunc(func() { undo(); close(released) })
	return d
}

// Count counts the requests of an API without touching them, until Undo.
func (c *Cluster) Count(api API) *Disturbance {
	return c.control(api, -1, func() (kmsg.Response, error, bool) { return nil, nil, false })
}

func (c *Cluster) control(api API, times int, act func() (kmsg.Response, error, bool)) *Disturbance { //nolint:revive // kfake's order of results
	var hits, left atomic.Int64
	var gone atomic.Bool
	left.Store(int64(times))
	c.kfake.ControlKey(int16(api), func(kmsg.Request) (kmsg.Response, error, bool) {
		if gone.Load() {
			c.kfake.DropControl()
			return nil, nil, false
		}
		c.kfake.KeepControl()
		if times >= 0 && left.Add(-1) <= 0 {
			gone.Store(true)
			c.kfake.DropControl()
		}
		hits.Add(1)
		return act()
	})
	return &Disturbance{
		undo: func() { gone.Store(true) },
		hits: func() int { return int(hits.Load()) },
	}
}
