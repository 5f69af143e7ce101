// Package certs makes certificates for tests.
package certs

import (
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
	"time"

	"tributary/test/cluster/kafkatest"
)

// Authority signs certificates.
type Authority struct {
	tb   kafkatest.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Identity is a certificate with its key, in PEM.
type Identity struct{ Key, Cert string }

// NewAuthority makes an authority that signs itself.
func NewAuthority(tb kafkatest.TB, name string) *Authority {
	tb.Helper()
	a := &Authority{tb: tb}
	a.cert, a.key = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true,
	})
	return a
}

// Issue makes an identity for a name and for hosts, which may be addresses, that holds
// for life from now on; a negative life makes one that has expired.
func (a *Authority) Issue(name string, life time.Duration, hosts ...string) Identity {
	a.tb.Helper()
	return a.issue(name, life, hosts)
}

// SelfSigned makes an identity that no authority has signed; else it is as [Authority.Issue] makes it.
func SelfSigned(tb kafkatest.TB, name string, life time.Duration, hosts ...string) Identity {
	tb.Helper()
	return (&Authority{tb: tb}).issue(name, life, hosts)
}

func (a *Authority) issue(name string, life time.Duration, hosts []string) Identity {
	a.tb.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(life)}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	cert, key := a.sign(template)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.tb.Fatalf("encode a key: %v", err)
	}
	return Identity{Key: block("PRIVATE KEY", der), Cert: block("CERTIFICATE", cert.Raw)}
}

// sign signs a certificate by the authority, or by itself as long as there is none.
func (a *Authority) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.tb.Fatalf("make a key: %v", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		a.tb.Fatalf("make a serial number: %v", err)
	}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.tb.Fatalf("sign a certificate: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.tb.Fatalf("read a certificate: %v", err)
	}
	return cert, key
}

// Cert is the authority's own certificate in PEM, as a trust store has it.
func (a *Authority) Cert() string { return block("CERTIFICATE", a.cert.Raw) }

// Store is the identity as a key store in PEM.
func (i Identity) Store() string { return i.Key + i.Cert }

// File writes a text to a file of the test and returns the path. A file of that name is
// replaced as a whole.
func File(tb kafkatest.TB, dir, name, text string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		tb.Fatalf("write %s: %v", name, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatalf("write %s: %v", name, err)
	}
	return path
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
