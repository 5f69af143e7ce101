package compat

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"tributary/internal/kafka"
	"tributary/internal/rawkafka"
	"tributary/test/cluster/certs"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

const (
	plainModule = "org.apache.kafka.common.security.plain.PlainLoginModule"
	scramModule = "org.apache.kafka.common.security.scram.ScramLoginModule"
	oauthModule = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
)

func login(module, user, password string) string {
	return fmt.Sprintf(`%s required username="%s" password="%s";`, module, user, password)
}

// unsigned is a token that a broker without an authority takes (RFC 7515, alg none), and that holds for life.
func unsigned(subject string, life time.Duration) string {
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	now := time.Now()
	return encode(`{"alg":"none"}`) + "." + encode(fmt.Sprintf(`{"sub":"%s","iat":%d,"exp":%d}`, subject, now.Unix()-10, now.Add(life).Unix())) + "."
}

// tokenServer gives tokens to the client ann with the secret right.
func tokenServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if id != "ann" || secret != "right" || r.FormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"%s","token_type":"Bearer","expires_in":3600}`, unsigned(id, time.Hour))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// A broker with a listener for each way in, and a client that goes it with Java's own keys.
func TestEveryWayIntoABrokerOpensOrSaysWhyNot(t *testing.T) {
	realkafka.Require(t)
	authority, stranger := certs.NewAuthority(t, "authority"), certs.NewAuthority(t, "stranger")
	dir := t.TempDir()
	identity := func(name string, i certs.Identity) map[string]string {
		return map[string]string{
			"ssl.keystore.type": "PEM", "ssl.keystore.location": certs.File(t, dir, name, i.Store()),
			"ssl.truststore.type": "PEM", "ssl.truststore.location": certs.File(t, dir, "trust-"+name, authority.Cert()),
		}
	}
	good := authority.Issue("broker", time.Hour, "127.0.0.1")
	with := func(properties map[string]string, more map[string]string) map[string]string {
		for key, value := range more {
			properties[key] = value
		}
		return properties
	}
	sasl := map[string]string{
		"sasl.enabled.mechanisms":        "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		"plain.sasl.jaas.config":         plainModule + ` required user_ann="right";`,
		"scram-sha-256.sasl.jaas.config": scramModule + " required;",
		"scram-sha-512.sasl.jaas.config": scramModule + " required;",
		"oauthbearer.sasl.jaas.config":   oauthModule + ` required unsecuredLoginStringClaim_sub="broker";`,
	}
	self := certs.SelfSigned(t, "broker", time.Hour, "127.0.0.1")
	options := realkafka.Options{JVM: []string{quickJVM}, Listeners: []realkafka.Listener{
		{Name: "TLS", Protocol: "SSL", Properties: identity("good.pem", good)},
		{Name: "MUTUAL", Protocol: "SSL", Properties: with(identity("mutual.pem", good), map[string]string{"ssl.client.auth": "required"})},
		{Name: "EXPIRED", Protocol: "SSL", Properties: identity("expired.pem", authority.Issue("broker", -time.Hour, "127.0.0.1"))},
		{Name: "SELF", Protocol: "SSL", Properties: identity("self.pem", self)},
		{Name: "ELSEWHERE", Protocol: "SSL", Properties: identity("elsewhere.pem", authority.Issue("broker", time.Hour, "broker.example"))},
		{Name: "LOGIN", Protocol: "SASL_PLAINTEXT", Properties: sasl},
		{Name: "BOTH", Protocol: "SASL_SSL", Properties: with(identity("both.pem", good), sasl)},
	}}
	var realm kerberosRealm
	if realkafka.HasKDC() {
		realm = startRealm(t, &options)
	}
	cluster := realkafka.StartCluster(t, options)
	admin := kafkatest.Dial(t, cluster.Bootstrap())
	for _, mechanism := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
		_, err := admin.Admin().AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: "ann", Mechanism: mechanism, Iterations: 4096, Password: "right"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	client := authority.Issue("client", time.Hour)
	endpoint := tokenServer(t)
	trusting := []string{"ssl.truststore.type", "PEM", "ssl.truststore.certificates", authority.Cert()}
	showing := func(i certs.Identity) []string {
		return append([]string{"ssl.keystore.type", "PEM", "ssl.keystore.key", i.Key, "ssl.keystore.certificate.chain", i.Cert}, trusting...)
	}
	as := func(mechanism, jaas string, more ...string) []string {
		return append([]string{"sasl.mechanism", mechanism, "sasl.jaas.config", jaas}, more...)
	}
	tryWays(t, cluster, admin, "way", []wayIn{
		{"plain text", "", "PLAINTEXT", nil, nil},
		{"TLS", "TLS", "SSL", trusting, nil},
		{"an authority that is not trusted", "TLS", "SSL", []string{"ssl.truststore.type", "PEM", "ssl.truststore.certificates", stranger.Cert()}, []string{"unknown authority", "ssl.truststore.location"}},
		{"a certificate that signed itself", "SELF", "SSL", trusting, []string{"unknown authority", "ssl.truststore.location"}},
		{"a certificate that signed itself, trusted", "SELF", "SSL", []string{"ssl.truststore.type", "PEM", "ssl.truststore.certificates", self.Cert}, nil},
		{"an expired certificate", "EXPIRED", "SSL", trusting, []string{"the certificate of CN=broker has expired", "the broker must be given one that is valid now"}},
		{"another host's certificate", "ELSEWHERE", "SSL", trusting, []string{"127.0.0.1", "certificate", "ssl.endpoint.identification.algorithm"}},
		{"another host's certificate, not looked at", "ELSEWHERE", "SSL", append([]string{"ssl.endpoint.identification.algorithm", ""}, trusting...), nil},
		{"a client certificate", "MUTUAL", "SSL", showing(client), nil},
		{"a client certificate in JKS", "MUTUAL", "SSL", keytoolStores(t, "JKS", client, authority), nil},
		{"a client certificate in PKCS12", "MUTUAL", "SSL", keytoolStores(t, "PKCS12", client, authority), nil},
		{"no client certificate", "MUTUAL", "SSL", trusting, []string{"asks for a client certificate: set ssl.keystore.location"}},
		{"a stranger's client certificate", "MUTUAL", "SSL", showing(stranger.Issue("client", time.Hour)), []string{"does not accept the client certificate of CN=client", "ssl.keystore.location"}},
		{"an expired client certificate", "MUTUAL", "SSL", showing(authority.Issue("client", -time.Minute)), []string{"does not accept the client certificate of CN=client", "ssl.keystore.location"}},
		{"plain text to TLS", "TLS", "PLAINTEXT", nil, []string{"security.protocol"}},
		{"TLS to plain text", "", "SSL", trusting, []string{"TLS"}},
		{"PLAIN", "LOGIN", "SASL_PLAINTEXT", as("PLAIN", login(plainModule, "ann", "right")), nil},
		{"PLAIN, wrong", "LOGIN", "SASL_PLAINTEXT", as("PLAIN", login(plainModule, "ann", "mistaken")), []string{"refuses the login", "sasl.jaas.config"}},
		{"SCRAM-SHA-256", "LOGIN", "SASL_PLAINTEXT", as("SCRAM-SHA-256", login(scramModule, "ann", "right")), nil},
		{"SCRAM-SHA-256, wrong", "LOGIN", "SASL_PLAINTEXT", as("SCRAM-SHA-256", login(scramModule, "ann", "mistaken")), []string{"refuses the login", "sasl.jaas.config"}},
		{"SCRAM-SHA-512", "LOGIN", "SASL_PLAINTEXT", as("SCRAM-SHA-512", login(scramModule, "ann", "right")), nil},
		{"SCRAM-SHA-512, unknown user", "LOGIN", "SASL_PLAINTEXT", as("SCRAM-SHA-512", login(scramModule, "bob", "mistaken")), []string{"refuses the login", "sasl.jaas.config"}},
		{"OAUTHBEARER, client credentials", "LOGIN", "SASL_PLAINTEXT", as("OAUTHBEARER", oauthModule+` required clientId="ann" clientSecret="right";`, "sasl.oauthbearer.token.endpoint.url", endpoint), nil},
		{"OAUTHBEARER, wrong secret", "LOGIN", "SASL_PLAINTEXT", as("OAUTHBEARER", oauthModule+` required clientId="ann" clientSecret="mistaken";`, "sasl.oauthbearer.token.endpoint.url", endpoint), []string{"no OAuth token from " + endpoint, "invalid_client", "sasl.oauthbearer"}},
		{"OAUTHBEARER, token file", "LOGIN", "SASL_PLAINTEXT", as("OAUTHBEARER", oauthModule+" required;", "sasl.oauthbearer.token.endpoint.url", "file://"+certs.File(t, dir, "token", unsigned("ann", time.Hour))), nil},
		{"OAUTHBEARER, a token that is none", "LOGIN", "SASL_PLAINTEXT", as("OAUTHBEARER", oauthModule+" required;", "sasl.oauthbearer.token.endpoint.url", "file://"+certs.File(t, dir, "mistaken", "a.b.c")), []string{"refuses the login", "sasl.jaas.config"}},
		{"a mechanism that the broker lacks", "LOGIN", "SASL_PLAINTEXT", as("GSSAPI", `com.sun.security.auth.module.Krb5LoginModule required useTicketCache=true ticketCache="/nowhere" principal="ann@EXAMPLE" serviceName="kafka";`), []string{"does not offer sasl.mechanism = GSSAPI"}},
		{"SCRAM over TLS", "BOTH", "SASL_SSL", as("SCRAM-SHA-512", login(scramModule, "ann", "right"), trusting...), nil},
		{"SCRAM over TLS, wrong", "BOTH", "SASL_SSL", as("SCRAM-SHA-512", login(scramModule, "ann", "mistaken"), trusting...), []string{"refuses the login"}},
		{"SCRAM over TLS that is not trusted", "BOTH", "SASL_SSL", as("SCRAM-SHA-512", login(scramModule, "ann", "right"), "ssl.truststore.type", "PEM", "ssl.truststore.certificates", stranger.Cert()), []string{"unknown authority"}},
	})
	t.Run("Kerberos", func(t *testing.T) {
		realkafka.RequireKDC(t)
		tryWays(t, cluster, admin, "kerberos", realm.ways())
		t.Run("mirrors", func(t *testing.T) { realm.mirrors(t, cluster, admin) })
	})
}

// wayIn is a client, and what becomes of it.
type wayIn struct {
	name, listener, protocol string
	pairs                    []string
	says                     []string // parts of the error; none if the way is open
}

// tryWays goes each way in, with topics of a name of its own.
func tryWays(t *testing.T, cluster *realkafka.Cluster, admin *kafkatest.Client, topics string, ways []wayIn) {
	t.Helper()
	for i, c := range ways {
		t.Run(c.name, func(t *testing.T) {
			bootstrap := cluster.Bootstrap()
			if c.listener != "" {
				bootstrap = cluster.BootstrapOf(c.listener)
			}
			props := kafka.Props{"bootstrap.servers": bootstrap, "security.protocol": c.protocol}
			for at := 0; at < len(c.pairs); at += 2 {
				props[c.pairs[at]] = c.pairs[at+1]
			}
			topic := fmt.Sprintf("%s-%d", topics, i)
			log, err := createTopic(t, props, topic)
			if len(c.says) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				admin.AwaitTopic(topic, patience)
				writeRaw(t, props, topic)
				if got := admin.ReadTopic(topic, kafkatest.ReadUncommitted)[0]; len(got) != 1 || string(got[0].Value) != "raw" {
					t.Errorf("the raw client wrote %v", got)
				}
				return
			}
			if err == nil {
				t.Error("the way is open")
			}
			said := fmt.Sprint(err, log)
			for _, part := range append(c.says, bootstrap) {
				if !strings.Contains(said, part) {
					t.Errorf("%q is not in %s", part, said)
				}
			}
			if strings.Contains(said, "mistaken") || strings.Contains(said, "a.b.c") {
				t.Errorf("a secret is in %s", said)
			}
		})
	}
}

// createTopic creates a topic as a client of props, which gives up once it has had to say something, and returns
// what that was.
func createTopic(t *testing.T, props kafka.Props, topic string) (said string, err error) {
	t.Helper()
	cfg, err := kafka.ParseConfig(kafka.RoleAdmin, props)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	complaint := &firstWords{then: cancel}
	logger := slog.New(slog.NewTextHandler(complaint, nil))
	client, err := kafka.NewClient(cfg, logger)
	if err != nil {
		t.Fatal(err)
	}
	if err = client.Await(ctx); err == nil {
		err = kafka.NewAdmin(client, cfg, logger).CreateTopic(ctx, kafka.TopicSpec{Name: topic, Partitions: 1, ReplicationFactor: 1})
	}
	client.Close()
	return complaint.text.String(), err
}

// writeRaw writes a record with the client that copies batches, whose logins are its own.
func writeRaw(t *testing.T, props kafka.Props, topic string) {
	t.Helper()
	cfg, err := kafka.ParseConfig(kafka.RoleProducer, props)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kafka.NewClient(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sender := rawkafka.NewSender(client, cfg, slog.New(slog.DiscardHandler))
	written := make(chan error, 1)
	err = rawkafka.Producer{Sender: sender}.Send(ctx, &kafka.Record{Topic: topic, Value: []byte("raw"), Timestamp: time.Now().UnixMilli()}, func(_ kafka.Metadata, err error) { written <- err })
	if err == nil {
		err = sender.Flush(ctx)
	}
	if err == nil {
		err = <-written
	}
	if closing := sender.Close(ctx); err != nil || closing != nil {
		t.Fatalf("the raw client: %v, %v", err, closing)
	}
}

// firstWords calls then when it is first written to.
type firstWords struct {
	text strings.Builder
	then func()
}

func (w *firstWords) Write(p []byte) (int, error) {
	w.then()
	return w.text.Write(p)
}
