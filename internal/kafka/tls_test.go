package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// tlsBroker accepts TLS connections and sends each client the common name of its certificate.
type tlsBroker struct {
	addr string
	// identity is what the broker shows; it can be replaced between connections.
	identity atomic.Pointer[issued]
}

func startTLSBroker(t *testing.T, identity issued, clients *x509.CertPool, maxVersion uint16) *tlsBroker {
	t.Helper()
	b := &tlsBroker{}
	b.identity.Store(&identity)
	config := &tls.Config{
		MaxVersion: maxVersion,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			i := b.identity.Load()
			return &tls.Certificate{Certificate: [][]byte{i.cert.Raw}, PrivateKey: i.key}, nil
		},
	}
	if clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	b.addr = listener.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answer(conn.(*tls.Conn))
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return b
}

func answer(conn *tls.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if conn.Handshake() != nil {
		return
	}
	name := "anonymous"
	if peers := conn.ConnectionState().PeerCertificates; len(peers) > 0 {
		name = peers[0].Subject.CommonName
	}
	_, _ = io.WriteString(conn, name)
}

// greet connects and returns what the broker calls the client.
func greet(d *Dialer, addr string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	name, err := io.ReadAll(conn)
	return string(name), err
}

func certPoolOf(certs ...issued) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c.cert)
	}
	return p
}

func TestDialerVerifiesTheBroker(t *testing.T) {
	ca, stranger := issue(t, "authority", nil), issue(t, "stranger", nil)
	selfSigned := issue(t, "127.0.0.1", nil, "127.0.0.1")
	trustCA := []string{"ssl.truststore.certificates", ca.certPEM()}
	for _, c := range []struct {
		name     string
		identity issued
		pairs    []string
		refused  string // part of the error, "" if the connection stands
	}{
		{"name and authority fit", issue(t, "b", &ca, "127.0.0.1"), trustCA, ""},
		{"another name", issue(t, "b", &ca, "broker.example"), trustCA, "cannot validate certificate for 127.0.0.1"},
		{"another name, not looked at", issue(t, "b", &ca, "broker.example"), append([]string{"ssl.endpoint.identification.algorithm", ""}, trustCA...), ""},
		{"another authority", issue(t, "b", &stranger, "127.0.0.1"), trustCA, "unknown authority"},
		{"another authority, name not looked at", issue(t, "b", &stranger, "127.0.0.1"), append([]string{"ssl.endpoint.identification.algorithm", ""}, trustCA...), "unknown authority"},
		{"name in the common name alone, as Java allows", issue(t, "127.0.0.1", &ca), trustCA, ""},
		{"common name beside other names does not count", issue(t, "127.0.0.1", &ca, "broker.example"), trustCA, "cannot validate certificate"},
		{"self-signed certificate in the trust store", selfSigned, []string{"ssl.truststore.certificates", selfSigned.certPEM()}, ""},
		{"authorities of the system", issue(t, "b", &ca, "127.0.0.1"), nil, "unknown authority"},
	} {
		broker := startTLSBroker(t, c.identity, nil, 0)
		_, err := greet(mustParse(t, RoleAdmin, append([]string{"security.protocol", "SSL"}, c.pairs...)...).Dialer(), broker.addr)
		switch {
		case c.refused == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused) || !strings.Contains(err.Error(), broker.addr)):
			t.Errorf("%s: %v, want an error with %q and the address", c.name, err, c.refused)
		}
	}
}

func TestDialerKeepsToTheEnabledProtocols(t *testing.T) {
	ca := issue(t, "authority", nil)
	broker := startTLSBroker(t, issue(t, "b", &ca, "127.0.0.1"), nil, tls.VersionTLS12)
	trust := []string{"security.protocol", "SSL", "ssl.truststore.certificates", ca.certPEM()}
	if _, err := greet(mustParse(t, RoleAdmin, trust...).Dialer(), broker.addr); err != nil {
		t.Errorf("TLS 1.2 is on by default: %v", err)
	}
	if _, err := greet(mustParse(t, RoleAdmin, append(trust, "ssl.enabled.protocols", "TLSv1.3")...).Dialer(), broker.addr); err == nil {
		t.Error("a connection stands with TLS 1.2, only 1.3 is enabled")
	}
	if _, err := greet(mustParse(t, RoleAdmin, append(trust, "ssl.cipher.suites", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")...).Dialer(), broker.addr); err != nil {
		t.Errorf("the named cipher suite fits: %v", err)
	}
	if _, err := greet(mustParse(t, RoleAdmin, append(trust, "ssl.cipher.suites", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")...).Dialer(), broker.addr); err == nil {
		t.Error("a connection stands without a common cipher suite")
	}
}

// TestDialerTakesOverChangedStores replaces the client's key, and the broker's authority, while the
// dialer lives.
func TestDialerTakesOverChangedStores(t *testing.T) {
	ca, nextCA := issue(t, "authority", nil), issue(t, "next authority", nil)
	first, second := issue(t, "first", &ca), issue(t, "second", &ca)
	keyFile := write(t, "client.pem", []byte(first.keyPEM(t)+first.certPEM()))
	trustFile := write(t, "trust.pem", []byte(ca.certPEM()))
	broker := startTLSBroker(t, issue(t, "b", &ca, "127.0.0.1"), certPoolOf(ca), 0)
	d := mustParse(t, RoleAdmin, "security.protocol", "SSL", "ssl.keystore.location", keyFile, "ssl.truststore.location", trustFile,
		"reconnect.backoff.ms", "0", "reconnect.backoff.max.ms", "0").Dialer()
	var log strings.Builder
	d.SetLogger(slog.New(slog.NewTextHandler(&log, nil)))
	expect := func(want string) {
		t.Helper()
		if got, err := greet(d, broker.addr); err != nil || got != want {
			t.Errorf("the broker sees %q, %v, want %q", got, err, want)
		}
	}
	replace := func(path, content string) {
		t.Helper()
		// As Kubernetes does: a new file takes the old one's place.
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}

	expect("first")
	replace(keyFile, second.keyPEM(t)+second.certPEM())
	expect("second")
	replace(keyFile, second.keyPEM(t)) // half written
	expect("second")
	expect("second")
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("the broken store was reported %d times, want once: %s", n, log.String())
	}
	replace(keyFile, first.keyPEM(t)+first.certPEM())
	expect("first")

	next := issue(t, "b", &nextCA, "127.0.0.1")
	broker.identity.Store(&next)
	if _, err := greet(d, broker.addr); err == nil {
		t.Error("a broker with an unknown authority is trusted")
	}
	replace(trustFile, ca.certPEM()+nextCA.certPEM())
	expect("first")
	if err := os.Remove(trustFile); err != nil {
		t.Fatal(err)
	}
	expect("first")
}

// TestDialerWaitsLongerAfterEachFailure measures reconnect.backoff.ms, which is 80 % of its value at
// least, with the jitter.
func TestDialerWaitsLongerAfterEachFailure(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	d := mustParse(t, RoleAdmin, "reconnect.backoff.ms", "50", "reconnect.backoff.max.ms", "100").Dialer()
	for i, least := range []time.Duration{0, 40 * time.Millisecond, 80 * time.Millisecond} {
		start := time.Now()
		if _, err := d.Dial("tcp", addr); err == nil {
			t.Fatal("nobody listens, yet a connection stands")
		}
		if took := time.Since(start); took < least {
			t.Errorf("try %d came after %v, want at least %v", i, took, least)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.DialContext(ctx, "tcp", addr); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait ends with %v", err)
	}
}

func TestPlainDialerConnects(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := mustParse(t, RoleAdmin, "send.buffer.bytes", "-1").Dialer().Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, plain := conn.(*net.TCPConn); !plain {
		t.Errorf("a PLAINTEXT connection is a %T", conn)
	}
	conn.Close()
	if _, err := mustParse(t, RoleAdmin).Dialer().Dial("tcp", "nowhere"); err == nil || !strings.Contains(err.Error(), "host:port") {
		t.Errorf("an address without port gives %v", err)
	}
}
