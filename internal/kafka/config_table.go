package kafka

// kind is the type of a key in Java's ConfigDef.
type kind int

const (
	kindBoolean kind = iota
	kindInt
	kindShort
	kindLong
	kindDouble
	kindString
	kindList
	kindPassword
	kindClass
)

// roleSet is a set of roles.
type roleSet uint8

const (
	consumers roleSet = 1 << RoleConsumer
	producers roleSet = 1 << RoleProducer
	admins    roleSet = 1 << RoleAdmin
	groups    roleSet = 1 << RoleGroup
	clients           = consumers | producers | admins
	everyone          = clients | groups
)

// none is the default of keys that have no value unless set.
const none = "\x00"

// keyDef is one line of the table: what a Java user may write, and what becomes of it.
type keyDef struct {
	name  string
	roles roleSet
	kind  kind
	// def is Java's default as text, or none.
	def   string
	check check
	// ignored is empty for keys that take effect. Else it says what happens instead, as a sentence.
	ignored string
}

// Sentences that several keys share.
const (
	ignoredJavaClass   = "it names a Java class, which Tributary cannot load; the built-in behaviour is used"
	ignoredMetrics     = "Tributary reports its own metrics over HTTP; Java's client metrics do not exist"
	ignoredPush        = "client metrics are not pushed to brokers; read them from Tributary's metrics endpoint"
	ignoredBytes       = "records are read and written as bytes; converters turn them into data"
	ignoredProviders   = "config providers are resolved before clients see the configuration"
	ignoredIdle        = "idle connections are left open until the broker closes them"
	ignoredJavaTLS     = "it selects a part of Java's TLS; Go's standard TLS is used"
	ignoredRelogin     = "Kerberos tickets are asked for anew with every connection, so nothing has to be renewed"
	ignoredTokenCheck  = "tokens are checked by the broker alone, not by the client"
	ignoredAssertion   = "client assertions are not supported; log in with a client id and secret or a token file"
	ignoredTokenWindow = "a token is renewed once the refresh window factor of its life is over, at the next login"
	ignoredRebootstrap = "the bootstrap servers are always asked again when no known broker answers"
	ignoredShare       = "share groups are not used"
	ignoredAssign      = "partitions are assigned by the worker, not by consumer group assignors"
	ignoredPartitioner = "records with a key go to Java's default partition for that key, others to partitions in turn by batch"
)

// keyTable lists every key that the Java clients of Kafka 4.3 know, and those of a Connect worker's
// group connection. Defaults that differ by role have a line each.
var keyTable = []keyDef{
	// Connections and names.
	{"bootstrap.servers", everyone &^ admins, kindList, none, noRepeats, ""},
	{"bootstrap.servers", admins, kindList, "", noRepeats, ""},
	{"bootstrap.controllers", admins, kindList, "", nil, "controllers are not asked directly; set bootstrap.servers"},
	{"client.id", everyone, kindString, "", nil, ""},
	{"client.rack", consumers, kindString, "", nil, ""},
	{"client.dns.lookup", everyone, kindString, "use_all_dns_ips", oneOf("use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"),
		"all addresses of a name are always tried, as with use_all_dns_ips"},
	{"security.protocol", everyone, kindString, "PLAINTEXT", oneOfAnyCase("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"), ""},
	{"security.providers", clients, kindString, none, nil, ignoredJavaClass},
	{"request.timeout.ms", clients, kindInt, "30000", atLeast(0), ""},
	{"request.timeout.ms", groups, kindInt, "40000", atLeast(0), ""},
	{"default.api.timeout.ms", consumers | admins, kindInt, "60000", atLeast(0), ""},
	{"metadata.max.age.ms", everyone, kindLong, "300000", atLeast(0), ""},
	{"metadata.max.idle.ms", producers, kindLong, "300000", atLeast(5000), "topics stay in the metadata until the producer is closed"},
	{"metadata.recovery.strategy", everyone, kindString, "rebootstrap", oneOfAnyCase("none", "rebootstrap"), ignoredRebootstrap},
	{"metadata.recovery.rebootstrap.trigger.ms", everyone, kindLong, "300000", atLeast(0), ignoredRebootstrap},
	{"reconnect.backoff.ms", everyone, kindLong, "50", atLeast(0), ""},
	{"reconnect.backoff.max.ms", everyone, kindLong, "1000", atLeast(0), ""},
	{"retry.backoff.ms", everyone, kindLong, "100", atLeast(0), ""},
	{"retry.backoff.max.ms", everyone, kindLong, "1000", atLeast(0), ""},
	{"retries", producers | admins, kindInt, "2147483647", between(0, 2147483647), ""},
	{"socket.connection.setup.timeout.ms", everyone, kindLong, "10000", nil, ""},
	{"socket.connection.setup.timeout.max.ms", everyone, kindLong, "30000", nil, ""},
	{"connections.max.idle.ms", everyone &^ admins, kindLong, "540000", nil, ignoredIdle},
	{"connections.max.idle.ms", admins, kindLong, "300000", nil, ignoredIdle},
	{"send.buffer.bytes", everyone, kindInt, "131072", atLeast(-1), ""},
	{"receive.buffer.bytes", consumers | admins, kindInt, "65536", atLeast(-1), ""},
	{"receive.buffer.bytes", producers | groups, kindInt, "32768", atLeast(-1), ""},

	// Producers.
	{"acks", producers, kindString, "all", oneOf("all", "-1", "0", "1"), ""},
	{"enable.idempotence", producers, kindBoolean, "true", nil, ""},
	{"max.in.flight.requests.per.connection", producers, kindInt, "5", atLeast(1), ""},
	{"linger.ms", producers, kindLong, "5", atLeast(0), ""},
	{"batch.size", producers, kindInt, "16384", atLeast(0), ""},
	{"buffer.memory", producers, kindLong, "33554432", atLeast(0), ""},
	{"max.block.ms", producers, kindLong, "60000", atLeast(0), ""},
	{"max.request.size", producers, kindInt, "1048576", atLeast(0), ""},
	{"delivery.timeout.ms", producers, kindInt, "120000", atLeast(0), ""},
	{"compression.type", producers, kindString, "none", oneOf("none", "gzip", "snappy", "lz4", "zstd"), ""},
	{"compression.gzip.level", producers, kindInt, "-1", gzipLevel, ""},
	{"compression.lz4.level", producers, kindInt, "9", between(1, 17), "lz4 always compresses at its fast level; the data is the same, only larger"},
	{"compression.zstd.level", producers, kindInt, "3", between(-131072, 22), ""},
	{"transactional.id", producers, kindString, none, nonEmpty, ""},
	{"transaction.timeout.ms", producers, kindInt, "60000", nil, ""},
	{"transaction.two.phase.commit.enable", producers, kindBoolean, "false", nil, "two-phase commit is not supported; transactions end with transaction.timeout.ms"},
	{"partitioner.class", producers, kindClass, none, nil, ignoredPartitioner},
	{"partitioner.adaptive.partitioning.enable", producers, kindBoolean, "true", nil, ignoredPartitioner},
	{"partitioner.availability.timeout.ms", producers, kindLong, "0", atLeast(0), ignoredPartitioner},
	{"partitioner.ignore.keys", producers, kindBoolean, "false", nil, ignoredPartitioner},
	{"key.serializer", producers, kindClass, none, nil, ignoredBytes},
	{"value.serializer", producers, kindClass, none, nil, ignoredBytes},

	// Consumers.
	{"fetch.min.bytes", consumers, kindInt, "1", atLeast(0), ""},
	{"fetch.max.bytes", consumers, kindInt, "52428800", atLeast(0), ""},
	{"fetch.max.wait.ms", consumers, kindInt, "500", atLeast(0), ""},
	{"max.partition.fetch.bytes", consumers, kindInt, "1048576", atLeast(0), ""},
	{"max.poll.records", consumers, kindInt, "500", atLeast(1), ""},
	{"max.poll.interval.ms", consumers, kindInt, "300000", atLeast(1), ""},
	{"isolation.level", consumers, kindString, "read_uncommitted", oneOf("read_committed", "read_uncommitted"), ""},
	{"auto.offset.reset", consumers, kindString, "latest", offsetReset, ""},
	{"check.crcs", consumers, kindBoolean, "true", nil, "checksums of record batches are always checked"},
	{"enable.auto.commit", consumers, kindBoolean, "true", nil, "offsets are committed by the worker alone"},
	{"auto.commit.interval.ms", consumers, kindInt, "5000", atLeast(0), "offsets are committed by the worker, every offset.flush.interval.ms"},
	{"allow.auto.create.topics", consumers, kindBoolean, "true", nil, "reading a topic never creates it"},
	{"exclude.internal.topics", consumers, kindBoolean, "true", nil, "topic patterns are matched by connectors, which say themselves what they exclude"},
	{"group.id", consumers, kindString, none, nil, ""},
	{"group.instance.id", consumers, kindString, none, nonEmpty, ""},
	{"group.protocol", consumers, kindString, "classic", oneOfAnyCase("CONSUMER", "CLASSIC"), "consumer groups use the classic protocol"},
	{"group.remote.assignor", consumers, kindString, none, nil, ignoredAssign},
	{"partition.assignment.strategy", consumers, kindList,
		"org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor", nil, ""},
	{"session.timeout.ms", consumers, kindInt, "45000", nil, ""},
	{"heartbeat.interval.ms", consumers, kindInt, "3000", nil, ""},
	{"internal.throw.on.fetch.stable.offset.unsupported", consumers, kindBoolean, "false", nil, "it is internal to Java's clients"},
	{"share.acknowledgement.mode", consumers, kindString, "implicit", oneOf("implicit", "explicit"), ignoredShare},
	{"share.acquire.mode", consumers, kindString, "BATCH_OPTIMIZED", oneOfAnyCase("batch_optimized", "record_limit"), ignoredShare},
	{"key.deserializer", consumers, kindClass, none, nil, ignoredBytes},
	{"value.deserializer", consumers, kindClass, none, nil, ignoredBytes},

	// The worker's own group.
	{"group.id", groups, kindString, none, nonEmpty, ""},
	{"session.timeout.ms", groups, kindInt, "10000", nil, ""},
	{"heartbeat.interval.ms", groups, kindInt, "3000", nil, ""},
	{"rebalance.timeout.ms", groups, kindInt, "60000", nil, ""},

	// Java's machinery.
	{"interceptor.classes", consumers | producers, kindList, "", nil, ignoredJavaClass},
	{"metric.reporters", everyone, kindList, "org.apache.kafka.common.metrics.JmxReporter", nil, ignoredMetrics},
	{"metrics.num.samples", everyone, kindInt, "2", atLeast(1), ignoredMetrics},
	{"metrics.sample.window.ms", everyone, kindLong, "30000", atLeast(0), ignoredMetrics},
	{"metrics.recording.level", everyone, kindString, "INFO", oneOf("INFO", "DEBUG", "TRACE"), ignoredMetrics},
	{"enable.metrics.push", consumers | producers, kindBoolean, "true", nil, ignoredPush},
	{"enable.metrics.push", admins, kindBoolean, "false", nil, ignoredPush},
	{"config.providers", clients, kindList, "", nil, ignoredProviders},

	// TLS.
	{"ssl.protocol", everyone, kindString, "TLSv1.3", oneOf("TLS", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"), ""},
	{"ssl.enabled.protocols", everyone, kindList, "TLSv1.2,TLSv1.3", eachOf("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"), ""},
	{"ssl.cipher.suites", everyone, kindList, "", cipherSuites, ""},
	{"ssl.endpoint.identification.algorithm", everyone, kindString, "https", oneOfAnyCase("https", ""), ""},
	{"ssl.keystore.type", everyone, kindString, "JKS", nil, ""},
	{"ssl.keystore.location", everyone, kindString, none, nil, ""},
	{"ssl.keystore.password", everyone, kindPassword, none, nil, ""},
	{"ssl.keystore.key", everyone, kindPassword, none, nil, ""},
	{"ssl.keystore.certificate.chain", everyone, kindPassword, none, nil, ""},
	{"ssl.key.password", everyone, kindPassword, none, nil, ""},
	{"ssl.truststore.type", everyone, kindString, "JKS", nil, ""},
	{"ssl.truststore.location", everyone, kindString, none, nil, ""},
	{"ssl.truststore.password", everyone, kindPassword, none, nil, ""},
	{"ssl.truststore.certificates", everyone, kindPassword, none, nil, ""},
	{"ssl.provider", everyone, kindString, none, nil, ignoredJavaTLS},
	{"ssl.engine.factory.class", everyone, kindClass, none, nil, ignoredJavaTLS},
	{"ssl.keymanager.algorithm", everyone, kindString, "SunX509", nil, ignoredJavaTLS},
	{"ssl.trustmanager.algorithm", everyone, kindString, "PKIX", nil, ignoredJavaTLS},
	{"ssl.secure.random.implementation", everyone, kindString, none, nil, ignoredJavaTLS},

	// SASL.
	{"sasl.mechanism", everyone, kindString, "GSSAPI", nil, ""},
	{"sasl.jaas.config", everyone, kindPassword, none, nil, ""},
	{"sasl.client.callback.handler.class", everyone, kindClass, none, nil, ignoredJavaClass},
	{"sasl.login.callback.handler.class", everyone, kindClass, none, loginHandler, ""},
	{"sasl.login.class", everyone, kindClass, none, nil, ignoredJavaClass},
	{"sasl.login.connect.timeout.ms", everyone, kindInt, none, nil, ""},
	{"sasl.login.read.timeout.ms", everyone, kindInt, none, nil, ""},
	{"sasl.login.retry.backoff.ms", everyone, kindLong, "100", nil, ""},
	{"sasl.login.retry.backoff.max.ms", everyone, kindLong, "10000", nil, ""},
	{"sasl.login.refresh.window.factor", everyone, kindDouble, "0.8", betweenFloats(0.5, 1), ""},
	{"sasl.login.refresh.window.jitter", everyone, kindDouble, "0.05", betweenFloats(0, 0.25), ignoredTokenWindow},
	{"sasl.login.refresh.min.period.seconds", everyone, kindShort, "60", between(0, 900), ignoredTokenWindow},
	{"sasl.login.refresh.buffer.seconds", everyone, kindShort, "300", between(0, 3600), ignoredTokenWindow},
	{"sasl.kerberos.service.name", everyone, kindString, none, nil, ""},
	{"sasl.kerberos.kinit.cmd", everyone, kindString, "/usr/bin/kinit", nil, ignoredRelogin},
	{"sasl.kerberos.min.time.before.relogin", everyone, kindLong, "60000", nil, ignoredRelogin},
	{"sasl.kerberos.ticket.renew.jitter", everyone, kindDouble, "0.05", nil, ignoredRelogin},
	{"sasl.kerberos.ticket.renew.window.factor", everyone, kindDouble, "0.8", nil, ignoredRelogin},
	{"sasl.oauthbearer.token.endpoint.url", everyone, kindString, none, nil, ""},
	{"sasl.oauthbearer.client.credentials.client.id", everyone, kindString, none, nil, ""},
	{"sasl.oauthbearer.client.credentials.client.secret", everyone, kindPassword, none, nil, ""},
	{"sasl.oauthbearer.scope", everyone, kindString, none, nil, ""},
	{"sasl.oauthbearer.header.urlencode", everyone, kindBoolean, "false", nil, ""},
	{"sasl.oauthbearer.jwt.retriever.class", everyone, kindClass, oauthPackage + "DefaultJwtRetriever", tokenRetriever, ""},
	{"sasl.oauthbearer.jwt.validator.class", everyone, kindClass, oauthPackage + "DefaultJwtValidator", nil, ignoredTokenCheck},
	{"sasl.oauthbearer.scope.claim.name", everyone, kindString, "scope", nil, ignoredTokenCheck},
	{"sasl.oauthbearer.sub.claim.name", everyone, kindString, "sub", nil, ignoredTokenCheck},
	{"sasl.oauthbearer.clock.skew.seconds", everyone, kindInt, "30", nil, ignoredTokenCheck},
	{"sasl.oauthbearer.expected.audience", everyone, kindList, "", nil, ignoredTokenCheck},
	{"sasl.oauthbearer.expected.issuer", everyone, kindString, none, nil, ignoredTokenCheck},
	{"sasl.oauthbearer.jwks.endpoint.url", everyone, kindString, none, nil, ignoredTokenCheck},
	{"sasl.oauthbearer.jwks.endpoint.refresh.ms", everyone, kindLong, "3600000", nil, ignoredTokenCheck},
	{"sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", everyone, kindLong, "100", nil, ignoredTokenCheck},
	{"sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", everyone, kindLong, "10000", nil, ignoredTokenCheck},
	{"sasl.oauthbearer.assertion.algorithm", everyone, kindString, "RS256", oneOfAnyCase("ES256", "RS256"), ignoredAssertion},
	{"sasl.oauthbearer.assertion.claim.aud", everyone, kindString, none, nil, ignoredAssertion},
	{"sasl.oauthbearer.assertion.claim.exp.seconds", everyone, kindInt, "300", between(0, 86400), ignoredAssertion},
	{"sasl.oauthbearer.assertion.claim.iss", everyone, kindString, none, nil, ignoredAssertion},
	{"sasl.oauthbearer.assertion.claim.jti.include", everyone, kindBoolean, "false", nil, ignoredAssertion},
	{"sasl.oauthbearer.assertion.claim.nbf.seconds", everyone, kindInt, "60", between(0, 3600), ignoredAssertion},
	{"sasl.oauthbearer.assertion.claim.sub", everyone, kindString, none, nil, ignoredAssertion},
	{"sasl.oauthbearer.assertion.file", everyone, kindString, none, nil, ignoredAssertion},
	{"sasl.oauthbearer.assertion.private.key.file", everyone, kindString, none, nil, ignoredAssertion},
	{"sasl.oauthbearer.assertion.private.key.passphrase", everyone, kindPassword, none, nil, ignoredAssertion},
	{"sasl.oauthbearer.assertion.template.file", everyone, kindString, none, nil, ignoredAssertion},
}

// satisfied holds, for keys that have no effect, the value that describes what is done anyway. It is
// no reason for a warning.
var satisfied = map[string]string{
	"allow.auto.create.topics":            "false",
	"check.crcs":                          "true",
	"client.dns.lookup":                   "use_all_dns_ips",
	"enable.auto.commit":                  "false",
	"enable.metrics.push":                 "false",
	"group.protocol":                      "classic",
	"metadata.recovery.strategy":          "rebootstrap",
	"partitioner.ignore.keys":             "false",
	"transaction.two.phase.commit.enable": "false",
}

// Knows reports whether Java's client of that role knows the key, honoured here or not.
func Knows(role Role, key string) bool {
	_, ok := tableFor(role)[key]
	return ok
}

// tableFor returns the keys of one role by name.
func tableFor(role Role) map[string]*keyDef {
	byName := make(map[string]*keyDef, len(keyTable))
	for i := range keyTable {
		if d := &keyTable[i]; d.roles&(1<<role) != 0 {
			byName[d.name] = d
		}
	}
	return byName
}
