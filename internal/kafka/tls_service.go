package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
)

// ServiceTLS is TLS between programs that speak something other than Kafka's protocol, such as the
// REST API, by Java's ssl. keys: both sides of it. Stores are read again when their files change.
// Safe for concurrent use; it has no goroutine.
type ServiceTLS struct {
	source *tlsSource
	auth   tls.ClientAuthType
	logger *slog.Logger
}

// clientAuth are the values of ssl.client.auth.
var clientAuth = map[string]tls.ClientAuthType{
	"none": tls.NoClientCert, "requested": tls.VerifyClientCertIfGiven, "required": tls.RequireAndVerifyClientCert,
}

// clientAuthKey says whether clients of a server have to show a certificate.
const clientAuthKey = "ssl.client.auth"

// ParseServiceTLS reads the ssl. keys of props that stand behind prefix, which may be empty. The error
// is a *multierror.Error that holds a *KeyError for everything that is wrong. logger is told of changed
// stores.
func ParseServiceTLS(props map[string]string, prefix string, logger *slog.Logger) (*ServiceTLS, error) {
	settings := Props{"bootstrap.servers": "localhost:9"} // which the table insists on
	for key, value := range props {
		if name, ok := strings.CutPrefix(key, prefix); ok && strings.HasPrefix(name, "ssl.") {
			settings[name] = value
		}
	}
	v, warnings, _ := readValues(RoleAdmin, settings)
	for _, warning := range warnings {
		logger.Warn(prefix + warning)
	}
	s := &ServiceTLS{source: readTLS(v), logger: logger}
	if text, given := settings[clientAuthKey]; given {
		auth, known := clientAuth[strings.ToLower(text)]
		if !known {
			v.fail(clientAuthKey, "must be none, requested or required")
		}
		s.auth = auth
	}
	if err := v.errs.ErrorOrNil(); err != nil {
		return nil, withPrefix(err, prefix)
	}
	return s, nil
}

// withPrefix makes the errors name the keys as the user wrote them.
func withPrefix(err error, prefix string) error {
	var out *multierror.Error
	var all *multierror.Error
	if !errors.As(err, &all) {
		return err
	}
	for _, e := range all.Errors {
		if wrong, ok := errors.AsType[*KeyError](e); ok {
			e = &KeyError{Key: prefix + wrong.Key, Value: wrong.Value, Reason: wrong.Reason}
		}
		out = multierror.Append(out, e)
	}
	return out
}

// Server is the configuration of a listener, or an error if there is no certificate to show.
func (s *ServiceTLS) Server() (*tls.Config, error) {
	if s.source.current(s.logger).certificate == nil {
		return nil, errors.New("a listener with TLS needs a certificate: set ssl.keystore.location, or ssl.keystore.certificate.chain and ssl.keystore.key")
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, // what counts is what follows
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			state := s.source.current(s.logger)
			config := state.base.Clone()
			config.GetClientCertificate = nil
			config.Certificates = []tls.Certificate{*state.certificate}
			config.ClientAuth, config.ClientCAs = s.auth, state.roots
			return config, nil
		},
	}, nil
}

// DialContext connects to host:port and finishes the handshake, within limit and ctx, whichever ends
// first. The server is verified as ssl.truststore. and ssl.endpoint.identification.algorithm say.
func (s *ServiceTLS) DialContext(ctx context.Context, network, addr string, limit time.Duration) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address %q must be host:port: %w", addr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(conn, s.source.current(s.logger).forHost(host))
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS handshake with %s failed: %w", addr, err)
	}
	return secured, nil
}
