// Package kafka is Tributary's client for Kafka: it reads the properties that a user of Java's
// clients writes, and does with them what those clients would do.
//
// The properties of one client become a Config by way of one table, which knows every key of Java's
// consumer, producer and admin client: its type, default and range, and whether it takes effect. A
// key that does not is named in Config.Warnings, a key that nobody knows in Config.UnknownKeys; none
// is dropped in silence.
package kafka

import (
	"fmt"
	"log/slog"
	"time"
)

// Props are client properties by key, as written by the user, without prefixes such as "consumer.".
type Props map[string]string

// Role says which client the properties are for, and so which keys and defaults count.
type Role int

// The roles. RoleGroup is the connection of a Connect worker to its own group; its keys and defaults
// are those of the worker's configuration.
const (
	RoleConsumer Role = iota
	RoleProducer
	RoleAdmin
	RoleGroup
)

// String returns the role's name in lower case.
func (r Role) String() string {
	switch r {
	case RoleConsumer:
		return "consumer"
	case RoleProducer:
		return "producer"
	case RoleAdmin:
		return "admin"
	case RoleGroup:
		return "group"
	}
	return fmt.Sprintf("role %d", int(r))
}

// Config is a checked client configuration with Java's defaults. It is read-only once clients use it,
// and one Config may serve several clients, which then share its Dialer and OAuth tokens.
type Config struct {
	Role Role
	// BootstrapServers are host:port pairs, IPv6 hosts in brackets.
	BootstrapServers []string
	// ClientID is empty unless the user set it.
	ClientID string
	// ClientRack lets a consumer read from the nearest replica (KIP-392).
	ClientRack string

	RequestTimeout time.Duration
	// APITimeout is default.api.timeout.ms for consumers and admins, max.block.ms for producers and
	// the request timeout for groups: how long one call may take with all its retries.
	APITimeout          time.Duration
	MetadataMaxAge      time.Duration
	RetryBackoff        time.Duration
	RetryBackoffMax     time.Duration
	ReconnectBackoff    time.Duration
	ReconnectBackoffMax time.Duration
	// ConnectTimeout bounds one try to connect. It doubles with each failure up to ConnectTimeoutMax.
	ConnectTimeout    time.Duration
	ConnectTimeoutMax time.Duration
	// Retries is math.MaxInt32 unless the user set it: the time limits end the retries.
	Retries int
	// SendBufferBytes and ReceiveBufferBytes are for the socket; -1 leaves them to the system.
	SendBufferBytes    int
	ReceiveBufferBytes int

	Security Security
	// Producer is filled for RoleProducer.
	Producer ProducerSettings
	// Consumer is filled for RoleConsumer.
	Consumer ConsumerSettings
	// Group is filled for RoleGroup, and for RoleConsumer.
	Group GroupSettings

	warnings []string
	unknown  []string
	dialer   *Dialer
}

// ProducerSettings are the keys of producers alone.
type ProducerSettings struct {
	// Acks is -1 (all), 0 or 1.
	Acks int
	// Idempotent is false, too, where Java switches idempotence off by itself.
	Idempotent bool
	// MaxInFlight is what the user set. An idempotent producer sends one request at a time.
	MaxInFlight     int
	Linger          time.Duration
	BatchBytes      int
	BufferBytes     int64
	MaxBlock        time.Duration
	MaxRequestBytes int
	// DeliveryTimeout ends the retries of a record. It is at least linger plus request timeout.
	DeliveryTimeout time.Duration
	// ExistingTopicsOnly keeps brokers from making a topic because it was asked for. No key sets it.
	ExistingTopicsOnly bool
	// Compression is none, gzip, snappy, lz4 or zstd.
	Compression      string
	CompressionLevel int
	// TransactionalID is empty for producers without transactions.
	TransactionalID    string
	TransactionTimeout time.Duration
}

// ConsumerSettings are the keys of consumers alone.
type ConsumerSettings struct {
	FetchMinBytes int
	FetchMaxBytes int
	FetchMaxWait  time.Duration
	// IdleWait is how long a broker may hold back a request for all that is to be read from it: FetchMaxWait where the
	// user has set that, or fetch.min.bytes, else longer.
	IdleWait               time.Duration
	MaxPartitionFetchBytes int
	MaxPollRecords         int
	ReadCommitted          bool
	OffsetReset            OffsetReset
	// Assignors are the class names of partition.assignment.strategy, for members of a group.
	Assignors []string
}

// GroupSettings are the keys of a member of a group.
type GroupSettings struct {
	// ID is empty for consumers without a group.
	ID                string
	InstanceID        string
	SessionTimeout    time.Duration
	HeartbeatInterval time.Duration
	// RebalanceTimeout is rebalance.timeout.ms, and max.poll.interval.ms for consumers.
	RebalanceTimeout time.Duration
}

// OffsetReset says where to begin without a valid offset.
type OffsetReset struct {
	// Strategy is earliest, latest, none or by_duration.
	Strategy string
	// Duration is how far back by_duration goes.
	Duration time.Duration
}

// spec is what to look up for it, false for none.
func (r OffsetReset) spec(now time.Time) (int64, bool) {
	switch r.Strategy {
	case "earliest":
		return Earliest, true
	case "latest":
		return Latest, true
	case "by_duration":
		return now.Add(-r.Duration).UnixMilli(), true
	}
	return 0, false
}

// Security says how connections are protected and how the client logs in.
type Security struct {
	// Protocol is PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
	Protocol string
	// TLS is true for SSL and SASL_SSL. The Dialer does it.
	TLS bool
	// SASL is nil without a login.
	SASL *SASL
}

// ParseConfig checks props and returns the configuration of one client. The error is a
// *multierror.Error that holds a *KeyError for everything that is wrong; none shows a secret. Key and
// trust stores are opened, so that a wrong password is found at once. No connection is made.
func ParseConfig(role Role, props Props) (*Config, error) {
	v, warnings, unknown := readValues(role, props)
	c := &Config{
		Role:                role,
		ClientID:            v.text("client.id"),
		ClientRack:          v.text("client.rack"),
		RequestTimeout:      v.millis("request.timeout.ms"),
		MetadataMaxAge:      v.millis("metadata.max.age.ms"),
		RetryBackoff:        v.millis("retry.backoff.ms"),
		RetryBackoffMax:     v.millis("retry.backoff.max.ms"),
		ReconnectBackoff:    v.millis("reconnect.backoff.ms"),
		ReconnectBackoffMax: v.millis("reconnect.backoff.max.ms"),
		ConnectTimeout:      v.millis("socket.connection.setup.timeout.ms"),
		ConnectTimeoutMax:   v.millis("socket.connection.setup.timeout.max.ms"),
		Retries:             v.int("retries"),
		SendBufferBytes:     v.int("send.buffer.bytes"),
		ReceiveBufferBytes:  v.int("receive.buffer.bytes"),
		warnings:            warnings,
		unknown:             unknown,
	}
	c.BootstrapServers = parseBootstrap(v)
	// As in Java, a maximum below the first backoff bounds it.
	c.RetryBackoff = min(c.RetryBackoff, c.RetryBackoffMax)
	c.ReconnectBackoffMax = max(c.ReconnectBackoff, c.ReconnectBackoffMax)
	c.ConnectTimeoutMax = max(c.ConnectTimeout, c.ConnectTimeoutMax)
	switch role {
	case RoleProducer:
		c.readProducer(v)
	case RoleConsumer:
		c.readConsumer(v)
	case RoleAdmin:
		c.APITimeout = v.millis("default.api.timeout.ms")
	case RoleGroup:
		c.APITimeout = c.RequestTimeout
		c.Retries = defaultRetries
		c.readGroup(v, "rebalance.timeout.ms")
		if !v.given("group.id") {
			v.fail("group.id", "must be set; it names the group of workers")
		}
	}
	c.readSecurity(v)
	if err := v.errs.ErrorOrNil(); err != nil {
		return nil, err
	}
	return c, nil
}

// defaultRetries is Java's default of retries: as many as time allows.
const defaultRetries = 1<<31 - 1

// Warnings names, a sentence each, the keys that Java's clients know and Tributary does not follow.
func (c *Config) Warnings() []string { return c.warnings }

// UnknownKeys returns, sorted, the keys that Java's client of this role does not know either.
func (c *Config) UnknownKeys() []string { return c.unknown }

// Dialer returns the dialer for all connections of this configuration. It does TLS, too.
func (c *Config) Dialer() *Dialer { return c.dialer }

// String names the cluster and the way in, and no secret.
func (c *Config) String() string {
	text := fmt.Sprintf("%s %q of %v over %s", c.Role, c.ClientID, c.BootstrapServers, c.Security.Protocol)
	if c.Security.SASL != nil {
		text += " with " + c.Security.SASL.String()
	}
	return text
}

// LogValue shows what String shows.
func (c *Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
