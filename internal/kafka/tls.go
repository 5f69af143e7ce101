package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Dialer opens connections to brokers, with TLS if the configuration asks for it. sarama and franz-go
// share it (Net.Proxy.Dialer, kgo.Dialer), since neither can take over changed trust stores by itself.
//
// Key and trust stores are looked at before each connection and read again when a file has changed. A
// store that cannot be read, half written for example, leaves the last good ones in use until the
// next connection. Several goroutines may use a Dialer; it has none of its own.
type Dialer struct {
	timeout, timeoutMax       time.Duration
	handshake                 time.Duration
	backoff, backoffMax       time.Duration
	sendBuffer, receiveBuffer int
	tls                       *tlsSource // nil for plain connections

	mu             sync.Mutex
	failuresByAddr map[string]dialFailures
	log            *slog.Logger
}

// dialFailures counts failures in a row, for the backoff.
type dialFailures struct {
	count int
	next  time.Time
}

// SetLogger tells where to report that changed stores were taken over or cannot be read. Without it
// nothing is reported.
func (d *Dialer) SetLogger(log *slog.Logger) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = log
}

// Dial is DialContext without a context, for sarama. Its own time limits end it.
func (d *Dialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

// DialContext connects to host:port and finishes the TLS handshake. After a failure it first waits
// out reconnect.backoff.ms, which doubles up to reconnect.backoff.max.ms with each failure in a row.
func (d *Dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	failures, err := d.awaitTurn(ctx, addr)
	if err != nil {
		return nil, err
	}
	conn, err := d.connect(ctx, network, addr, exponential(d.timeout, d.timeoutMax, failures))
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		delete(d.failuresByAddr, addr)
	case ctx.Err() == nil:
		wait := exponential(d.backoff, d.backoffMax, failures)
		jittered := time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64()))
		d.failuresByAddr[addr] = dialFailures{count: failures + 1, next: time.Now().Add(jittered)}
	}
	return conn, err
}

func (d *Dialer) awaitTurn(ctx context.Context, addr string) (failures int, err error) {
	d.mu.Lock()
	f := d.failuresByAddr[addr]
	d.mu.Unlock()
	wait := time.Until(f.next)
	if wait <= 0 {
		return f.count, nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return f.count, nil
	case <-ctx.Done():
		return f.count, ctx.Err()
	}
}

func (d *Dialer) connect(ctx context.Context, network, addr string, timeout time.Duration) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("broker address %q must be host:port: %w", addr, err)
	}
	netDialer := net.Dialer{Timeout: max(timeout, time.Millisecond)}
	conn, err := netDialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// The sizes are hints: a system that refuses them still has a working connection.
		if d.sendBuffer > 0 {
			_ = tcp.SetWriteBuffer(d.sendBuffer)
		}
		if d.receiveBuffer > 0 {
			_ = tcp.SetReadBuffer(d.receiveBuffer)
		}
	}
	if d.tls == nil {
		return conn, nil
	}
	d.mu.Lock()
	log := d.log
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, max(d.handshake, time.Millisecond))
	defer cancel()
	secured := tls.Client(conn, d.tls.current(log).forHost(host))
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS handshake with %s failed: %w", addr, err)
	}
	return secured, nil
}

// tlsSettings are the ssl. keys.
type tlsSettings struct {
	keyStore, trustStore storeSettings
	protocols            []string
	protocol             string
	suites               []string
	verifyHost           bool
}

// settingError is an error in one ssl. key.
type settingError struct{ key, reason string }

// tlsState is what one reading of the stores gave. It is never altered.
type tlsState struct {
	base        *tls.Config
	certificate *tls.Certificate // nil for none
	roots       *x509.CertPool   // nil for the system's
	verifyHost  bool
	stamps      map[string]fileStamp
}

// forHost makes the configuration of one connection. Verification is done here rather than by
// crypto/tls, to be able to leave out the name and to accept the common name of old certificates, as
// Java does.
func (s *tlsState) forHost(host string) *tls.Config {
	config := s.base.Clone()
	config.ServerName = host
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		leaf := state.PeerCertificates[0]
		options := x509.VerifyOptions{Roots: s.roots, Intermediates: x509.NewCertPool()}
		for _, cert := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(cert)
		}
		if _, err := leaf.Verify(options); err != nil {
			return steady(err)
		}
		if !s.verifyHost || len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 && leaf.Subject.CommonName == host {
			return nil
		}
		return leaf.VerifyHostname(host)
	}
	return config
}

// steady is an error about a certificate without the present time in its words: what stays the same should read the
// same, or it is logged again and again.
func steady(err error) error {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	if !ok || invalid.Reason != x509.Expired {
		return err
	}
	from, to := invalid.Cert.NotBefore.UTC().Format(time.RFC3339), invalid.Cert.NotAfter.UTC().Format(time.RFC3339)
	return &steadyError{fmt.Sprintf("the certificate of %s has expired or is not yet valid: it is valid from %s to %s", invalid.Cert.Subject, from, to), err}
}

type steadyError struct {
	text string
	err  error
}

func (e *steadyError) Error() string { return e.text }
func (e *steadyError) Unwrap() error { return e.err }

// tlsSource reads the stores, and reads them again once a file has changed.
type tlsSource struct {
	settings tlsSettings

	mu    sync.Mutex
	state *tlsState
	// refused are the stamps of files that could not be read, so that each is reported once.
	refused map[string]fileStamp
}

func newTLSSource(settings tlsSettings) (*tlsSource, *settingError) {
	s := &tlsSource{settings: settings}
	state, err := s.load()
	if err != nil {
		return nil, err
	}
	s.state = state
	return s, nil
}

// current returns the state to use for a new connection.
func (s *tlsSource) current(log *slog.Logger) *tlsState {
	s.mu.Lock()
	defer s.mu.Unlock()
	stamps := s.stamps()
	if sameStamps(stamps, s.state.stamps) || s.refused != nil && sameStamps(stamps, s.refused) {
		return s.state
	}
	state, err := s.load()
	if err != nil {
		s.refused = stamps
		if log != nil && storeNews.fresh(stamps, false) {
			log.Error("changed key or trust store cannot be used, the last one stays in use", "key", err.key, "error", err.reason)
		}
		return s.state
	}
	s.state, s.refused = state, nil
	if log != nil && storeNews.fresh(stamps, true) {
		log.Info("key and trust stores were read again after a change")
	}
	return state
}

func (s *tlsSource) load() (*tlsState, *settingError) {
	// Stamps are taken before reading: a change in between is then seen at the next look.
	state := &tlsState{base: &tls.Config{}, verifyHost: s.settings.verifyHost, stamps: s.stamps()}
	if err := state.setVersions(s.settings); err != nil {
		return nil, err
	}
	certificate, err := s.settings.keyStore.loadKey()
	if err != nil {
		return nil, err
	}
	state.certificate = certificate
	if certificate != nil {
		// Not Certificates: Go would hold the certificate back if the broker's list of
		// authorities does not name its issuer, and the broker would only see none.
		state.base.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	trusted, err := s.settings.trustStore.loadTrusted()
	if err != nil {
		return nil, err
	}
	if trusted != nil {
		state.roots = x509.NewCertPool()
		for _, cert := range trusted {
			state.roots.AddCert(cert)
		}
	}
	return state, nil
}

var tlsVersions = map[string]uint16{
	"TLSv1": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13, "TLS": tls.VersionTLS13,
}

// setVersions sets the range of versions and the cipher suites. As in Java, the enabled protocols win
// over ssl.protocol, which counts if there are none.
func (t *tlsState) setVersions(s tlsSettings) *settingError {
	t.base.MinVersion, t.base.MaxVersion = tls.VersionTLS12, max(tlsVersions[s.protocol], tls.VersionTLS12)
	if len(s.protocols) > 0 {
		var versions []uint16
		for _, name := range s.protocols {
			versions = append(versions, tlsVersions[name])
		}
		t.base.MinVersion, t.base.MaxVersion = slices.Min(versions), slices.Max(versions)
	}
	if len(s.suites) == 0 {
		return nil
	}
	for _, name := range s.suites {
		if id, ok := cipherSuiteID(name); ok {
			t.base.CipherSuites = append(t.base.CipherSuites, id)
		}
	}
	if len(t.base.CipherSuites) == 0 {
		// Only suites of TLS 1.3 are named, which no earlier version can use.
		if t.base.MaxVersion < tls.VersionTLS13 {
			return &settingError{"ssl.cipher.suites", "names only suites of TLSv1.3, which ssl.enabled.protocols leaves out"}
		}
		t.base.MinVersion = tls.VersionTLS13
	}
	return nil
}

// subject is that of the certificate that is shown to brokers, as they write it (RFC 2253); empty without one.
func (s *tlsSource) subject() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil || s.state.certificate == nil {
		return ""
	}
	leaf, err := x509.ParseCertificate(s.state.certificate.Certificate[0])
	if err != nil {
		return ""
	}
	return leaf.Subject.String()
}

// storeNews is shared by all clients of the process: a worker has dozens with the same stores, and one change of these
// should be said once.
var storeNews = newsBoard{said: map[string]string{}}

// newsBoard knows what was said last of which files.
type newsBoard struct {
	mu   sync.Mutex
	said map[string]string
}

// fresh reports whether it was not said before of these contents of these files that they can or cannot be used.
func (b *newsBoard) fresh(stamps map[string]fileStamp, usable bool) bool {
	files := slices.Sorted(maps.Keys(stamps))
	news := fmt.Sprint(usable)
	for _, file := range files {
		if stamp := stamps[file]; stamp.err {
			news += " none"
		} else {
			news += fmt.Sprint(" ", stamp.info.ModTime().UnixNano(), " ", stamp.info.Size())
		}
	}
	key := strings.Join(files, "\n")
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.said[key] == news {
		return false
	}
	b.said[key] = news
	return true
}

// fileStamp tells one content of a file from another without reading it. The identity catches files
// that are replaced within one tick of the clock, as mounted Kubernetes secrets are.
type fileStamp struct {
	info fs.FileInfo
	err  bool
}

func (s *tlsSource) stamps() map[string]fileStamp {
	stamps := map[string]fileStamp{}
	for _, path := range []string{s.settings.keyStore.location, s.settings.trustStore.location} {
		if path != "" {
			info, err := os.Stat(path)
			stamps[path] = fileStamp{info, err != nil}
		}
	}
	return stamps
}

func sameStamps(a, b map[string]fileStamp) bool {
	for path, x := range a {
		y := b[path]
		if x.err || y.err {
			if x.err != y.err {
				return false
			}
			continue
		}
		if !x.info.ModTime().Equal(y.info.ModTime()) || x.info.Size() != y.info.Size() || !os.SameFile(x.info, y.info) {
			return false
		}
	}
	return true
}

// readStore reads the file of a store for key.
func readStore(key, path string) ([]byte, *settingError) {
	data, err := os.ReadFile(path)
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return nil, &settingError{key, "the file cannot be read: " + err.Error()}
	}
	return data, nil
}
