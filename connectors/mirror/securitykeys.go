package mirror

import "tributary/connect"

// clientDoc stands for all keys that are passed through to Kafka clients.
const clientDoc = "Setting of Kafka clients. It takes effect for a cluster as source.cluster.<key> or target.cluster.<key>."

// securityKeys declares Kafka's ssl.* and sasl.* client settings. The connectors do not
// read them from here: they stand in the definition because a MirrorMaker file may
// have them at its top, and the names decide what reaches the connectors.
func securityKeys() []connect.ConfigKey {
	const (
		text, list, class  = connect.TypeString, connect.TypeList, connect.TypeClass
		secret, long, real = connect.TypePassword, connect.TypeLong, connect.TypeDouble
		number, short, yes = connect.TypeInt, connect.TypeShort, connect.TypeBoolean
		high, medium, low  = connect.High, connect.Medium, connect.Low
	)
	table := []struct {
		name       string
		kind       connect.ConfigType
		value      any
		importance connect.Importance
	}{
		{"ssl.protocol", text, "TLSv1.3", medium},
		{"ssl.provider", text, nil, medium},
		{"ssl.cipher.suites", list, []string{}, low},
		{"ssl.enabled.protocols", list, []string{"TLSv1.2", "TLSv1.3"}, medium},
		{"ssl.keystore.type", text, "JKS", medium},
		{"ssl.keystore.location", text, nil, high},
		{"ssl.keystore.password", secret, nil, high},
		{"ssl.key.password", secret, nil, high},
		{"ssl.keystore.key", secret, nil, high},
		{"ssl.keystore.certificate.chain", secret, nil, high},
		{"ssl.truststore.certificates", secret, nil, high},
		{"ssl.truststore.type", text, "JKS", medium},
		{"ssl.truststore.location", text, nil, high},
		{"ssl.truststore.password", secret, nil, high},
		{"ssl.keymanager.algorithm", text, "SunX509", low},
		{"ssl.trustmanager.algorithm", text, "PKIX", low},
		{"ssl.endpoint.identification.algorithm", text, "https", low},
		{"ssl.secure.random.implementation", text, nil, low},
		{"ssl.engine.factory.class", class, nil, low},
		{"sasl.kerberos.service.name", text, nil, medium},
		{"sasl.kerberos.kinit.cmd", text, "/usr/bin/kinit", low},
		{"sasl.kerberos.ticket.renew.window.factor", real, 0.8, low},
		{"sasl.kerberos.ticket.renew.jitter", real, 0.05, low},
		{"sasl.kerberos.min.time.before.relogin", long, int64(60000), low},
		{"sasl.login.refresh.window.factor", real, 0.8, low},
		{"sasl.login.refresh.window.jitter", real, 0.05, low},
		{"sasl.login.refresh.min.period.seconds", short, int64(60), low},
		{"sasl.login.refresh.buffer.seconds", short, int64(300), low},
		{"sasl.mechanism", text, "GSSAPI", medium},
		{"sasl.jaas.config", secret, nil, medium},
		{"sasl.client.callback.handler.class", class, nil, medium},
		{"sasl.login.callback.handler.class", class, nil, medium},
		{"sasl.login.class", class, nil, medium},
		{"sasl.login.connect.timeout.ms", number, nil, low},
		{"sasl.login.read.timeout.ms", number, nil, low},
		{"sasl.login.retry.backoff.max.ms", long, int64(10000), low},
		{"sasl.login.retry.backoff.ms", long, int64(100), low},
		{"sasl.oauthbearer.jwt.retriever.class", class, "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", medium},
		{"sasl.oauthbearer.jwt.validator.class", class, "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", medium},
		{"sasl.oauthbearer.scope", text, nil, medium},
		{"sasl.oauthbearer.client.credentials.client.id", text, nil, medium},
		{"sasl.oauthbearer.client.credentials.client.secret", secret, nil, medium},
		{"sasl.oauthbearer.assertion.algorithm", text, "RS256", medium},
		{"sasl.oauthbearer.assertion.claim.aud", text, nil, medium},
		{"sasl.oauthbearer.assertion.claim.exp.seconds", number, int64(300), low},
		{"sasl.oauthbearer.assertion.claim.iss", text, nil, medium},
		{"sasl.oauthbearer.assertion.claim.jti.include", yes, false, medium},
		{"sasl.oauthbearer.assertion.claim.nbf.seconds", number, int64(60), low},
		{"sasl.oauthbearer.assertion.claim.sub", text, nil, medium},
		{"sasl.oauthbearer.assertion.file", text, nil, medium},
		{"sasl.oauthbearer.assertion.private.key.file", text, nil, medium},
		{"sasl.oauthbearer.assertion.private.key.passphrase", secret, nil, medium},
		{"sasl.oauthbearer.assertion.template.file", text, nil, medium},
		{"sasl.oauthbearer.scope.claim.name", text, "scope", low},
		{"sasl.oauthbearer.sub.claim.name", text, "sub", low},
		{"sasl.oauthbearer.token.endpoint.url", text, nil, medium},
		{"sasl.oauthbearer.jwks.endpoint.url", text, nil, medium},
		{"sasl.oauthbearer.jwks.endpoint.refresh.ms", long, int64(3600000), low},
		{"sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", long, int64(10000), low},
		{"sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", long, int64(100), low},
		{"sasl.oauthbearer.clock.skew.seconds", number, int64(30), low},
		{"sasl.oauthbearer.expected.audience", list, []string{}, high},
		{"sasl.oauthbearer.expected.issuer", text, nil, high},
		{"sasl.oauthbearer.header.urlencode", yes, false, low},
	}
	keys := make([]connect.ConfigKey, len(table))
	for i, k := range table {
		keys[i] = key(k.name, k.kind, k.value, k.importance, clientDoc)
	}
	return keys
}
