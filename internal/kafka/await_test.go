package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"tributary/internal/localkafka"
)

// loopbackCertificate is good for 127.0.0.1; the text is its PEM form.
func loopbackCertificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, text
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestAwaitSaysOnceWhatIsWrong(t *testing.T) {
	cert, certText := loopbackCertificate(t)
	plain := startCluster(t, localkafka.Options{}).Bootstrap()
	overTLS := startCluster(t, localkafka.Options{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}).Bootstrap()
	login := startCluster(t, localkafka.Options{Users: []localkafka.User{
		{Mechanism: "PLAIN", Name: "u", Password: "right", Super: true},
		{Mechanism: "SCRAM-SHA-256", Name: "s", Password: "right", Super: true},
	}}).Bootstrap()
	trust := []string{"ssl.truststore.type", "PEM", "ssl.truststore.certificates", certText}
	jaas := func(module, user, password string) string {
		return "org.apache.kafka.common.security." + module + ` required username="` + user + `" password="` + password + `";`
	}
	for name, c := range map[string]struct {
		bootstrap string
		pairs     []string
		want      string
	}{
		"name that does not resolve": {"no-such-host.invalid:9092", nil, "does not resolve"},
		"refused port":               {closedPort(t), nil, "refuses the connection"},
		"TLS to a plaintext port":    {plain, append([]string{"security.protocol", "SSL", "socket.connection.setup.timeout.ms", "100", "request.timeout.ms", "100"}, trust...), "another security.protocol than SSL"},
		"plaintext to a TLS port":    {overTLS, nil, "security.protocol"},
		"unknown certificate":        {overTLS, []string{"security.protocol", "SSL"}, "certificate that is not accepted"},
		"wrong PLAIN password": {login, []string{"security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "PLAIN",
			"sasl.jaas.config", jaas("plain.PlainLoginModule", "u", "wr0ng-secret")}, "sasl.jaas.config"},
		"wrong SCRAM password": {login, []string{"security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "SCRAM-SHA-256",
			"sasl.jaas.config", jaas("scram.ScramLoginModule", "s", "wr0ng-secret")}, "sasl.jaas.config"},
	} {
		t.Run(name, func(t *testing.T) {
			lines := &logLines{}
			client, err := NewClient(testConfig(t, RoleAdmin, c.bootstrap, c.pairs...), slog.New(lines))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			result := make(chan error, 1)
			go func() { result <- client.Await(ctx) }()
			eventually(t, "the problem is logged", func() bool { return len(lines.all()) > 0 })
			cancel()
			if err := <-result; !errors.Is(err, context.Canceled) {
				t.Errorf("Await ended with %v", err)
			}
			again, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer stop()

			err = client.Await(again)

			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want one with %q", err, c.want)
			}
			got := lines.all()
			if len(got) != 1 || !strings.Contains(got[0], c.want) || !strings.Contains(got[0], c.bootstrap) {
				t.Errorf("log %q, want one line with %q and %q", got, c.want, c.bootstrap)
			}
			if strings.Contains(err.Error()+strings.Join(got, ""), "wr0ng-secret") {
				t.Error("the password is shown")
			}
		})
	}
}

func TestAwaitEndsWhenTheClusterComesUp(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	if err := c.StopBroker(0); err != nil {
		t.Fatal(err)
	}
	lines := &logLines{}
	client, err := NewClient(testConfig(t, RoleAdmin, c.Bootstrap()), slog.New(lines))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	done := make(chan error, 1)
	go func() { done <- client.Await(testContext(t)) }()
	eventually(t, "the problem is logged", func() bool { return len(lines.all()) > 0 })

	if err := c.StartBroker(0); err != nil {
		t.Fatal(err)
	}

	if err := <-done; err != nil {
		t.Error(err)
	}
	got := lines.all()
	if last := got[len(got)-1]; !strings.HasPrefix(last, "INFO Kafka cluster answers") {
		t.Errorf("last line %q", last)
	}
}

func TestACallOfASilentBrokerEndsWithItsContext(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	held := c.Hold(localkafka.Metadata)
	defer held.Undo()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()

	_, err := newTestClient(t, c.Bootstrap()).ClusterID(ctx)

	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}
