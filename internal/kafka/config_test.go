package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-multierror"
	"go.uber.org/goleak"

	"tributary/test/cluster/kafkatest"
)

// with returns a minimal valid configuration of the role with more keys.
func with(role Role, pairs ...string) Props {
	props := Props{"bootstrap.servers": "localhost:9092"}
	if role == RoleGroup {
		props["group.id"] = "connect"
	}
	for i := 0; i < len(pairs); i += 2 {
		props[pairs[i]] = pairs[i+1]
	}
	return props
}

func mustParse(t *testing.T, role Role, pairs ...string) *Config {
	t.Helper()
	c, err := ParseConfig(role, with(role, pairs...))
	if err != nil {
		t.Fatalf("ParseConfig(%v, %q): %v", role, pairs, err)
	}
	return c
}

// keyErrors returns the errors by key.
func keyErrors(t *testing.T, err error) map[string]*KeyError {
	t.Helper()
	byKey := map[string]*KeyError{}
	var all *multierror.Error
	if err == nil {
		return byKey
	}
	if !errors.As(err, &all) {
		t.Fatalf("%T is no multierror: %v", err, err)
	}
	for _, one := range all.Errors {
		var ke *KeyError
		if !errors.As(one, &ke) {
			t.Fatalf("%T is no KeyError: %v", one, one)
		}
		byKey[ke.Key] = ke
	}
	return byKey
}

var javaKinds = map[string]kind{
	"BOOLEAN": kindBoolean, "INT": kindInt, "SHORT": kindShort, "LONG": kindLong, "DOUBLE": kindDouble,
	"STRING": kindString, "LIST": kindList, "PASSWORD": kindPassword, "CLASS": kindClass,
}

// TestTableKnowsWhatJavaKnows compares keys, types and defaults with the ConfigDefs of Kafka 4.3.1.
func TestTableKnowsWhatJavaKnows(t *testing.T) {
	roles := map[string]Role{"consumer": RoleConsumer, "producer": RoleProducer, "admin": RoleAdmin}
	seen := map[string]int{}
	for _, f := range readTSV(t, "java_client_keys.tsv") {
		role, key := roles[f[0]], f[1]
		seen[f[0]]++
		d := tableFor(role)[key]
		if d == nil {
			t.Errorf("%v: %s is missing from the table", role, key)
			continue
		}
		if d.kind != javaKinds[f[2]] {
			t.Errorf("%v: %s has kind %d, Java %s", role, key, d.kind, f[2])
		}
		want := f[3]
		if want == "<required>" || want == "<null>" {
			want = none
		}
		if d.def != want {
			t.Errorf("%v: %s defaults to %q, in Java to %q", role, key, d.def, want)
		}
		checkRange(t, d, f[4])
	}
	for name, role := range roles {
		if got := len(tableFor(role)); got != seen[name] || got < 80 {
			t.Errorf("the table has %d keys for the %s, Java %d", got, name, seen[name])
		}
	}
}

var javaRange = regexp.MustCompile(`^\[(-?[\d.]+),\.\.\.(?:,(-?[\d.]+))?\]`)

// checkRange tries the borders of Java's ranges and the members of its lists.
func checkRange(t *testing.T, d *keyDef, validator string) {
	t.Helper()
	accepts := func(text string) bool {
		value, reason := convert(d.kind, text)
		return reason == "" && (d.check == nil || d.check(value) == "")
	}
	if m := javaRange.FindStringSubmatch(validator); m != nil {
		for i, beyond := range map[int]float64{1: -1, 2: +1} {
			border, err := strconv.ParseFloat(m[i], 64)
			if err != nil {
				continue
			}
			if !accepts(m[i]) {
				t.Errorf("%s: %s is refused, Java accepts it", d.name, m[i])
			}
			if out := strconv.FormatFloat(border+beyond, 'f', -1, 64); accepts(out) && out != "-1" {
				t.Errorf("%s: %s is accepted, Java refuses it", d.name, out)
			}
		}
		return
	}
	anyCase := strings.HasPrefix(validator, "(case insensitive) ")
	list, ok := strings.CutPrefix(strings.TrimPrefix(validator, "(case insensitive) "), "[")
	if !ok {
		return
	}
	for _, item := range strings.Split(strings.TrimSuffix(list, "]"), ", ") {
		if item == "by_duration:PnDTnHnMn.nS" {
			item = "by_duration:P1DT2H3M4.5S"
		}
		if !accepts(item) || anyCase && !accepts(strings.ToLower(item)) {
			t.Errorf("%s: %q is refused, Java accepts it", d.name, item)
		}
	}
	if accepts("nonsense") {
		t.Errorf("%s accepts nonsense", d.name)
	}
}

func TestDefaultsAreJavas(t *testing.T) {
	consumer := mustParse(t, RoleConsumer)
	if diff := cmp.Diff(ConsumerSettings{
		FetchMinBytes: 1, FetchMaxBytes: 52428800, FetchMaxWait: 500 * time.Millisecond, IdleWait: 5 * time.Second, MaxPartitionFetchBytes: 1048576,
		MaxPollRecords: 500, OffsetReset: OffsetReset{Strategy: "latest"},
		Assignors: []string{"org.apache.kafka.clients.consumer.RangeAssignor", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"},
	}, consumer.Consumer); diff != "" {
		t.Errorf("consumer: %s", diff)
	}
	if diff := cmp.Diff(GroupSettings{SessionTimeout: 45 * time.Second, HeartbeatInterval: 3 * time.Second, RebalanceTimeout: 5 * time.Minute}, consumer.Group); diff != "" {
		t.Errorf("consumer group: %s", diff)
	}
	producer := mustParse(t, RoleProducer)
	if diff := cmp.Diff(ProducerSettings{
		Acks: -1, Idempotent: true, MaxInFlight: 5, Linger: 5 * time.Millisecond, BatchBytes: 16384, BufferBytes: 33554432,
		MaxBlock: time.Minute, MaxRequestBytes: 1048576, DeliveryTimeout: 2 * time.Minute, Compression: "none",
		TransactionTimeout: time.Minute,
	}, producer.Producer); diff != "" {
		t.Errorf("producer: %s", diff)
	}
	group := mustParse(t, RoleGroup)
	if diff := cmp.Diff(GroupSettings{ID: "connect", SessionTimeout: 10 * time.Second, HeartbeatInterval: 3 * time.Second, RebalanceTimeout: time.Minute}, group.Group); diff != "" {
		t.Errorf("group: %s", diff)
	}
	if group.RequestTimeout != 40*time.Second || producer.RequestTimeout != 30*time.Second {
		t.Errorf("request timeouts %v and %v, want 40s and 30s", group.RequestTimeout, producer.RequestTimeout)
	}
	if len(consumer.Warnings())+len(consumer.UnknownKeys()) != 0 {
		t.Errorf("warnings %q, unknown %q without a reason", consumer.Warnings(), consumer.UnknownKeys())
	}
}

func TestKeysReachTheirFields(t *testing.T) {
	for _, c := range []struct {
		role       Role
		key, value string
		got        func(*Config) any
		want       any
	}{
		{RoleAdmin, "bootstrap.servers", " a:1 , [::1]:2,SSL://b.c:3 ", func(c *Config) any { return c.BootstrapServers }, []string{"a:1", "[::1]:2", "b.c:3"}},
		{RoleAdmin, "client.id", " me ", func(c *Config) any { return c.ClientID }, "me"},
		{RoleConsumer, "client.rack", "r1", func(c *Config) any { return c.ClientRack }, "r1"},
		{RoleAdmin, "request.timeout.ms", "1234", func(c *Config) any { return c.RequestTimeout }, 1234 * time.Millisecond},
		{RoleAdmin, "default.api.timeout.ms", "77", func(c *Config) any { return c.APITimeout }, 77 * time.Millisecond},
		{RoleAdmin, "metadata.max.age.ms", "9000", func(c *Config) any { return c.MetadataMaxAge }, 9 * time.Second},
		{RoleAdmin, "reconnect.backoff.ms", "70", func(c *Config) any { return c.ReconnectBackoff }, 70 * time.Millisecond},
		{RoleAdmin, "reconnect.backoff.max.ms", "700", func(c *Config) any { return c.ReconnectBackoffMax }, 700 * time.Millisecond},
		{RoleAdmin, "retry.backoff.ms", "80", func(c *Config) any { return c.RetryBackoff }, 80 * time.Millisecond},
		{RoleAdmin, "retry.backoff.max.ms", "90", func(c *Config) any { return c.RetryBackoff }, 90 * time.Millisecond},
		{RoleAdmin, "retries", "3", func(c *Config) any { return c.Retries }, 3},
		{RoleAdmin, "socket.connection.setup.timeout.ms", "5", func(c *Config) any { return c.ConnectTimeout }, 5 * time.Millisecond},
		{RoleAdmin, "socket.connection.setup.timeout.max.ms", "60000", func(c *Config) any { return c.ConnectTimeoutMax }, time.Minute},
		{RoleAdmin, "send.buffer.bytes", "-1", func(c *Config) any { return c.SendBufferBytes }, -1},
		{RoleAdmin, "receive.buffer.bytes", "4096", func(c *Config) any { return c.ReceiveBufferBytes }, 4096},
		{RoleAdmin, "security.protocol", "plaintext", func(c *Config) any { return c.Security.Protocol }, "PLAINTEXT"},
		{RoleAdmin, "security.protocol", "Ssl", func(c *Config) any { return c.Security.TLS }, true},
		{RoleProducer, "acks", "1", func(c *Config) any { return c.Producer.Acks }, 1},
		{RoleProducer, "acks", "1", func(c *Config) any { return c.Producer.Idempotent }, false},
		{RoleProducer, "retries", "0", func(c *Config) any { return c.Producer.Idempotent }, false},
		{RoleProducer, "enable.idempotence", "FALSE", func(c *Config) any { return c.Producer.Idempotent }, false},
		{RoleProducer, "max.in.flight.requests.per.connection", "1", func(c *Config) any { return c.Producer.MaxInFlight }, 1},
		{RoleProducer, "linger.ms", "0", func(c *Config) any { return c.Producer.Linger }, time.Duration(0)},
		{RoleProducer, "linger.ms", "200000", func(c *Config) any { return c.Producer.DeliveryTimeout }, 230 * time.Second},
		{RoleProducer, "batch.size", "1", func(c *Config) any { return c.Producer.BatchBytes }, 1},
		{RoleProducer, "buffer.memory", "5000000000", func(c *Config) any { return c.Producer.BufferBytes }, int64(5000000000)},
		{RoleProducer, "max.block.ms", "9223372036854775807", func(c *Config) any { return c.Producer.MaxBlock }, time.Duration(math.MaxInt64)},
		{RoleProducer, "max.request.size", "10", func(c *Config) any { return c.Producer.MaxRequestBytes }, 10},
		{RoleProducer, "delivery.timeout.ms", "2147483647", func(c *Config) any { return c.Producer.DeliveryTimeout }, 2147483647 * time.Millisecond},
		{RoleProducer, "compression.type", "gzip", func(c *Config) any { return c.Producer.CompressionLevel }, -1},
		{RoleProducer, "compression.type", "zstd", func(c *Config) any { return c.Producer.CompressionLevel }, 3},
		{RoleProducer, "transactional.id", "t", func(c *Config) any { return c.Producer.TransactionalID }, "t"},
		{RoleProducer, "transaction.timeout.ms", "5", func(c *Config) any { return c.Producer.TransactionTimeout }, 5 * time.Millisecond},
		{RoleConsumer, "fetch.min.bytes", "7", func(c *Config) any { return c.Consumer.FetchMinBytes }, 7},
		{RoleConsumer, "fetch.max.bytes", "8", func(c *Config) any { return c.Consumer.FetchMaxBytes }, 8},
		{RoleConsumer, "fetch.max.wait.ms", "9", func(c *Config) any { return c.Consumer.FetchMaxWait }, 9 * time.Millisecond},
		{RoleConsumer, "max.partition.fetch.bytes", "10", func(c *Config) any { return c.Consumer.MaxPartitionFetchBytes }, 10},
		{RoleConsumer, "max.poll.records", "11", func(c *Config) any { return c.Consumer.MaxPollRecords }, 11},
		{RoleConsumer, "isolation.level", "read_committed", func(c *Config) any { return c.Consumer.ReadCommitted }, true},
		{RoleConsumer, "auto.offset.reset", "none", func(c *Config) any { return c.Consumer.OffsetReset }, OffsetReset{Strategy: "none"}},
		{RoleConsumer, "auto.offset.reset", "by_duration:P1DT1S", func(c *Config) any { return c.Consumer.OffsetReset }, OffsetReset{"by_duration", 24*time.Hour + time.Second}},
		{RoleConsumer, "group.id", "g", func(c *Config) any { return c.Group.ID }, "g"},
		{RoleConsumer, "group.instance.id", "i", func(c *Config) any { return c.Group.InstanceID }, "i"},
		{RoleConsumer, "session.timeout.ms", "6000", func(c *Config) any { return c.Group.SessionTimeout }, 6 * time.Second},
		{RoleConsumer, "heartbeat.interval.ms", "100", func(c *Config) any { return c.Group.HeartbeatInterval }, 100 * time.Millisecond},
		{RoleConsumer, "max.poll.interval.ms", "6000", func(c *Config) any { return c.Group.RebalanceTimeout }, 6 * time.Second},
		{RoleGroup, "rebalance.timeout.ms", "6000", func(c *Config) any { return c.Group.RebalanceTimeout }, 6 * time.Second},
	} {
		cfg := mustParse(t, c.role, c.key, c.value)
		if diff := cmp.Diff(c.want, c.got(cfg)); diff != "" {
			t.Errorf("%v: %s=%s: %s", c.role, c.key, c.value, diff)
		}
		if len(cfg.Warnings()) > 0 {
			t.Errorf("%s=%s: warnings %q", c.key, c.value, cfg.Warnings())
		}
	}
}

func TestWrongValuesAreNamed(t *testing.T) {
	for _, c := range []struct {
		role       Role
		pairs      []string
		key, value string
		reason     string
	}{
		{RoleAdmin, []string{"bootstrap.servers", ""}, "bootstrap.servers", "", "at least one broker"},
		{RoleAdmin, []string{"bootstrap.servers", "a:1,a:1"}, "bootstrap.servers", "a:1,a:1", "twice"},
		{RoleAdmin, []string{"bootstrap.servers", "a"}, "bootstrap.servers", "a", "host:port"},
		{RoleAdmin, []string{"bootstrap.servers", "a b:1"}, "bootstrap.servers", "a b:1", "host:port"},
		{RoleAdmin, []string{"bootstrap.servers", "a:1,,b:2"}, "bootstrap.servers", "a:1,,b:2", "host:port"},
		{RoleAdmin, []string{"bootstrap.servers", "a:70000"}, "bootstrap.servers", "a:70000", "65535"},
		{RoleAdmin, []string{"bootstrap.servers", "a:99999999999999999999"}, "bootstrap.servers", "a:99999999999999999999", "65535"},
		{RoleAdmin, []string{"request.timeout.ms", "soon"}, "request.timeout.ms", "soon", "whole number"},
		{RoleAdmin, []string{"request.timeout.ms", "2147483648"}, "request.timeout.ms", "2147483648", "32 bits"},
		{RoleAdmin, []string{"request.timeout.ms", "-1"}, "request.timeout.ms", "-1", "at least 0"},
		{RoleAdmin, []string{"security.protocol", "TLS"}, "security.protocol", "TLS", "SASL_SSL"},
		{RoleAdmin, []string{"ssl.enabled.protocols", "SSLv3"}, "ssl.enabled.protocols", "SSLv3", "TLSv1.2"},
		{RoleAdmin, []string{"ssl.cipher.suites", "TLS_NULL"}, "ssl.cipher.suites", "TLS_NULL", "not supported"},
		{RoleAdmin, []string{"ssl.endpoint.identification.algorithm", "ldaps"}, "ssl.endpoint.identification.algorithm", "ldaps", "https"},
		{RoleAdmin, []string{"sasl.login.callback.handler.class", "my.Handler"}, "sasl.login.callback.handler.class", "my.Handler", "cannot be loaded"},
		{RoleProducer, []string{"enable.idempotence", "yes"}, "enable.idempotence", "yes", "true or false"},
		{RoleProducer, []string{"enable.idempotence", "true", "acks", "1"}, "acks", "1", "must be all"},
		{RoleProducer, []string{"enable.idempotence", "true", "retries", "0"}, "retries", "0", "must not be 0"},
		{RoleProducer, []string{"max.in.flight.requests.per.connection", "6"}, "max.in.flight.requests.per.connection", "6", "at most 5"},
		{RoleProducer, []string{"transactional.id", "t", "acks", "1"}, "transactional.id", "t", "needs idempotence"},
		{RoleProducer, []string{"transactional.id", "t", "enable.idempotence", "false"}, "transactional.id", "t", "enable.idempotence=true"},
		{RoleProducer, []string{"transactional.id", ""}, "transactional.id", "", "must not be empty"},
		{RoleProducer, []string{"delivery.timeout.ms", "100"}, "delivery.timeout.ms", "100", "30005"},
		{RoleProducer, []string{"compression.gzip.level", "0"}, "compression.gzip.level", "0", "from 1 to 9"},
		{RoleProducer, []string{"compression.gzip.level", "10"}, "compression.gzip.level", "10", "from 1 to 9"},
		{RoleProducer, []string{"transaction.timeout.ms", "0"}, "transaction.timeout.ms", "0", "greater than 0"},
		{RoleProducer, []string{"transaction.timeout.ms", "9", "transaction.two.phase.commit.enable", "true"}, "transaction.timeout.ms", "9", "two.phase"},
		{RoleConsumer, []string{"auto.offset.reset", "by_duration:P1Y"}, "auto.offset.reset", "by_duration:P1Y", "by_duration:PnDTnHnMn.nS"},
		{RoleConsumer, []string{"auto.offset.reset", "by_duration:-PT1S"}, "auto.offset.reset", "by_duration:-PT1S", "not negative"},
		{RoleConsumer, []string{"auto.offset.reset", "LATEST"}, "auto.offset.reset", "LATEST", "earliest"},
		{RoleConsumer, []string{"heartbeat.interval.ms", "45000"}, "heartbeat.interval.ms", "45000", "less than session.timeout.ms"},
		{RoleConsumer, []string{"session.timeout.ms", "0"}, "session.timeout.ms", "0", "greater than 0"},
		{RoleGroup, []string{"group.id", ""}, "group.id", "", "must not be empty"},
	} {
		_, err := ParseConfig(c.role, with(c.role, c.pairs...))
		got := keyErrors(t, err)[c.key]
		if got == nil {
			t.Errorf("%q: %v, want an error for %s", c.pairs, err, c.key)
			continue
		}
		if got.Value != c.value || !strings.Contains(got.Reason, c.reason) || !strings.Contains(got.Error(), c.key) {
			t.Errorf("%q: error %q, want value %q and reason with %q", c.pairs, got, c.value, c.reason)
		}
	}
}

func TestAllErrorsAreReportedAtOnce(t *testing.T) {
	_, err := ParseConfig(RoleProducer, Props{"acks": "2", "linger.ms": "x", "compression.type": "zip"})
	got := keyErrors(t, err)
	for _, key := range []string{"bootstrap.servers", "acks", "linger.ms", "compression.type"} {
		if got[key] == nil {
			t.Errorf("no error for %s in %v", key, err)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d keys are wrong, want 4: %v", len(got), err)
	}
}

func TestGroupNeedsItsID(t *testing.T) {
	_, err := ParseConfig(RoleGroup, Props{"bootstrap.servers": "a:1"})
	if keyErrors(t, err)["group.id"] == nil {
		t.Errorf("error %v does not ask for group.id", err)
	}
}

// TestNoKeyIsDroppedInSilence gives each key of Java's clients a value other than what is done anyway.
func TestNoKeyIsDroppedInSilence(t *testing.T) {
	for _, d := range keyTable {
		if d.ignored == "" {
			continue
		}
		role := map[bool]Role{true: RoleConsumer}[d.roles&consumers != 0]
		for r := RoleConsumer; r <= RoleGroup; r++ {
			if d.roles&(1<<r) != 0 {
				role = r
			}
		}
		value := map[kind]string{kindBoolean: "true", kindInt: "7", kindShort: "100", kindLong: "6000", kindDouble: "0.9", kindString: "x", kindList: "x", kindClass: "my.Class"}[d.kind]
		if d.def != none && d.check != nil {
			value = d.def
		}
		if fits, ok := satisfied[d.name]; ok && fits == value {
			value = map[string]string{"true": "false", "false": "true", "use_all_dns_ips": "resolve_canonical_bootstrap_servers_only", "classic": "consumer", "rebootstrap": "none"}[value]
		}
		c := mustParse(t, role, d.name, value)
		if !slices.ContainsFunc(c.Warnings(), func(w string) bool { return strings.HasPrefix(w, d.name+" is ") }) {
			t.Errorf("%v: %s=%s has no effect and no warning: %q", role, d.name, value, c.Warnings())
		}
	}
}

func TestSatisfiedKeysNeedNoWarning(t *testing.T) {
	c := mustParse(t, RoleConsumer, "enable.auto.commit", "False", "check.crcs", "true", "allow.auto.create.topics", "false", "group.protocol", "CLASSIC")
	if len(c.Warnings()) != 0 {
		t.Errorf("warnings %q", c.Warnings())
	}
}

func TestLimitsOfTheClientAreNamed(t *testing.T) {
	c := mustParse(t, RoleProducer, "max.request.size", "2000000000", "max.in.flight.requests.per.connection", "5")
	want := []string{
		"max.in.flight.requests.per.connection is ignored: an idempotent producer has one request at a time in flight",
		fmt.Sprintf("max.request.size is lowered to %d: the client sends no larger request", maxSaramaRequest),
	}
	if diff := cmp.Diff(want, c.Warnings()); diff != "" {
		t.Error(diff)
	}
	if c.Producer.MaxRequestBytes != maxSaramaRequest {
		t.Errorf("max.request.size is %d", c.Producer.MaxRequestBytes)
	}
}

func TestUnknownKeysAreHandedBack(t *testing.T) {
	c := mustParse(t, RoleConsumer, "linger.ms", "5", "auto.offset.rest", "latest", "my.key", "1")
	if diff := cmp.Diff([]string{"auto.offset.rest", "linger.ms", "my.key"}, c.UnknownKeys()); diff != "" {
		t.Error(diff)
	}
}

func TestSecretsAreRecognised(t *testing.T) {
	for _, key := range []string{
		"ssl.key.password", "source.cluster.ssl.keystore.key", "producer.sasl.jaas.config", "SSL.TRUSTSTORE.PASSWORD",
		"sasl.oauthbearer.client.credentials.client.secret", "basic.auth.credentials", "ssl.keystore.certificate.chain", "my.passphrase",
		"value.converter.basic.auth.user.info",
	} {
		if !IsSecret(key) {
			t.Errorf("%s is no secret", key)
		}
	}
	for _, key := range []string{"bootstrap.servers", "ssl.keystore.location", "key.converter", "group.id", "sasl.mechanism"} {
		if IsSecret(key) {
			t.Errorf("%s is a secret", key)
		}
	}
}

// TestSecretsAreNeverShown prints a configuration and its errors in every way that logs use.
func TestSecretsAreNeverShown(t *testing.T) {
	const jaas = `org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="s3cr3t-word";`
	c := mustParse(t, RoleProducer, "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "PLAIN", "sasl.jaas.config", jaas)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("client", "config", c, "password", c.Security.SASL.Password)
	inJSON, err := json.Marshal(c.Security.SASL)
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v", c, c.Security.SASL, *c.Security.SASL), log.String(), string(inJSON), c.String()}
	_, err = ParseConfig(RoleProducer, with(RoleProducer, "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "PLAIN", "sasl.jaas.config", strings.TrimSuffix(jaas, ";")))
	if err == nil || !strings.Contains(err.Error(), "[hidden]") {
		t.Errorf("error %v must show that the value is hidden", err)
	}
	for _, text := range append(shown, fmt.Sprint(err)) {
		if strings.Contains(text, "s3cr3t-word") {
			t.Errorf("the password is shown in %s", text)
		}
	}
	if !strings.Contains(c.String(), "PLAIN as alice") {
		t.Errorf("%s does not say who logs in", c)
	}
}

func TestDurationsAreReadAsJavaReadsThem(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"PT1S": time.Second, "pt1.5s": 1500 * time.Millisecond, "P1D": 24 * time.Hour, "P1DT1H1M1S": 25*time.Hour + time.Minute + time.Second,
		"PT-1H": -time.Hour, "-PT1H": -time.Hour, "-PT-1H": time.Hour, "PT1H-30M": 30 * time.Minute, "PT-0.5S": -500 * time.Millisecond, "PT0,000000001S": 1, "PT+2S": 2 * time.Second,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "P", "PT", "P1DT", "P1Y", "P1M", "P1W", "1S", "PT1.5H", "PT.5S", "P99999999999D", "PT0.0000000001S"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%s = %v, want an error", text, got)
		}
	}
}

func TestRetriesFillTheTimeLimit(t *testing.T) {
	c := mustParse(t, RoleProducer)
	// 100, 200, 400 and 800 ms, then 118.5 s in steps of one second.
	if got := c.retriesWithin(2 * time.Minute); got != 4+119 {
		t.Errorf("%d retries fit into two minutes, want 123", got)
	}
	if got := mustParse(t, RoleProducer, "retries", "2").retriesWithin(time.Hour); got != 2 {
		t.Errorf("%d retries, want the 2 that are set", got)
	}
	if got := mustParse(t, RoleProducer, "retry.backoff.ms", "0").retriesWithin(math.MaxInt64); got != math.MaxInt32 {
		t.Errorf("%d retries without backoff and limit", got)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kafkatest.LeftByKfake()) }
