package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/IBM/sarama"
	"github.com/jcmturner/gokrb5/v8/krberror"
)

// reason says in one clause, which begins with what the broker does, what went wrong and what to look at.
func (c *connection) reason(err error) string {
	overTLS, login := c.cfg.Security.TLS, c.cfg.Security.SASL != nil
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "cannot be reached: the host name " + dns.Name + " does not resolve"
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "refuses the connection: nothing listens on that port"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "does not speak TLS: the port expects another security.protocol than " + c.cfg.Security.Protocol
	}
	if overTLS {
		if reason := c.certificateReason(err); reason != "" {
			return reason
		}
	}
	if _, ok := errors.AsType[krberror.Krberror](err); ok && login {
		k := c.cfg.Security.SASL.Kerberos
		return fmt.Sprintf("cannot be logged in to with Kerberos as %s: check the principal and its key in sasl.jaas.config, sasl.kerberos.service.name and %s (%v)", c.cfg.Security.SASL.user(), k.ConfigFile, err)
	}
	if errors.Is(err, sarama.ErrSASLAuthenticationFailed) || errors.Is(err, ErrSASLAuthenticationFailed) {
		reason := "refuses the login: check sasl.jaas.config (" + err.Error() + ")"
		if sasl := c.cfg.Security.SASL; sasl != nil && sasl.tokens != nil {
			if ended := sasl.tokens.expired(); !ended.IsZero() {
				reason += "; the token of sasl.oauthbearer.token.endpoint.url has expired at " + ended.UTC().Format(time.RFC3339)
			}
		}
		return reason
	}
	if token, ok := errors.AsType[*tokenError](err); ok {
		return "cannot be logged in to: " + token.Error()
	}
	if errors.Is(err, sarama.ErrUnsupportedSASLMechanism) {
		return "does not offer sasl.mechanism = " + c.cfg.Security.SASL.Mechanism
	}
	if isLoginError(err) {
		return "takes no request before a login, and the last one has failed (" + err.Error() + ")"
	}
	if !overTLS && c.dial.read.Load() >= 2 && c.dial.first[0] == 0x15 && c.dial.first[1] == 0x03 {
		return "answers with TLS: set security.protocol to SSL or SASL_SSL"
	}
	closed := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
	if overTLS && c.dial.connected.Load() && (closed || isTimeout(err)) {
		return "did not complete the TLS handshake: the port may expect another security.protocol than " + c.cfg.Security.Protocol
	}
	if isTimeout(err) {
		return fmt.Sprintf("did not answer in time (%v)", err)
	}
	switch {
	case closed && !c.used && login && c.dial.read.Load() > 0:
		return "closed the connection during the login: check sasl.jaas.config and sasl.mechanism"
	case closed && !c.used && c.dial.read.Load() == 0:
		return "closed the connection without an answer: the port may expect another security.protocol than " + c.cfg.Security.Protocol
	case closed && !c.used:
		return "closed the connection before it answered a request: it may ask for a login, check security.protocol (" + c.cfg.Security.Protocol + ") and sasl.mechanism"
	case closed:
		return "closed the connection"
	}
	return "failed: " + err.Error()
}

func isTimeout(err error) bool {
	if netErr, ok := errors.AsType[net.Error](err); ok {
		return netErr.Timeout()
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// certificateReason is the reason where one side does not accept the other's certificate, "" for any other error.
func (c *connection) certificateReason(err error) string {
	advice := ""
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		advice = "bootstrap.servers and the brokers' advertised.listeners must name a host that the certificate has, unless an empty ssl.endpoint.identification.algorithm gives that check up"
	} else if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		advice = "the trust store (ssl.truststore.location or ssl.truststore.certificates) must have the authority that signed it"
	} else if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		advice = "the broker must be given one that is valid now"
	}
	if advice != "" {
		return "shows a certificate that is not accepted: " + err.Error() + "; " + advice
	}
	if isCertificateError(err) || isInvalidCertificate(err) {
		return "shows a certificate that is not accepted: " + err.Error()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" && strings.Contains(op.Err.Error(), "certificate") {
		if c.cfg.dialer.tls.subject() == "" {
			return "asks for a client certificate: set ssl.keystore.location, or ssl.keystore.key and ssl.keystore.certificate.chain (" + err.Error() + ")"
		}
		return "does not accept the client certificate of " + c.cfg.dialer.tls.subject() + ": it must be valid now, and of an authority that the broker trusts; check ssl.keystore.location or ssl.keystore.certificate.chain (" + err.Error() + ")"
	}
	return ""
}

func isInvalidCertificate(err error) bool {
	_, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok
}
