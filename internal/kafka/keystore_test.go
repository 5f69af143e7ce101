package kafka

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// issued is a certificate made by a test.
type issued struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate for a name, signed by ca or, without one, by itself as an authority.
func issue(t *testing.T, name string, ca *issued, hosts ...string) issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca == nil, BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issued{cert, key}
}

func (i issued) certPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}))
}

func (i issued) keyDER(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (i issued) keyPEM(t *testing.T) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: i.keyDER(t)}))
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ssl parses a configuration with TLS and returns what its stores gave.
func ssl(t *testing.T, pairs ...string) *tlsState {
	t.Helper()
	return mustParse(t, RoleAdmin, append([]string{"security.protocol", "SSL"}, pairs...)...).dialer.tls.state
}

// clientName returns the common name of the client certificate, "" without one.
func clientName(t *testing.T, s *tlsState) string {
	t.Helper()
	if s.base.GetClientCertificate == nil {
		return ""
	}
	certificate, err := s.base.GetClientCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if !leaf.PublicKey.(*ecdsa.PublicKey).Equal(certificate.PrivateKey.(*ecdsa.PrivateKey).Public()) {
		t.Error("key and certificate do not belong together")
	}
	return leaf.Subject.CommonName
}

// TestStoresOfKeytoolAndOpenSSLOpen reads files that keytool 17 and OpenSSL 3 wrote.
func TestStoresOfKeytoolAndOpenSSLOpen(t *testing.T) {
	for _, pairs := range [][]string{
		{"ssl.keystore.location", "testdata/client.p12", "ssl.keystore.password", "changeit"},
		// Java opens either format under either name, so the type must not matter.
		{"ssl.keystore.location", "testdata/client.p12", "ssl.keystore.password", "changeit", "ssl.keystore.type", "JKS"},
		{"ssl.keystore.location", "testdata/client.jks", "ssl.keystore.password", "storepass", "ssl.key.password", "keypass1", "ssl.keystore.type", "PKCS12"},
		{"ssl.keystore.location", "testdata/client-encrypted.pem", "ssl.key.password", "keypass1", "ssl.keystore.type", "PEM"},
		{"ssl.keystore.location", "testdata/client-des3.pem", "ssl.key.password", "keypass1", "ssl.keystore.type", "PEM"},
	} {
		if got := clientName(t, ssl(t, pairs...)); got != "client" {
			t.Errorf("%q: client certificate of %q", pairs, got)
		}
	}
	authority, err := pemCertificates(readText(t, "testdata/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	want := x509.NewCertPool()
	want.AddCert(authority[0])
	for _, pairs := range [][]string{
		{"ssl.truststore.location", "testdata/trust.jks", "ssl.truststore.password", "changeit"},
		{"ssl.truststore.location", "testdata/trust.jks"},
		{"ssl.truststore.location", "testdata/trust.p12", "ssl.truststore.password", "changeit"},
		{"ssl.truststore.location", "testdata/ca.pem", "ssl.truststore.type", "PEM"},
		{"ssl.truststore.certificates", readText(t, "testdata/ca.pem"), "ssl.truststore.type", "PEM"},
		{"ssl.truststore.certificates", strings.ReplaceAll(readText(t, "testdata/ca.pem"), "\n", " ")},
	} {
		if got := ssl(t, pairs...).roots; got == nil || !got.Equal(want) {
			t.Errorf("%.60q: other authorities than the one in the store", pairs)
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestStoresOfAllKindsOpen(t *testing.T) {
	ca := issue(t, "authority", nil)
	client := issue(t, "me", &ca)
	p12, err := pkcs12.Modern.Encode(client.key, client.cert, []*x509.Certificate{ca.cert}, "päss")
	if err != nil {
		t.Fatal(err)
	}
	legacy, err := pkcs12.LegacyRC2.Encode(client.key, client.cert, nil, "pw")
	if err != nil {
		t.Fatal(err)
	}
	passwordless, err := pkcs12.Passwordless.EncodeTrustStore([]*x509.Certificate{ca.cert}, "")
	if err != nil {
		t.Fatal(err)
	}
	jks := keystore.New()
	chain := []keystore.Certificate{{Type: "X509", Content: client.cert.Raw}, {Type: "X509", Content: ca.cert.Raw}}
	latin1 := []byte("p\xe4ss\xfford")
	if err := jks.SetPrivateKeyEntry("k", keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: client.keyDER(t), CertificateChain: chain}, latin1); err != nil {
		t.Fatal(err)
	}
	if err := jks.SetTrustedCertificateEntry("ca", keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: chain[1]}); err != nil {
		t.Fatal(err)
	}
	var jksBytes bytes.Buffer
	if err := jks.Store(&jksBytes, latin1); err != nil {
		t.Fatal(err)
	}
	jksFile, p12File := write(t, "s.jks", jksBytes.Bytes()), write(t, "s.p12", p12)
	for _, pairs := range [][]string{
		{"ssl.keystore.location", p12File, "ssl.keystore.password", "päss"},
		{"ssl.keystore.location", write(t, "l.p12", legacy), "ssl.keystore.password", "pw"},
		{"ssl.keystore.location", jksFile, "ssl.keystore.password", "pässÿord"},
		{"ssl.keystore.location", write(t, "s.pem", []byte("some text\n"+client.certPEM()+ca.certPEM()+client.keyPEM(t)))},
		{"ssl.keystore.key", client.keyPEM(t), "ssl.keystore.certificate.chain", client.certPEM() + ca.certPEM()},
		{"ssl.keystore.key", strings.ReplaceAll(client.keyPEM(t), "\n", " "), "ssl.keystore.certificate.chain", strings.ReplaceAll(client.certPEM(), "\n", "\r\n")},
	} {
		if got := clientName(t, ssl(t, pairs...)); got != "me" {
			t.Errorf("%.80q: client certificate of %q", pairs, got)
		}
	}
	want := x509.NewCertPool()
	want.AddCert(ca.cert)
	for _, pairs := range [][]string{
		{"ssl.truststore.location", jksFile, "ssl.truststore.password", "pässÿord"},
		{"ssl.truststore.location", p12File, "ssl.truststore.password", "päss"},
		{"ssl.truststore.location", write(t, "t.p12", passwordless)},
	} {
		if got := ssl(t, pairs...).roots; got == nil || !got.Equal(want) {
			t.Errorf("%.80q: other authorities than the one in the store", pairs)
		}
	}
	if s := ssl(t); s.roots != nil || clientName(t, s) != "" {
		t.Error("without stores the system's authorities and no client certificate are used")
	}
}

func TestWrongStoresAreNamed(t *testing.T) {
	ca := issue(t, "authority", nil)
	other := issue(t, "other", nil)
	noStore := write(t, "x.jks", []byte("\xfe\xed\xfe\xed\x00\x00\x00\x02"))
	for _, c := range []struct {
		pairs  []string
		key    string
		reason string
	}{
		{[]string{"ssl.keystore.location", "testdata/client.p12"}, "ssl.keystore.password", "must be set"},
		{[]string{"ssl.keystore.location", "testdata/client.p12", "ssl.keystore.password", "wrong"}, "ssl.keystore.location", "password is wrong"},
		{[]string{"ssl.keystore.location", "testdata/client.jks", "ssl.keystore.password", "wrong"}, "ssl.keystore.location", "password is wrong"},
		{[]string{"ssl.keystore.location", "testdata/client.jks", "ssl.keystore.password", "storepass"}, "ssl.keystore.location", "ssl.key.password"},
		{[]string{"ssl.keystore.location", "testdata/client-encrypted.pem"}, "ssl.keystore.location", "set ssl.key.password"},
		{[]string{"ssl.keystore.location", "testdata/client-encrypted.pem", "ssl.key.password", "wrong"}, "ssl.keystore.location", "private key cannot be"},
		{[]string{"ssl.keystore.location", "testdata/absent.p12", "ssl.keystore.password", "x"}, "ssl.keystore.location", "no such file"},
		{[]string{"ssl.keystore.location", noStore, "ssl.keystore.password", "x"}, "ssl.keystore.location", "no complete JKS"},
		{[]string{"ssl.keystore.location", "testdata/trust.jks", "ssl.keystore.password", "changeit"}, "ssl.keystore.location", "no private key"},
		{[]string{"ssl.keystore.password", "x"}, "ssl.keystore.location", "must be set"},
		{[]string{"ssl.keystore.key", ca.keyPEM(t)}, "ssl.keystore.certificate.chain", "must be set"},
		{[]string{"ssl.keystore.certificate.chain", ca.certPEM()}, "ssl.keystore.key", "must be set"},
		{[]string{"ssl.keystore.key", ca.keyPEM(t), "ssl.keystore.certificate.chain", other.certPEM()}, "ssl.keystore.key", "does not belong"},
		{[]string{"ssl.keystore.key", ca.keyPEM(t) + ca.keyPEM(t), "ssl.keystore.certificate.chain", ca.certPEM()}, "ssl.keystore.key", "2 are there"},
		{[]string{"ssl.truststore.location", "testdata/trust.p12", "ssl.truststore.password", "wrong"}, "ssl.truststore.location", "password is wrong"},
		{[]string{"ssl.truststore.location", "testdata/client.jks"}, "ssl.truststore.location", "no trusted certificate"},
		{[]string{"ssl.truststore.certificates", "nothing"}, "ssl.truststore.certificates", "at least one"},
		{[]string{"ssl.truststore.certificates", ca.certPEM(), "ssl.truststore.location", "x"}, "ssl.truststore.location", "must not be set"},
		{[]string{"ssl.cipher.suites", "TLS_AES_128_GCM_SHA256", "ssl.enabled.protocols", "TLSv1.2"}, "ssl.cipher.suites", "only suites of TLSv1.3"},
	} {
		_, err := ParseConfig(RoleAdmin, with(RoleAdmin, append([]string{"security.protocol", "SSL"}, c.pairs...)...))
		got := keyErrors(t, err)[c.key]
		if got == nil || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%.90q: %v, want an error for %s with %q", c.pairs, err, c.key, c.reason)
		}
		if err != nil && strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("the error shows a key: %v", err)
		}
	}
}
