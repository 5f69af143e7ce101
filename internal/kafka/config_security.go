package kafka

import (
	"context"
	"fmt"
	"strings"
)

// The SASL mechanisms, by the names that brokers know.
const (
	MechanismPlain    = "PLAIN"
	MechanismSCRAM256 = "SCRAM-SHA-256"
	MechanismSCRAM512 = "SCRAM-SHA-512"
	MechanismOAuth    = "OAUTHBEARER"
	MechanismGSSAPI   = "GSSAPI"
)

// SASL is how a client logs in. Which fields are filled depends on the mechanism.
type SASL struct {
	Mechanism string
	// Username and Password are for PLAIN and SCRAM.
	Username string
	Password Secret
	// DelegationToken says that Username and Password are the id and HMAC of a delegation token.
	DelegationToken bool
	// Kerberos is for GSSAPI.
	Kerberos *Kerberos

	tokens *tokenSource
}

// Token returns the OAuth token to log in with, fetched anew when the last one nears its end. It may
// be called by several goroutines; one of them fetches while the others wait.
func (s *SASL) Token(ctx context.Context) (OAuthToken, error) { return s.tokens.token(ctx) }

// String names the mechanism and the user.
func (s *SASL) String() string {
	if user := s.user(); user != "" {
		return s.Mechanism + " as " + user
	}
	return s.Mechanism
}

// user is who logs in, empty when only a token tells that is not at hand or has no subject.
func (s *SASL) user() string {
	switch {
	case s.Kerberos != nil:
		return s.Kerberos.User + "@" + s.Kerberos.Realm
	case s.tokens != nil:
		return s.tokens.subject()
	}
	return s.Username
}

// readSecurity reads security.protocol, the ssl. and the sasl. keys, and makes the dialer.
func (c *Config) readSecurity(v *values) {
	c.Security.Protocol = strings.ToUpper(v.text("security.protocol"))
	if strings.HasPrefix(c.Security.Protocol, "SASL_") {
		c.Security.SASL = readSASL(v)
	}
	c.dialer = &Dialer{
		timeout:        c.ConnectTimeout,
		timeoutMax:     c.ConnectTimeoutMax,
		handshake:      c.RequestTimeout,
		backoff:        c.ReconnectBackoff,
		backoffMax:     c.ReconnectBackoffMax,
		sendBuffer:     c.SendBufferBytes,
		receiveBuffer:  c.ReceiveBufferBytes,
		failuresByAddr: map[string]dialFailures{},
	}
	if strings.HasSuffix(c.Security.Protocol, "SSL") {
		c.Security.TLS = true
		c.dialer.tls = readTLS(v)
	}
}

// readTLS opens the stores that the ssl. keys name. It reports errors to v.
func readTLS(v *values) *tlsSource {
	source, err := newTLSSource(tlsSettings{
		keyStore: storeSettings{
			location: v.text("ssl.keystore.location"), password: v.secret("ssl.keystore.password"), hasPassword: v.given("ssl.keystore.password"),
			keyPassword: v.secret("ssl.key.password"), key: v.secret("ssl.keystore.key"), certificates: v.secret("ssl.keystore.certificate.chain"),
		},
		trustStore: storeSettings{
			location: v.text("ssl.truststore.location"), password: v.secret("ssl.truststore.password"), hasPassword: v.given("ssl.truststore.password"),
			certificates: v.secret("ssl.truststore.certificates"),
		},
		protocols:  v.list("ssl.enabled.protocols"),
		protocol:   v.text("ssl.protocol"),
		suites:     v.list("ssl.cipher.suites"),
		verifyHost: v.text("ssl.endpoint.identification.algorithm") != "",
	})
	if err != nil {
		v.fail(err.key, err.reason)
	}
	return source
}

const supportedMechanisms = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, GSSAPI"

// loginModules are the ends of the class names that fit the mechanisms.
var loginModules = map[string]string{
	MechanismPlain: "PlainLoginModule", MechanismSCRAM256: "ScramLoginModule", MechanismSCRAM512: "ScramLoginModule",
	MechanismOAuth: "OAuthBearerLoginModule", MechanismGSSAPI: "Krb5LoginModule",
}

// loginFromFile is the login module for a mechanism in the section KafkaClient of the JAAS file of
// KAFKA_OPTS, nil if there is no such file.
func loginFromFile(mechanism string) (*jaasEntry, error) {
	modules, file, err := LoginModules("KafkaClient")
	if err != nil || file == "" {
		return nil, err
	}
	for _, m := range modules {
		if strings.HasSuffix(m.Class, "."+loginModules[mechanism]) {
			return &jaasEntry{module: m.Class, options: m.Options}, nil
		}
	}
	return nil, fmt.Errorf("the section KafkaClient of the JAAS file %s has no login module for sasl.mechanism %s", file, mechanism)
}

// readSASL reads the login for the mechanism. It reports errors to v.
func readSASL(v *values) *SASL {
	s := &SASL{Mechanism: v.text("sasl.mechanism")}
	want := loginModules[s.Mechanism]
	switch {
	case s.Mechanism == "AWS_MSK_IAM":
		v.fail("sasl.mechanism", "is not built in; use OAUTHBEARER with a token file (sasl.oauthbearer.token.endpoint.url=file:/…) that a signer for MSK renews, or "+supportedMechanisms)
		return s
	case want == "":
		v.fail("sasl.mechanism", "must be one of "+supportedMechanisms)
		return s
	}
	jaas := &jaasEntry{options: map[string]string{}}
	if v.given("sasl.jaas.config") {
		entry, err := parseJAAS(v.text("sasl.jaas.config"))
		if err != nil {
			v.fail("sasl.jaas.config", err.Error())
			return s
		}
		jaas = entry
	} else if entry, err := loginFromFile(s.Mechanism); err != nil {
		v.fail("sasl.jaas.config", "is not set, and in its place "+err.Error())
		return s
	} else if entry != nil {
		jaas = entry
	} else if s.Mechanism != MechanismOAuth {
		v.fail("sasl.jaas.config", "must be set for security.protocol "+v.text("security.protocol"))
		return s
	}
	if jaas.module != "" && !strings.HasSuffix(jaas.module, "."+want) {
		v.fail("sasl.jaas.config", fmt.Sprintf("the login module for sasl.mechanism %s must be %s", s.Mechanism, want))
		return s
	}
	switch s.Mechanism {
	case MechanismOAuth:
		s.tokens = readOAuth(v, jaas)
	case MechanismGSSAPI:
		s.Kerberos = readKerberos(v, jaas)
	default:
		s.Username, s.Password = jaas.options["username"], Secret(jaas.options["password"])
		s.DelegationToken = strings.EqualFold(jaas.options["tokenauth"], "true")
		if s.Username == "" || s.Password == "" {
			v.fail("sasl.jaas.config", "the options username and password must be set and not empty")
		}
	}
	return s
}
