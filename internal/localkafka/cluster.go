// Package localkafka runs Kafka clusters inside the process, on loopback, with no Java: for
// the demo and for tests. It wraps franz-go's kfake and keeps kfake's types out of its own
// signatures.
//
// A cluster speaks the real wire protocol: topics, record batches, transactions, consumer and
// Connect groups, ACLs, compaction. What it does not do: it ignores message.timestamp.type,
// does not validate topic configurations, advertises exactly the address it listens on, and
// knows no static group membership.
//
// Life cycle: Start listens and returns when clients may connect; Close drops every
// connection and ends every goroutine. With a DataDir, topics and offsets survive Close and
// come back with the next Start on the same directory.
package localkafka

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Options say what to start. The zero value is one broker on a free port, in memory.
type Options struct {
	Brokers int              // how many; 0 means 1
	Ports   []int            // listen here instead of on free ports; sets the number of brokers
	DataDir string           // keep everything here; empty keeps it in memory
	Topics  map[string]int32 // topics that exist from the start, with their partition counts
	Logger  *slog.Logger     // nil discards

	ClusterID     string            // empty means "kfake"
	AutoCreate    bool              // metadata requests may create topics
	TLS           *tls.Config       // listen with TLS
	Users         []User            // require SASL, and know these users
	ACLs          bool              // check ACLs: users who are not Super may do nothing at first
	BrokerConfigs map[string]string // such as message.max.bytes
	MinSession    time.Duration     // smallest group session time-out accepted; 0 means 6 s
}

// User is a SASL user. A Super user passes every ACL check.
type User struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	Name      string
	Password  string
	Super     bool
}

// Cluster is a running cluster. Its methods are safe for use from several goroutines.
type Cluster struct {
	kfake *kfake.Cluster

	mu        sync.Mutex
	listeners map[int32]*listener // by node id
	opening   []*listener         // in the order they were opened, until the node id is known
}

// Start starts a cluster and returns once its brokers listen.
func Start(o Options) (*Cluster, error) {
	if o.Brokers == 0 {
		o.Brokers = 1
	}
	if len(o.Ports) > 0 {
		o.Brokers = len(o.Ports)
	}
	c := &Cluster{listeners: make(map[int32]*listener)}
	opts := []kfake.Opt{
		kfake.NumBrokers(o.Brokers),
		kfake.ListenFn(c.listen),
	}
	if len(o.Ports) > 0 {
		opts = append(opts, kfake.Ports(o.Ports...))
	}
	if o.DataDir != "" {
		opts = append(opts, kfake.DataDir(o.DataDir))
	}
	for topic, partitions := range o.Topics {
		opts = append(opts, kfake.SeedTopics(partitions, topic))
	}
	if o.Logger != nil {
		opts = append(opts, kfake.WithLogger(logger{o.Logger}))
	}
	if o.ClusterID != "" {
		opts = append(opts, kfake.ClusterID(o.ClusterID))
	}
	if o.AutoCreate {
		opts = append(opts, kfake.AllowAutoTopicCreation())
	}
	if o.TLS != nil {
		opts = append(opts, kfake.TLS(o.TLS))
	}
	if len(o.Users) > 0 {
		opts = append(opts, kfake.EnableSASL())
	}
	for _, u := range o.Users {
		if u.Super {
			opts = append(opts, kfake.Superuser(u.Mechanism, u.Name, u.Password))
		} else {
			opts = append(opts, kfake.User(u.Mechanism, u.Name, u.Password))
		}
	}
	if o.ACLs {
		opts = append(opts, kfake.EnableACLs())
	}
	if len(o.BrokerConfigs) > 0 {
		opts = append(opts, kfake.BrokerConfigs(o.BrokerConfigs))
	}
	if o.MinSession > 0 {
		opts = append(opts, kfake.GroupMinSessionTimeout(o.MinSession))
	}
	fake, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("starting an embedded Kafka cluster: %w", err)
	}
	c.kfake = fake
	c.mu.Lock()
	for node, ln := range c.opening {
		c.listeners[int32(node)] = ln
	}
	c.opening = nil
	c.mu.Unlock()
	return c, nil
}

// Bootstrap is the bootstrap.servers value for this cluster: host:port, comma separated.
func (c *Cluster) Bootstrap() string { return strings.Join(c.kfake.ListenAddrs(), ",") }

// NumBrokers is how many brokers the cluster has now.
func (c *Cluster) NumBrokers() int { return len(c.kfake.ListenAddrs()) }

// Close ends the cluster: listeners, connections and goroutines.
func (c *Cluster) Close() {
	c.kfake.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ln := range c.listeners {
		ln.dropAll()
	}
}

// Compact runs log compaction now on every topic with cleanup.policy=compact.
func (c *Cluster) Compact() { c.kfake.Compact() }

// ApplyRetention drops now what retention.ms and retention.bytes no longer keep.
func (c *Cluster) ApplyRetention() { c.kfake.ApplyRetention() }

// Leader is the node that leads a partition, or -1.
func (c *Cluster) Leader(topic string, partition int32) int32 {
	return c.kfake.LeaderFor(topic, partition)
}

// MoveLeader makes node the leader of a partition.
func (c *Cluster) MoveLeader(topic string, partition, node int32) error {
	return c.kfake.MoveTopicPartition(topic, partition, node)
}

// Coordinator is the node that coordinates a group or a transactional id.
func (c *Cluster) Coordinator(key string) int32 { return c.kfake.CoordinatorFor(key) }

// MoveCoordinators gives every group and transactional id a new coordinator, as far as there
// is another broker.
func (c *Cluster) MoveCoordinators() { c.kfake.RehashCoordinators() }

// AddBroker starts one more broker and returns its node id. Partition leaders are shuffled.
func (c *Cluster) AddBroker() (int32, error) {
	node, _, err := c.kfake.AddNode(-1, 0)
	if err != nil {
		return 0, fmt.Errorf("adding a broker: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners[node] = c.opening[len(c.opening)-1]
	c.opening = nil
	return node, nil
}

// KickBroker removes a broker for good and drops its connections. Its partitions move to the
// brokers that are left; the last broker cannot be removed.
func (c *Cluster) KickBroker(node int32) error {
	if err := c.kfake.RemoveNode(node); err != nil {
		return fmt.Errorf("removing broker %d: %w", node, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ln := c.listeners[node]; ln != nil {
		ln.dropAll()
		delete(c.listeners, node)
	}
	return nil
}

// StopBroker makes a broker unreachable without moving what it leads: its connections drop
// and new ones are closed at once, until StartBroker.
func (c *Cluster) StopBroker(node int32) error { return c.setDown(node, true) }

// StartBroker undoes StopBroker.
func (c *Cluster) StartBroker(node int32) error { return c.setDown(node, false) }

// DropConnections closes every client connection to every broker. Clients may come back at
// once.
func (c *Cluster) DropConnections() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ln := range c.listeners {
		ln.dropAll()
	}
}

func (c *Cluster) setDown(node int32, down bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	ln := c.listeners[node]
	if ln == nil {
		return fmt.Errorf("no broker %d in this cluster", node)
	}
	ln.setDown(down)
	return nil
}

// listen is kfake's way to a listener: one that remembers its connections.
func (c *Cluster) listen(network, address string) (net.Listener, error) {
	inner, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	ln := &listener{Listener: inner, conns: make(map[*conn]struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opening = append(c.opening, ln)
	return ln, nil
}

// listener remembers what it accepted, so that a test can cut the connections of a broker:
// kfake itself closes only the listening socket.
type listener struct {
	net.Listener

	mu    sync.Mutex
	down  bool
	conns map[*conn]struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: inner, from: l}
		l.mu.Lock()
		if l.down {
			l.mu.Unlock()
			_ = inner.Close()
			continue
		}
		l.conns[c] = struct{}{}
		l.mu.Unlock()
		return c, nil
	}
}

func (l *listener) setDown(down bool) {
	l.mu.Lock()
	l.down = down
	l.mu.Unlock()
	if down {
		l.dropAll()
	}
}

func (l *listener) dropAll() {
	l.mu.Lock()
	conns := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // the peer may have closed first, which is as good
	}
}

type conn struct {
	net.Conn
	from *listener
}

func (c *conn) Close() error {
	c.from.mu.Lock()
	delete(c.from.conns, c)
	c.from.mu.Unlock()
	return c.Conn.Close()
}

// logger hands kfake's lines to slog; its informational lines are one a request, hence debug.
type logger struct{ to *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	switch level {
	case kfake.LogLevelError:
		l.to.Error(line)
	case kfake.LogLevelWarn:
		l.to.Warn(line)
	default:
		l.to.Debug(line)
	}
}
