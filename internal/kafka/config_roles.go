package kafka

import (
	"errors"
	"fmt"
	"math"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// hostPort is Java's form of a server: an optional protocol, a host that may stand in brackets, a port.
var hostPort = regexp.MustCompile(`^(?:[0-9a-zA-Z\-%._]*://)?\[?([0-9a-zA-Z\-%._:]+)\]?:([0-9]+)$`)

func parseBootstrap(v *values) []string {
	const key = "bootstrap.servers"
	if v.bad[key] {
		return nil
	}
	var servers []string
	for _, item := range v.list(key) {
		parts := hostPort.FindStringSubmatch(item)
		if parts == nil {
			v.fail(key, fmt.Sprintf("%q must be host:port, with an IPv6 address in brackets", item))
			return nil
		}
		port, err := strconv.Atoi(parts[2])
		if err != nil || port < 1 || port > 65535 {
			v.fail(key, fmt.Sprintf("the port of %q must be from 1 to 65535", item))
			return nil
		}
		servers = append(servers, net.JoinHostPort(parts[1], strconv.Itoa(port)))
	}
	if len(servers) == 0 {
		v.fail(key, "must list at least one broker as host:port, separated by commas")
	}
	return servers
}

// maxIdempotentInFlight is the most requests for which brokers keep an idempotent producer in order.
const maxIdempotentInFlight = 5

func (c *Config) readProducer(v *values) {
	p := &c.Producer
	*p = ProducerSettings{
		Acks:               -1,
		Idempotent:         v.boolean("enable.idempotence"),
		MaxInFlight:        v.int("max.in.flight.requests.per.connection"),
		Linger:             v.millis("linger.ms"),
		BatchBytes:         v.int("batch.size"),
		BufferBytes:        v.int64("buffer.memory"),
		MaxBlock:           v.millis("max.block.ms"),
		MaxRequestBytes:    v.int("max.request.size"),
		DeliveryTimeout:    v.millis("delivery.timeout.ms"),
		Compression:        v.text("compression.type"),
		TransactionalID:    v.text("transactional.id"),
		TransactionTimeout: v.millis("transaction.timeout.ms"),
	}
	c.APITimeout = p.MaxBlock
	if n, err := strconv.Atoi(v.text("acks")); err == nil {
		p.Acks = n
	}
	switch p.Compression {
	case "gzip", "lz4", "zstd":
		p.CompressionLevel = v.int("compression." + p.Compression + ".level")
	}
	c.checkIdempotence(v)
	if least := p.Linger + c.RequestTimeout; p.DeliveryTimeout < least && !v.bad["delivery.timeout.ms"] {
		if v.given("delivery.timeout.ms") {
			v.fail("delivery.timeout.ms", "must be at least linger.ms plus request.timeout.ms, which is "+strconv.FormatInt(least.Milliseconds(), 10))
		}
		p.DeliveryTimeout = least
	}
	if v.given("transaction.timeout.ms") && v.boolean("transaction.two.phase.commit.enable") {
		v.fail("transaction.timeout.ms", "must not be set together with transaction.two.phase.commit.enable=true")
	}
	if p.TransactionTimeout <= 0 && !v.bad["transaction.timeout.ms"] {
		v.fail("transaction.timeout.ms", "must be greater than 0")
	}
	if p.Idempotent && v.given("max.in.flight.requests.per.connection") && p.MaxInFlight > 1 {
		c.warnings = append(c.warnings, "max.in.flight.requests.per.connection is ignored: an idempotent producer has one request at a time in flight")
	}
	if p.MaxRequestBytes > maxSaramaRequest {
		c.warnings = append(c.warnings, fmt.Sprintf("max.request.size is lowered to %d: the client sends no larger request", maxSaramaRequest))
		p.MaxRequestBytes = maxSaramaRequest
	}
}

// checkIdempotence follows Java: asked for by name, idempotence makes other values wrong; by default
// it gives way to them.
func (c *Config) checkIdempotence(v *values) {
	p := &c.Producer
	if !p.Idempotent {
		if v.given("transactional.id") {
			v.fail("transactional.id", "needs enable.idempotence=true")
		}
		return
	}
	asked := v.given("enable.idempotence")
	if c.Retries == 0 && !v.bad["retries"] {
		p.Idempotent = false
		if asked {
			v.fail("retries", "must not be 0 with enable.idempotence=true")
		}
	}
	if p.Acks != -1 {
		p.Idempotent = false
		if asked {
			v.fail("acks", "must be all with enable.idempotence=true")
		}
	}
	if p.MaxInFlight > maxIdempotentInFlight {
		v.fail("max.in.flight.requests.per.connection", fmt.Sprintf("must be at most %d for an idempotent producer", maxIdempotentInFlight))
	}
	if !p.Idempotent && v.given("transactional.id") {
		v.fail("transactional.id", "needs idempotence, which acks or retries switch off")
	}
}

func (c *Config) readConsumer(v *values) {
	c.APITimeout = v.millis("default.api.timeout.ms")
	c.Retries = defaultRetries
	reset, _ := parseOffsetReset(v.text("auto.offset.reset"))
	c.Consumer = ConsumerSettings{
		FetchMinBytes:          v.int("fetch.min.bytes"),
		FetchMaxBytes:          v.int("fetch.max.bytes"),
		FetchMaxWait:           v.millis("fetch.max.wait.ms"),
		MaxPartitionFetchBytes: v.int("max.partition.fetch.bytes"),
		MaxPollRecords:         v.int("max.poll.records"),
		ReadCommitted:          v.text("isolation.level") == "read_committed",
		OffsetReset:            reset,
		Assignors:              v.list("partition.assignment.strategy"),
	}
	c.Consumer.IdleWait = c.Consumer.FetchMaxWait
	if !v.given("fetch.max.wait.ms") {
		c.Consumer.IdleWait = c.idleWait()
	}
	c.readGroup(v, "max.poll.interval.ms")
}

// idleWait is the longest that is of use: a record is answered at once all the same, and a broker that does not answer is
// missed as early as ever, for request.timeout.ms counts from the request.
func (c *Config) idleWait() time.Duration {
	const (
		longest = 5 * time.Second
		share   = 4 // of request.timeout.ms
	)
	if c.Consumer.FetchMinBytes > 1 { // what is less waits
		return c.Consumer.FetchMaxWait
	}
	return max(c.Consumer.FetchMaxWait, min(longest, c.RequestTimeout/share))
}

func (c *Config) readGroup(v *values, rebalanceKey string) {
	c.Group = GroupSettings{
		ID:                v.text("group.id"),
		InstanceID:        v.text("group.instance.id"),
		SessionTimeout:    v.millis("session.timeout.ms"),
		HeartbeatInterval: v.millis("heartbeat.interval.ms"),
		RebalanceTimeout:  v.millis(rebalanceKey),
	}
	for _, key := range []string{"session.timeout.ms", "heartbeat.interval.ms", rebalanceKey} {
		if !v.bad[key] && v.int64(key) <= 0 {
			v.fail(key, "must be greater than 0")
		}
	}
	if !v.bad["session.timeout.ms"] && !v.bad["heartbeat.interval.ms"] && c.Group.HeartbeatInterval >= c.Group.SessionTimeout {
		v.fail("heartbeat.interval.ms", fmt.Sprintf("must be less than session.timeout.ms, which is %d", c.Group.SessionTimeout.Milliseconds()))
	}
}

func parseOffsetReset(text string) (OffsetReset, error) {
	switch text {
	case "earliest", "latest", "none":
		return OffsetReset{Strategy: text}, nil
	}
	iso, ok := strings.CutPrefix(text, "by_duration:")
	if !ok {
		return OffsetReset{}, fmt.Errorf("unknown strategy %q", text)
	}
	d, err := parseDuration(iso)
	if err == nil && d < 0 {
		err = errors.New("the duration is negative")
	}
	return OffsetReset{Strategy: "by_duration", Duration: d}, err
}

// Backoff returns how long to wait before retry n (from 0): exponential from RetryBackoff to
// RetryBackoffMax, as Java's clients do (KIP-580). Callers add their own jitter.
func (c *Config) Backoff(n int) time.Duration {
	return exponential(c.RetryBackoff, c.RetryBackoffMax, n)
}

// exponential doubles first n times, up to most.
func exponential(first, most time.Duration, n int) time.Duration {
	d := float64(first) * math.Pow(2, float64(max(n, 0)))
	if d >= float64(most) {
		return most
	}
	return time.Duration(d)
}

// retriesWithin counts how many backoffs fit into limit, at most Retries. It turns Java's limit in
// time into the number of tries that sarama wants.
func (c *Config) retriesWithin(limit time.Duration) int {
	var waited time.Duration
	n := 0
	// The backoff reaches its maximum within 63 doublings, or never leaves 0.
	for ; n < min(c.Retries, 63) && c.Backoff(n) < c.RetryBackoffMax; n++ {
		if waited += c.Backoff(n); waited >= limit {
			return n + 1
		}
	}
	rest := float64(limit-waited) / float64(max(c.RetryBackoffMax, time.Millisecond))
	return int(min(float64(n)+math.Ceil(rest), float64(c.Retries), math.MaxInt32))
}
