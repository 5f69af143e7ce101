package integration

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tributary/internal/localkafka"
	"tributary/test/cluster"
	"tributary/test/cluster/certs"
	"tributary/test/cluster/kafkatest"
)

// brokerSide is what a broker shows, and whom it trusts.
type brokerSide struct {
	identity certs.Identity
	trusts   *certs.Authority
}

func (b brokerSide) config(t *testing.T) *tls.Config {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(b.identity.Cert), []byte(b.identity.Key))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM([]byte(b.trusts.Cert()))
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted}
}

// A mirror in each lane runs while everything about TLS is replaced: what brokers and clients show and what they trust.
func TestCertificatesChangeUnderRunningTasks(t *testing.T) {
	t.Parallel()
	first, second := certs.NewAuthority(t, "first"), certs.NewAuthority(t, "second")
	issue := func(a *certs.Authority, name string, life time.Duration) certs.Identity {
		return a.Issue(name, life, "127.0.0.1")
	}
	var broker atomic.Pointer[tls.Config]
	broker.Store(brokerSide{issue(first, "broker", time.Hour), first}.config(t))
	// The test's own client trusts everybody, and has what the broker wants at present.
	var own atomic.Pointer[tls.Certificate]
	setOwn := func(i certs.Identity) {
		pair, err := tls.X509KeyPair([]byte(i.Cert), []byte(i.Key))
		if err != nil {
			t.Fatal(err)
		}
		own.Store(&pair)
	}
	setOwn(issue(first, "test", time.Hour))
	options := localkafka.Options{TLS: &tls.Config{
		InsecureSkipVerify:   true,
		GetConfigForClient:   func(*tls.ClientHelloInfo) (*tls.Config, error) { return broker.Load(), nil },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.Load(), nil },
	}}
	kafka := cluster.StartKafka(t, options)
	dir := t.TempDir()
	topics := []string{"raw", "record"}
	for _, topic := range topics {
		kafka.CreateTopic(topic, 1, nil)
	}
	key, trust := certs.File(t, dir, "mirror.pem", issue(first, "mirror", time.Hour).Store()), certs.File(t, dir, "trust.pem", first.Cert())
	file := anyPort + "clusters=a, b, c\nemit.heartbeats.enabled=false\nheartbeats.replication.enabled=false\nsecurity.protocol=SSL\nssl.keystore.type=PEM\nssl.truststore.type=PEM\n" +
		"ssl.keystore.location=" + key + "\nssl.truststore.location=" + trust + "\n"
	for _, alias := range []string{"a", "b", "c"} {
		file += alias + ".bootstrap.servers=" + kafka.Bootstrap() + "\n"
	}
	file += "a->c.enabled=true\na->c.topics=raw\nb->c.enabled=true\nb->c.topics=record\nb->c.raw.batches=false\n"
	w := cluster.Start(t, cluster.MirrorMaker, file)

	sent := 0
	send := func() {
		for _, topic := range topics {
			kafka.Produce(topic, cluster.Numbered(sent, sent+20, 1)...)
		}
		sent += 20
	}
	arrive := func() {
		t.Helper()
		for topic, remote := range map[string]string{"raw": "a.raw", "record": "b.record"} {
			got := kafka.AwaitRecords(remote, sent, cluster.Patience)[0]
			if len(got) != sent {
				t.Fatalf("%d records of %s, want %d", len(got), remote, sent)
			}
			for n, record := range got {
				if want := fmt.Sprintf("value-%d", n); string(record.Value) != want {
					t.Fatalf("record %d of %s is %s, want %s", n, topic, record.Value, want)
				}
			}
		}
	}
	cut := func() {
		kafka.GoAway()
		kafka.ComeBack()
	}
	// What comes before all clients are well again belongs to the same outage, which is told once.
	wellAgain := func() {
		t.Helper()
		kafkatest.Await(t, cluster.Patience, "the end of the outage", func() (bool, string) {
			told := w.Log.Lines("Kafka cluster ")
			return len(told) == 0 || strings.Contains(told[len(told)-1], " INFO "), strings.Join(told, "\n")
		})
	}
	send()
	arrive()
	starts := len(w.Log.Lines("Starting task"))
	if starts < 2 {
		t.Fatalf("%d tasks", starts)
	}

	broker.Store(brokerSide{issue(second, "broker", time.Hour), second}.config(t))
	setOwn(issue(second, "test", time.Hour))
	certs.File(t, dir, "mirror.pem", issue(second, "mirror", time.Hour).Store())
	certs.File(t, dir, "trust.pem", second.Cert())
	cut()
	send()
	arrive()
	wellAgain()

	for says, wrong := range map[string]certs.Identity{
		"expired": issue(second, "broker", -time.Minute), "unknown authority": issue(first, "broker", time.Hour), "127.0.0.1": second.Issue("broker", time.Hour, "elsewhere.example"),
	} {
		broker.Store(brokerSide{wrong, second}.config(t))
		cut()
		send()
		kafkatest.Await(t, cluster.Patience, "a word about a certificate that is wrong: "+says, func() (bool, string) {
			for _, line := range w.Log.Lines(" WARN ", "certificate", says, kafka.Bootstrap()) {
				return true, line
			}
			return false, strings.Join(w.Log.Lines(" WARN "), "\n")
		})
		broker.Store(brokerSide{issue(second, "broker", time.Hour), second}.config(t))
		arrive()
		wellAgain()
	}
	if now := len(w.Log.Lines("Starting task")); now != starts {
		t.Errorf("%d tasks were started again", now-starts)
	}
	// Two files changed, one after the other, under two dozen clients.
	if n := len(w.Log.Lines("key and trust stores were read again after a change")); n < 1 || n > 2 {
		t.Errorf("that stores were read again is said %d times", n)
	}
	w.Stop()
}
