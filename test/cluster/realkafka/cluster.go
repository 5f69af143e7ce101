package realkafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// brokerReady is how long a broker may take until it serves, on a machine busy with other tests.
	brokerReady = 2 * time.Minute
	// brokerStop is how long an orderly end may take. The last brokers of a cluster wait in vain for a controller.
	brokerStop = 30 * time.Second
)

// Options say what cluster to start; the zero value is one broker of DefaultVersion.
type Options struct {
	// Name goes before the broker's number in log files; "kafka" if empty.
	Name string
	// Brokers is 1, 2 or 3; 0 means 1. Each is controller too, but of two only the first: so the second may be away.
	Brokers int
	Version string
	// Extra are server.properties of every broker; they win over the harness's own.
	Extra map[string]string
	// JVM are options of the virtual machine, after -Xmx512m.
	JVM []string
	// Env are environment variables of every broker, each name=value.
	Env []string
	// Listeners are further ways in, beside the plain one that Bootstrap names.
	Listeners []Listener
}

// Listener is a way into the cluster with its own security. Every broker listens on a free port for it.
type Listener struct {
	Name     string // for example SECURE
	Protocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	// Properties are the listener's own, without "listener.name.secure." before them.
	Properties map[string]string
	// Advertise may change the address that a broker tells its clients, for a proxy in front. It gets the broker's
	// id and the address it listens on, before the broker is started.
	Advertise func(broker int, address string) string
}

// Cluster is a Kafka cluster of one test. Its methods are for the test's own goroutine.
type Cluster struct {
	tb      TB
	version string
	brokers []*Broker
}

// StartCluster starts a cluster and waits until every broker serves and knows all others.
//
// Topics are replicated to all brokers by default; with three brokers two must be in sync. Internal topics
// have few partitions and groups start without delay.
func StartCluster(tb TB, options Options) *Cluster {
	tb.Helper()
	if options.Brokers == 0 {
		options.Brokers = 1
	}
	if options.Brokers < 1 || options.Brokers > 3 {
		tb.Fatalf("a cluster has 1 to 3 brokers, not %d", options.Brokers)
	}
	if options.Version == "" {
		options.Version = DefaultVersion
	}
	if options.Name == "" {
		options.Name = "kafka"
	}
	c := &Cluster{tb: tb, version: options.Version}
	for id := 1; id <= options.Brokers; id++ {
		c.brokers = append(c.brokers, newBroker(c, id, options))
	}
	c.configure(options)
	c.format()
	for _, broker := range c.brokers {
		broker.launch()
	}
	c.awaitReady()
	return c
}

// configure writes the server.properties, once every port is known.
func (c *Cluster) configure(options Options) {
	c.tb.Helper()
	var voters []string
	for _, broker := range c.controllers() {
		voters = append(voters, fmt.Sprintf("%d@%s", broker.id, broker.controller))
	}
	for _, broker := range c.brokers {
		properties := broker.properties(strings.Join(voters, ","), len(c.brokers), options)
		if err := writeProperties(broker.propertiesPath(), properties); err != nil {
			c.tb.Fatalf("write the properties of %s: %v", broker.name, err)
		}
	}
}

// controllers are the brokers that are controllers as well: an odd number of them.
func (c *Cluster) controllers() []*Broker {
	if len(c.brokers) == 2 {
		return c.brokers[:1]
	}
	return c.brokers
}

// format prepares the data folders of all brokers at once, since each costs the start of a virtual machine.
func (c *Cluster) format() {
	c.tb.Helper()
	var id [16]byte
	rand.Read(id[:])
	// The tool takes an id that begins with a dash for an option.
	id[0] &= 0x7f
	cluster := base64.RawURLEncoding.EncodeToString(id[:])
	var running []*Process
	for _, broker := range c.brokers {
		running = append(running, startTool(c.tb, "kafka.tools.StorageTool",
			[]string{"format", "--cluster-id", cluster, "--config", broker.propertiesPath()}, []JavaOption{
				WithName(broker.name + "-format"), WithVersion(c.version), WithJVM("-Xmx128m", "-XX:TieredStopAtLevel=1"),
			}))
	}
	for _, process := range running {
		process.awaitSuccess(brokerReady)
	}
}

// Version is the Kafka version of the cluster.
func (c *Cluster) Version() string { return c.version }

// Brokers are the cluster's brokers in the order of their ids, running or not.
func (c *Cluster) Brokers() []*Broker { return c.brokers }

// Bootstrap is the bootstrap.servers of the plain listeners of all brokers.
func (c *Cluster) Bootstrap() string {
	addresses := make([]string, len(c.brokers))
	for i, broker := range c.brokers {
		addresses[i] = broker.address
	}
	return strings.Join(addresses, ",")
}

// BootstrapOf is the bootstrap.servers of one of the further listeners, as advertised.
func (c *Cluster) BootstrapOf(listener string) string {
	c.tb.Helper()
	addresses := make([]string, len(c.brokers))
	for i, broker := range c.brokers {
		address, found := broker.advertised[listener]
		if !found {
			c.tb.Fatalf("the cluster has no listener %s", listener)
		}
		addresses[i] = address
	}
	return strings.Join(addresses, ",")
}

// StopAll ends all brokers in order (SIGTERM to each at once). Brokers that hang, because those they wait for have
// ended before, are killed after half a minute; data stays either way.
func (c *Cluster) StopAll() {
	c.tb.Helper()
	for _, broker := range c.brokers {
		if err := broker.process.Signal(syscall.SIGTERM); err != nil {
			c.tb.Errorf("%v", err)
		}
	}
	for _, broker := range c.brokers {
		if broker.process.Wait(brokerStop) != nil {
			c.tb.Logf("%s hangs in its orderly end and is killed", broker.name)
			broker.process.Kill()
		}
	}
}

// StartAll starts all brokers that are not running and waits until they serve.
func (c *Cluster) StartAll() {
	c.tb.Helper()
	for _, broker := range c.brokers {
		if !broker.process.Running() {
			broker.launch()
		}
	}
	c.awaitReady()
}

// awaitReady waits until every running broker answers a client and lists every running broker.
func (c *Cluster) awaitReady() {
	c.tb.Helper()
	var running []*Broker
	for _, broker := range c.brokers {
		if broker.process.Running() {
			running = append(running, broker)
		}
	}
	for _, broker := range running {
		client, err := kgo.NewClient(kgo.SeedBrokers(broker.address), kgo.ClientID("realkafka"))
		if err != nil {
			c.tb.Fatalf("make a Kafka client for %s: %v", broker.address, err)
		}
		broker.process.await(brokerReady, "an answer that lists all running brokers", func() (bool, error) {
			return lists(c.tb.Context(), client, running)
		})
		client.Close()
	}
}

// lists asks a client's seed broker, and no other, who is in the cluster.
func lists(ctx context.Context, client *kgo.Client, wanted []*Broker) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request := kmsg.NewPtrMetadataRequest()
	request.Topics = []kmsg.MetadataRequestTopic{}
	answer, err := client.SeedBrokers()[0].Request(ctx, request)
	if err != nil {
		return false, err
	}
	metadata := answer.(*kmsg.MetadataResponse)
	known := map[string]bool{}
	for _, broker := range metadata.Brokers {
		known[broker.Host+":"+strconv.Itoa(int(broker.Port))] = true
	}
	for _, broker := range wanted {
		if !known[broker.address] {
			return false, fmt.Errorf("broker %d is not among the %d listed", broker.id, len(metadata.Brokers))
		}
	}
	return true, nil
}

// Broker is one broker, which is controller too unless it is the second of two. It keeps its ports and its data over stops and starts.
type Broker struct {
	cluster *Cluster
	id      int
	name    string
	dir     string
	// address and controller are host:port of the plain listener and of the controller's.
	address, controller string
	listening           map[string]string // further listeners: name → host:port
	advertised          map[string]string // what clients are told instead
	jvm, env            []string
	process             *Process
}

func newBroker(c *Cluster, id int, options Options) *Broker {
	c.tb.Helper()
	b := &Broker{
		cluster: c, id: id, name: fmt.Sprintf("%s-%d", options.Name, id), dir: c.tb.TempDir(),
		address: freeAddress(c.tb), controller: freeAddress(c.tb),
		listening: map[string]string{}, advertised: map[string]string{},
		jvm: options.JVM, env: options.Env,
	}
	for _, listener := range options.Listeners {
		address := freeAddress(c.tb)
		b.listening[listener.Name] = address
		if listener.Advertise != nil {
			address = listener.Advertise(id, address)
		}
		b.advertised[listener.Name] = address
	}
	return b
}

func (b *Broker) propertiesPath() string { return filepath.Join(b.dir, "server.properties") }

// properties are the broker's server.properties.
func (b *Broker) properties(voters string, brokers int, options Options) map[string]string {
	all := strconv.Itoa(brokers)
	inSync := strconv.Itoa((brokers + 1) / 2)
	listeners := []string{"PLAINTEXT://" + b.address, "CONTROLLER://" + b.controller}
	advertised := []string{"PLAINTEXT://" + b.address}
	protocols := []string{"PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT"}
	properties := map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          strconv.Itoa(b.id),
		"controller.quorum.voters":                         voters,
		"controller.listener.names":                        "CONTROLLER",
		"inter.broker.listener.name":                       "PLAINTEXT",
		"log.dirs":                                         filepath.Join(b.dir, "data"),
		"default.replication.factor":                       all,
		"min.insync.replicas":                              inSync,
		"offsets.topic.replication.factor":                 all,
		"offsets.topic.num.partitions":                     "4",
		"transaction.state.log.replication.factor":         all,
		"transaction.state.log.min.isr":                    inSync,
		"transaction.state.log.num.partitions":             "4",
		"share.coordinator.state.topic.replication.factor": all,
		"share.coordinator.state.topic.min.isr":            inSync,
		"share.coordinator.state.topic.num.partitions":     "4",
		"group.initial.rebalance.delay.ms":                 "0",
		// The default takes a quarter of the small heap.
		"log.cleaner.dedupe.buffer.size": "4194304",
	}
	for _, listener := range options.Listeners {
		listeners = append(listeners, listener.Name+"://"+b.listening[listener.Name])
		advertised = append(advertised, listener.Name+"://"+b.advertised[listener.Name])
		protocols = append(protocols, listener.Name+":"+listener.Protocol)
		for key, value := range listener.Properties {
			properties["listener.name."+strings.ToLower(listener.Name)+"."+key] = value
		}
	}
	properties["listeners"] = strings.Join(listeners, ",")
	properties["advertised.listeners"] = strings.Join(advertised, ",")
	properties["listener.security.protocol.map"] = strings.Join(protocols, ",")
	if brokers == 2 && b.id == 2 {
		properties["process.roles"] = "broker"
		properties["listeners"] = strings.Join(slices.DeleteFunc(listeners, func(l string) bool { return strings.HasPrefix(l, "CONTROLLER:") }), ",")
	}
	for key, value := range options.Extra {
		properties[key] = value
	}
	return properties
}

// launch starts the process and does not wait.
func (b *Broker) launch() {
	b.cluster.tb.Helper()
	b.process = StartJava(b.cluster.tb, "kafka.Kafka", []string{b.propertiesPath()},
		WithName(b.name), WithVersion(b.cluster.version), WithJVM(b.jvm...), WithEnv(b.env...))
}

// ID is the broker's node id, from 1.
func (b *Broker) ID() int { return b.id }

// PartitionDir is the folder with the broker's replica of a partition. Nothing there may be changed while it runs.
func (b *Broker) PartitionDir(topic string, partition int32) string {
	return filepath.Join(b.dir, "data", fmt.Sprintf("%s-%d", topic, partition))
}

// Addr is host:port of the broker's plain listener.
func (b *Broker) Addr() string { return b.address }

// Process is the running process or the last one.
func (b *Broker) Process() *Process { return b.process }

// Stop sends a signal, SIGTERM for an orderly end, and waits until the broker has ended.
func (b *Broker) Stop(signal syscall.Signal) {
	b.cluster.tb.Helper()
	if err := b.process.end(signal, brokerStop); err != nil {
		b.cluster.tb.Errorf("%v", err)
	}
}

// Kill ends the broker at once, as a crash does.
func (b *Broker) Kill() { b.process.Kill() }

// Start starts the broker again on the same data and ports, and waits until it serves and all running brokers list
// it. It does nothing if the broker runs.
func (b *Broker) Start() {
	b.cluster.tb.Helper()
	if b.process.Running() {
		return
	}
	b.launch()
	b.cluster.awaitReady()
}
