package kafka

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
)

func mustSarama(t *testing.T, role Role, pairs ...string) *sarama.Config {
	t.Helper()
	s, err := mustParse(t, role, pairs...).sarama()
	if err != nil {
		t.Fatalf("sarama refuses %v with %q: %v", role, pairs, err)
	}
	return s
}

func TestEveryRoleGivesAValidClient(t *testing.T) {
	for role := RoleConsumer; role <= RoleGroup; role++ {
		s := mustSarama(t, role)
		if s.Version != sarama.MaxVersion || !s.ApiVersionsRequest {
			t.Errorf("%v: version %v, negotiation %v", role, s.Version, s.ApiVersionsRequest)
		}
		if create := s.Metadata.AllowAutoTopicCreation; create != (role == RoleProducer) {
			t.Errorf("%v: creates topics by asking for them: %v", role, create)
		}
		if s.ClientID != "tributary-"+role.String() {
			t.Errorf("%v: client id %q", role, s.ClientID)
		}
		if _, ok := s.Net.Proxy.Dialer.(*Dialer); !ok || !s.Net.Proxy.Enable || s.Net.TLS.Enable {
			t.Errorf("%v: connections do not go through the own dialer", role)
		}
	}
}

func TestExtremeValuesAreAccepted(t *testing.T) {
	mustSarama(t, RoleProducer, "request.timeout.ms", "0", "linger.ms", "0", "batch.size", "0", "max.request.size", "0",
		"retry.backoff.ms", "0", "retry.backoff.max.ms", "0", "max.block.ms", "9223372036854775807", "delivery.timeout.ms", "2147483647", "metadata.max.age.ms", "0")
	s := mustSarama(t, RoleConsumer, "fetch.min.bytes", "0", "fetch.max.bytes", "0", "fetch.max.wait.ms", "0", "max.partition.fetch.bytes", "2147483647")
	if s.Consumer.Fetch.Min != 1 || s.Consumer.MaxWaitTime != time.Millisecond || s.Consumer.Fetch.Default != 2147483647 {
		t.Errorf("fetch settings %+v, wait %v", s.Consumer.Fetch, s.Consumer.MaxWaitTime)
	}
}

func TestProducerKeepsJavasGuarantees(t *testing.T) {
	s := mustSarama(t, RoleProducer)
	if !s.Producer.Idempotent || s.Producer.RequiredAcks != sarama.WaitForAll || s.Net.MaxOpenRequests != 1 {
		t.Errorf("idempotent %v, acks %v, in flight %d", s.Producer.Idempotent, s.Producer.RequiredAcks, s.Net.MaxOpenRequests)
	}
	if s.Producer.Flush.Frequency != 5*time.Millisecond || s.Producer.Flush.Bytes != 16384 || s.Producer.Retry.Max != 123 {
		t.Errorf("flush %+v, retries %d", s.Producer.Flush, s.Producer.Retry.Max)
	}
	for retries, want := range map[int]time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 9: time.Second} {
		if got := s.Producer.Retry.BackoffFunc(retries, 10); got != want {
			t.Errorf("backoff before retry %d is %v, want %v", retries, got, want)
		}
	}
	s = mustSarama(t, RoleProducer, "enable.idempotence", "false", "acks", "0", "max.in.flight.requests.per.connection", "7", "linger.ms", "0", "compression.type", "gzip", "compression.gzip.level", "9")
	if s.Producer.Idempotent || s.Producer.RequiredAcks != sarama.NoResponse || s.Net.MaxOpenRequests != 7 || s.Producer.Flush.Bytes != 0 {
		t.Errorf("settings of a plain producer: %+v", s.Producer.Flush)
	}
	if s.Producer.Compression != sarama.CompressionGZIP || s.Producer.CompressionLevel != 9 {
		t.Errorf("compression %v at %d", s.Producer.Compression, s.Producer.CompressionLevel)
	}
	s = mustSarama(t, RoleProducer, "transactional.id", "tx", "transaction.timeout.ms", "900000")
	if s.Producer.Transaction.ID != "tx" || s.Producer.Transaction.Timeout != 15*time.Minute || s.ClientID != "producer-tx" {
		t.Errorf("transaction %+v by %q", s.Producer.Transaction, s.ClientID)
	}
}

func TestConsumerSettingsArrive(t *testing.T) {
	s := mustSarama(t, RoleConsumer, "isolation.level", "read_committed", "auto.offset.reset", "earliest", "client.rack", "r", "client.id", "c",
		"fetch.max.bytes", "99", "max.partition.fetch.bytes", "98", "fetch.min.bytes", "97", "metadata.max.age.ms", "96000")
	if s.Consumer.IsolationLevel != sarama.ReadCommitted || s.Consumer.Offsets.Initial != sarama.OffsetOldest || s.RackID != "r" || s.ClientID != "c" {
		t.Errorf("isolation %v, start %v, rack %q, id %q", s.Consumer.IsolationLevel, s.Consumer.Offsets.Initial, s.RackID, s.ClientID)
	}
	if s.Consumer.Fetch.MaxBytes != 99 || s.Consumer.Fetch.Default != 98 || s.Consumer.Fetch.Min != 97 || s.Metadata.RefreshFrequency != 96*time.Second {
		t.Errorf("fetch %+v, refresh %v", s.Consumer.Fetch, s.Metadata.RefreshFrequency)
	}
	if s.Consumer.Offsets.AutoCommit.Enable || s.Consumer.Group.ResetInvalidOffsets {
		t.Error("offsets are committed or reset behind the worker's back")
	}
}

// TestJoinRequestsOutlastTheRebalance: the broker answers a join only when all members have joined.
func TestJoinRequestsOutlastTheRebalance(t *testing.T) {
	if got := mustSarama(t, RoleGroup, "rebalance.timeout.ms", "60000").Net.ReadTimeout; got != 65*time.Second {
		t.Errorf("group reads for %v, want 65s", got)
	}
	if got := mustSarama(t, RoleConsumer).Net.ReadTimeout; got != 30*time.Second {
		t.Errorf("consumer without group reads for %v, want 30s", got)
	}
	if got := mustSarama(t, RoleConsumer, "group.id", "g").Net.ReadTimeout; got != 305*time.Second {
		t.Errorf("group consumer reads for %v, want 305s", got)
	}
}

func TestLoginsReachSarama(t *testing.T) {
	plain := mustSarama(t, RoleAdmin, "security.protocol", "sasl_plaintext", "sasl.mechanism", "PLAIN",
		"sasl.jaas.config", `x.PlainLoginModule required username="u" password="p";`)
	if n := plain.Net.SASL; !n.Enable || n.Mechanism != sarama.SASLTypePlaintext || n.User != "u" || n.Password != "p" {
		t.Errorf("PLAIN login is %v %q", n.Mechanism, n.User)
	}
	token := mustSarama(t, RoleAdmin, "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "SCRAM-SHA-512",
		"sasl.jaas.config", `x.ScramLoginModule required username="id" password="hmac" tokenauth="true";`)
	if exchange := token.Net.SASL.SCRAMClientGeneratorFunc().(*scramExchange); !exchange.delegationToken || exchange.mechanism != MechanismSCRAM512 {
		t.Errorf("SCRAM exchange %+v", exchange)
	}
	for _, c := range []struct {
		jaas string
		want sarama.GSSAPIConfig
	}{
		{`x.Krb5LoginModule required useKeyTab=true storeKey=true keyTab="/k" principal="app/host@REALM";`,
			sarama.GSSAPIConfig{AuthType: sarama.KRB5_KEYTAB_AUTH, KeyTabPath: "/k", Username: "app/host", Realm: "REALM"}},
		{`x.Krb5LoginModule required useTicketCache=true ticketCache="FILE:/cc" principal="app@REALM";`,
			sarama.GSSAPIConfig{AuthType: sarama.KRB5_CCACHE_AUTH, CCachePath: "/cc", Username: "app", Realm: "REALM"}},
		{`x.Krb5LoginModule required principal="app@REALM" password="pw";`,
			sarama.GSSAPIConfig{AuthType: sarama.KRB5_USER_AUTH, Password: "pw", Username: "app", Realm: "REALM"}},
	} {
		t.Setenv("KRB5_CONFIG", "/krb5")
		s := mustSarama(t, RoleAdmin, "security.protocol", "SASL_PLAINTEXT", "sasl.kerberos.service.name", "kafka", "sasl.jaas.config", c.jaas)
		got := s.Net.SASL.GSSAPI
		c.want.ServiceName, c.want.KerberosConfigPath = "kafka", "/krb5"
		got.BuildSpn = nil
		if got.AuthType != c.want.AuthType || got.KeyTabPath != c.want.KeyTabPath || got.CCachePath != c.want.CCachePath || got.Username != c.want.Username ||
			got.Realm != c.want.Realm || got.Password != c.want.Password || got.ServiceName != c.want.ServiceName || got.KerberosConfigPath != c.want.KerberosConfigPath {
			t.Errorf("%s gives %+v", c.jaas, got)
		}
	}
}

func TestWrongLoginsAreNamed(t *testing.T) {
	t.Setenv("KRB5_CONFIG", "/does/not/exist")
	for _, c := range []struct{ mechanism, jaas, key string }{
		{"PLAIN", "", "sasl.jaas.config"},
		{"PLAIN", `x.PlainLoginModule required username="u";`, "sasl.jaas.config"},
		{"PLAIN", `x.ScramLoginModule required username="u" password="p";`, "sasl.jaas.config"},
		{"DIGEST-MD5", `x.Y required;`, "sasl.mechanism"},
		{"DIGEST-MD5", "", "sasl.mechanism"},
		{"AWS_MSK_IAM", `software.amazon.msk.auth.iam.IAMLoginModule required;`, "sasl.mechanism"},
		{"GSSAPI", `x.Krb5LoginModule required principal="u@R" password="p";`, "sasl.kerberos.service.name"},
		{"GSSAPI", `x.Krb5LoginModule required serviceName="kafka" useKeyTab=true;`, "sasl.jaas.config"},
		{"GSSAPI", `x.Krb5LoginModule required serviceName="kafka" principal="u" password="p";`, "sasl.jaas.config"},
		{"OAUTHBEARER", `x.OAuthBearerLoginModule required;`, "sasl.oauthbearer.token.endpoint.url"},
	} {
		pairs := []string{"security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", c.mechanism}
		if c.jaas != "" {
			pairs = append(pairs, "sasl.jaas.config", c.jaas)
		}
		_, err := ParseConfig(RoleAdmin, with(RoleAdmin, pairs...))
		if keyErrors(t, err)[c.key] == nil {
			t.Errorf("%s with %q: %v, want an error for %s", c.mechanism, c.jaas, err, c.key)
		}
	}
}

func TestPartitionsAreJavas(t *testing.T) {
	p := newJavaPartitioner("topic", 10)
	message := func(partition int32, key, value sarama.Encoder) *sarama.ProducerMessage {
		return &sarama.ProducerMessage{Partition: partition, Key: key, Value: value}
	}
	place := func(m *sarama.ProducerMessage, n int32) int32 {
		t.Helper()
		got, err := p.Partition(m, n)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := place(message(7, sarama.StringEncoder("k"), nil), 3); got != 7 {
		t.Errorf("a given partition 7 became %d", got)
	}
	// What BuiltInPartitioner.partitionForKey of Kafka 4.3.1 gives for 50 partitions.
	for key, want := range javaPartitionsOf50 {
		if got := place(message(AnyPartition, sarama.StringEncoder(key), nil), 50); got != want {
			t.Errorf("key %q goes to %d, Java's producer sends it to %d", key, got, want)
		}
	}
	first := place(message(AnyPartition, nil, sarama.StringEncoder("12345")), 4)
	if second := place(message(AnyPartition, nil, sarama.StringEncoder("12345")), 4); second != first {
		t.Errorf("the batch moved from %d to %d before it was full", first, second)
	}
	if third := place(message(AnyPartition, nil, nil), 4); third == first || third < 0 || third > 3 {
		t.Errorf("a full batch on %d was followed by %d", first, third)
	}
	if got := place(message(AnyPartition, nil, nil), 1); got != 0 {
		t.Errorf("the only partition is %d", got)
	}
	var dynamic sarama.DynamicConsistencyPartitioner = p
	if dynamic.MessageRequiresConsistency(message(AnyPartition, nil, nil)) || !dynamic.MessageRequiresConsistency(message(0, nil, nil)) {
		t.Error("only records without key and partition may avoid partitions without leader")
	}
}

var javaPartitionsOf50 = map[string]int32{
	"":                              31,
	"a":                             24,
	"ab":                            34,
	"abc":                           7,
	"abcd":                          0,
	"orders":                        22,
	"key-1":                         40,
	"key-2":                         2,
	"é€":                            39,
	"a much longer key of a record": 48,
}
