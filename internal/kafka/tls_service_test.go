package kafka

import (
	"crypto/tls"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

// service accepts connections of one side and answers as a tlsBroker does.
func startService(t *testing.T, server *ServiceTLS) (addr string) {
	t.Helper()
	config, err := server.Server()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
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
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

func parseService(t *testing.T, prefix string, pairs ...string) *ServiceTLS {
	t.Helper()
	props := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		props[prefix+pairs[i]] = pairs[i+1]
	}
	s, err := ParseServiceTLS(props, prefix, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// called connects and returns what the server calls the client.
func called(t *testing.T, client *ServiceTLS, addr string) (string, error) {
	t.Helper()
	conn, err := client.DialContext(t.Context(), "tcp", addr, 20*time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	name, err := io.ReadAll(conn)
	return string(name), err
}

func TestServicesMeetOverTLSAsTheirClientAuthSays(t *testing.T) {
	ca, stranger := issue(t, "authority", nil), issue(t, "stranger", nil)
	identity, other := issue(t, "worker-1", &ca, "127.0.0.1"), issue(t, "intruder", &stranger, "127.0.0.1")
	stores := func(i issued) []string {
		return []string{"ssl.keystore.key", i.keyPEM(t), "ssl.keystore.certificate.chain", i.certPEM(), "ssl.truststore.certificates", ca.certPEM()}
	}
	nameless := parseService(t, "", "ssl.truststore.certificates", ca.certPEM())
	known, unknown := parseService(t, "", stores(identity)...), parseService(t, "", stores(other)...)
	for _, c := range []struct {
		auth   string
		client *ServiceTLS
		want   string // "" is a refusal
	}{
		{"none", nameless, "anonymous"}, {"none", known, "anonymous"},
		{"requested", nameless, "anonymous"}, {"requested", known, "worker-1"}, {"requested", unknown, ""},
		{"required", nameless, ""}, {"required", known, "worker-1"}, {"required", unknown, ""},
	} {
		server := parseService(t, "listeners.https.", append(stores(identity), "ssl.client.auth", c.auth)...)
		if got, err := called(t, c.client, startService(t, server)); got != c.want || (c.want == "") != (err != nil) {
			t.Errorf("client.auth %s: %q, %v, want %q", c.auth, got, err, c.want)
		}
	}
	if _, err := called(t, parseService(t, "", "ssl.truststore.certificates", stranger.certPEM()), startService(t, known)); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a server of another authority: %v", err)
	}
}

func TestAServiceShowsANewCertificateOnceItsFileChanges(t *testing.T) {
	ca := issue(t, "authority", nil)
	first, second := issue(t, "worker", &ca, "127.0.0.1"), issue(t, "worker", &ca, "elsewhere.example")
	file := write(t, "worker.pem", []byte(first.keyPEM(t)+first.certPEM()))
	addr := startService(t, parseService(t, "", "ssl.keystore.location", file))
	client := parseService(t, "", "ssl.truststore.certificates", ca.certPEM())
	if _, err := called(t, client, addr); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(file+".new", []byte(second.keyPEM(t)+second.certPEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}

	if _, err := called(t, client, addr); err == nil || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("the new certificate, which is for another host: %v", err)
	}
}

func TestWrongServiceTLSNamesTheKeysAsWritten(t *testing.T) {
	_, err := ParseServiceTLS(map[string]string{
		"listeners.https.ssl.client.auth": "maybe", "listeners.https.ssl.keystore.location": "/nowhere.jks",
		"listeners.https.ssl.keystore.password": "hush-hush", "ssl.protocol": "not looked at",
	}, "listeners.https.", slog.New(slog.DiscardHandler))
	for _, want := range []string{"listeners.https.ssl.client.auth", "none, requested or required", "listeners.https.ssl.keystore.location", "/nowhere.jks"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "not looked at") {
		t.Error(err)
	}
	if _, err := parseService(t, "").Server(); err == nil || !strings.Contains(err.Error(), "ssl.keystore.location") {
		t.Errorf("a server without a certificate: %v", err)
	}
}
