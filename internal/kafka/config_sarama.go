package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
)

// maxSaramaRequest is the largest record that fits sarama's limit of 100 MiB a request.
const maxSaramaRequest = 100<<20 - 1<<16

// maxInflated bounds what a compressed batch may unpack to: a few bytes of a hostile producer could ask for all memory.
const maxInflated = 1 << 30

// settle runs before the first client. sarama's registry counts for nobody here, costs time on
// every request and keeps a goroutine that never ends.
var settle = sync.OnceFunc(func() {
	metrics.UseNilMetrics = true
	sarama.MaxDecompressedBatchSize = maxInflated
})

// sarama builds the configuration of a sarama client. Each call returns a new one, which the caller
// may alter.
func (c *Config) sarama() (*sarama.Config, error) {
	settle()
	s := sarama.NewConfig()
	// sarama negotiates each request with the broker and takes this as the upper bound.
	s.Version = sarama.MaxVersion
	s.ClientID = c.effectiveClientID()
	s.RackID = c.ClientRack

	s.Net.Proxy.Enable = true
	s.Net.Proxy.Dialer = c.dialer
	s.Net.DialTimeout = atLeastMilli(c.ConnectTimeout)
	s.Net.ReadTimeout = atLeastMilli(c.readTimeout())
	s.Net.WriteTimeout = atLeastMilli(c.RequestTimeout)
	if c.Security.SASL != nil {
		c.Security.SASL.apply(s)
	}

	s.Metadata.AllowAutoTopicCreation = c.Role == RoleProducer
	s.Metadata.Full = false
	s.Metadata.RefreshFrequency = max(c.MetadataMaxAge, time.Second)
	s.Metadata.Timeout = c.APITimeout
	s.Metadata.Retry.BackoffFunc = func(retries, _ int) time.Duration { return c.Backoff(retries - 1) }

	s.Admin.Timeout = atLeastMilli(c.RequestTimeout)
	s.Admin.Retry.Max = c.retriesWithin(c.APITimeout)
	s.Admin.Retry.Backoff = c.RetryBackoffMax

	switch c.Role {
	case RoleProducer:
		c.saramaProducer(s)
	case RoleConsumer:
		c.saramaConsumer(s)
		c.saramaGroup(s)
	case RoleGroup:
		c.saramaGroup(s)
	}
	return s, s.Validate()
}

// effectiveClientID names the client to brokers. A transactional producer goes by its id, as in Java.
func (c *Config) effectiveClientID() string {
	switch {
	case c.ClientID != "":
		return c.ClientID
	case c.Producer.TransactionalID != "":
		return "producer-" + c.Producer.TransactionalID
	}
	return "tributary-" + c.Role.String()
}

// joinMargin is what Java adds to the rebalance timeout for the answer to a join request.
const joinMargin = 5 * time.Second

// readTimeout leaves members of a group time for the answer to a join request, which the broker holds
// back until all members have joined.
func (c *Config) readTimeout() time.Duration {
	if c.Group.ID == "" {
		return c.RequestTimeout
	}
	return max(c.RequestTimeout, c.Group.RebalanceTimeout+joinMargin)
}

// atLeastMilli keeps sarama's rule that timeouts are positive. To Java 0 is a timeout, too.
func atLeastMilli(d time.Duration) time.Duration { return max(d, time.Millisecond) }

func (c *Config) saramaProducer(s *sarama.Config) {
	p := c.Producer
	s.Net.MaxOpenRequests = p.MaxInFlight
	s.Producer.RequiredAcks = sarama.RequiredAcks(p.Acks)
	s.Producer.Timeout = atLeastMilli(c.RequestTimeout)
	s.Producer.MaxMessageBytes = max(p.MaxRequestBytes, 1)
	s.Producer.Idempotent = p.Idempotent
	if p.Idempotent {
		s.Net.MaxOpenRequests = 1
	}
	s.Producer.Partitioner = func(topic string) sarama.Partitioner { return newJavaPartitioner(topic, p.BatchBytes) }
	if p.Linger > 0 {
		// Without a frequency sarama would wait for the bytes for ever.
		s.Producer.Flush.Frequency = p.Linger
		s.Producer.Flush.Bytes = p.BatchBytes
	}
	s.Producer.Retry.Max = c.retriesWithin(p.DeliveryTimeout)
	if p.Idempotent {
		s.Producer.Retry.Max = max(s.Producer.Retry.Max, 1)
	}
	s.Producer.Retry.BackoffFunc = func(retries, _ int) time.Duration { return c.Backoff(retries - 1) }
	s.Producer.Compression = map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}[p.Compression]
	if p.Compression == "zstd" || p.Compression == "gzip" && p.CompressionLevel != -1 {
		s.Producer.CompressionLevel = p.CompressionLevel
	}
	s.Producer.Return.Successes = true
	s.Producer.Return.Errors = true
	s.Producer.Transaction.ID = p.TransactionalID
	s.Producer.Transaction.Timeout = p.TransactionTimeout
	s.Producer.Transaction.Retry.Max = c.retriesWithin(min(p.MaxBlock, time.Hour))
	s.Producer.Transaction.Retry.BackoffFunc = s.Producer.Retry.BackoffFunc
}

func (c *Config) saramaConsumer(s *sarama.Config) {
	k := c.Consumer
	// A minimum of 0 means "answer at once" to Java; sarama asks for 1 and waits no longer than this.
	s.Consumer.Fetch.Min = int32(max(k.FetchMinBytes, 1))
	s.Consumer.Fetch.Default = int32(max(k.MaxPartitionFetchBytes, 1))
	s.Consumer.Fetch.MaxBytes = int32(max(k.FetchMaxBytes, 1))
	s.Consumer.MaxWaitTime = atLeastMilli(k.FetchMaxWait)
	s.Consumer.Return.Errors = true
	s.Consumer.Retry.BackoffFunc = func(retries int) time.Duration { return c.Backoff(retries - 1) }
	if k.ReadCommitted {
		s.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	if k.OffsetReset.Strategy == "earliest" {
		s.Consumer.Offsets.Initial = sarama.OffsetOldest
	}
	// Resetting is the consumer's own work: only it knows the strategies none and by_duration.
	s.Consumer.Group.ResetInvalidOffsets = false
	s.Consumer.Offsets.AutoCommit.Enable = false
}

func (c *Config) saramaGroup(s *sarama.Config) {
	g := c.Group
	s.Consumer.Group.Session.Timeout = g.SessionTimeout
	s.Consumer.Group.Heartbeat.Interval = g.HeartbeatInterval
	s.Consumer.Group.Rebalance.Timeout = max(g.RebalanceTimeout, 2*time.Millisecond)
	s.Consumer.Group.InstanceId = g.InstanceID
}

// apply sets sarama's login.
func (s *SASL) apply(cfg *sarama.Config) {
	sasl := &cfg.Net.SASL
	sasl.Enable = true
	sasl.Mechanism = sarama.SASLMechanism(s.Mechanism)
	sasl.User, sasl.Password = s.Username, s.Password.Reveal()
	switch s.Mechanism {
	case MechanismSCRAM256, MechanismSCRAM512:
		sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient {
			return &scramExchange{mechanism: s.Mechanism, delegationToken: s.DelegationToken}
		}
	case MechanismOAuth:
		sasl.TokenProvider = tokenProvider{s}
	case MechanismGSSAPI:
		k := s.Kerberos
		sasl.GSSAPI = sarama.GSSAPIConfig{
			AuthType:           k.authType(),
			KeyTabPath:         k.KeytabFile,
			CCachePath:         k.TicketCacheFile,
			KerberosConfigPath: k.ConfigFile,
			ServiceName:        k.ServiceName,
			Username:           k.User,
			Password:           k.Password.Reveal(),
			Realm:              k.Realm,
		}
	}
}

func (k *Kerberos) authType() int {
	switch {
	case k.KeytabFile != "":
		return sarama.KRB5_KEYTAB_AUTH
	case k.TicketCacheFile != "":
		return sarama.KRB5_CCACHE_AUTH
	}
	return sarama.KRB5_USER_AUTH
}

// tokenProvider hands tokens to sarama, whose interface has no context.
type tokenProvider struct{ sasl *SASL }

func (p tokenProvider) Token() (*sarama.AccessToken, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tokenTimeout)
	defer cancel()
	token, err := p.sasl.Token(ctx)
	if err != nil {
		return nil, err
	}
	return &sarama.AccessToken{Token: token.Value.Reveal(), Extensions: token.Extensions}, nil
}
