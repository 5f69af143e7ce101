package kafka

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// storeSettings are the keys of one key or trust store. Passwords are as written by the user.
type storeSettings struct {
	location    string
	password    Secret
	hasPassword bool
	keyPassword Secret
	// key and certificates are PEM texts in place of a file.
	key, certificates Secret
}

// loadKey returns the client's key and its certificates, nil if none is configured.
func (s storeSettings) loadKey() (*tls.Certificate, *settingError) {
	const location = "ssl.keystore.location"
	switch {
	case s.key != "" && s.certificates == "":
		return nil, &settingError{"ssl.keystore.certificate.chain", "must be set together with ssl.keystore.key"}
	case s.key == "" && s.certificates != "":
		return nil, &settingError{"ssl.keystore.key", "must be set together with ssl.keystore.certificate.chain"}
	case s.key != "" && s.location != "":
		return nil, &settingError{location, "must not be set together with ssl.keystore.key"}
	case s.key != "" && s.hasPassword:
		return nil, &settingError{"ssl.keystore.password", "must not be set for PEM; the password of the key is ssl.key.password"}
	case s.key != "":
		certificate, err := pemKeyPair(s.key.Reveal(), s.certificates.Reveal(), s.keyPassword.Reveal())
		if err != nil {
			return nil, &settingError{"ssl.keystore.key", err.Error()}
		}
		return certificate, nil
	case s.location == "" && s.hasPassword:
		return nil, &settingError{location, "must be set together with ssl.keystore.password"}
	case s.location == "":
		return nil, nil
	}
	data, failure := readStore(location, s.location)
	if failure != nil {
		return nil, failure
	}
	// Java opens JKS and PKCS12 under either name, so the bytes decide and not ssl.keystore.type.
	format := sniffStore(data)
	if format != formatPEM && !s.hasPassword {
		return nil, &settingError{"ssl.keystore.password", "must be set for a key store in " + format + " format"}
	}
	var certificate *tls.Certificate
	var err error
	switch format {
	case formatJKS:
		certificate, err = s.jksKey(data)
	case formatPKCS12:
		certificate, err = s.pkcs12Key(data)
	default:
		certificate, err = pemKeyPair(string(data), string(data), s.keyPassword.Reveal())
	}
	if err != nil {
		return nil, &settingError{location, err.Error()}
	}
	return certificate, nil
}

// loadTrusted returns the trusted certificates, nil if the system's are to be used.
func (s storeSettings) loadTrusted() ([]*x509.Certificate, *settingError) {
	const location = "ssl.truststore.location"
	switch {
	case s.certificates != "" && s.location != "":
		return nil, &settingError{location, "must not be set together with ssl.truststore.certificates"}
	case s.certificates != "" && s.hasPassword:
		return nil, &settingError{"ssl.truststore.password", "must not be set for PEM"}
	case s.certificates != "":
		trusted, err := pemCertificates(s.certificates.Reveal())
		if err != nil {
			return nil, &settingError{"ssl.truststore.certificates", err.Error()}
		}
		return trusted, nil
	case s.location == "" && s.hasPassword:
		return nil, &settingError{location, "must be set together with ssl.truststore.password"}
	case s.location == "":
		return nil, nil
	}
	data, failure := readStore(location, s.location)
	if failure != nil {
		return nil, failure
	}
	var trusted []*x509.Certificate
	var err error
	switch sniffStore(data) {
	case formatJKS:
		trusted, err = s.jksTrusted(data)
	case formatPKCS12:
		trusted, err = s.pkcs12Trusted(data)
	default:
		trusted, err = pemCertificates(string(data))
	}
	if err == nil && len(trusted) == 0 {
		err = errors.New("the store holds no trusted certificate")
	}
	if err != nil {
		return nil, &settingError{location, err.Error()}
	}
	return trusted, nil
}

const (
	formatJKS    = "JKS"
	formatPKCS12 = "PKCS12"
	formatPEM    = "PEM"
)

func sniffStore(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte{0xFE, 0xED, 0xFE, 0xED}):
		return formatJKS
	case bytes.HasPrefix(data, []byte{0x30}):
		return formatPKCS12
	}
	return formatPEM
}

// openJKS opens a Java key store. Without a password its entries are read unchecked, as Java does for
// trust stores.
func (s storeSettings) openJKS(data []byte) (keystore.KeyStore, error) {
	store := keystore.New(keystore.WithOrderedAliases())
	err := store.Load(bytes.NewReader(data), jksPassword(s.password))
	switch {
	case err == nil:
	case !strings.Contains(err.Error(), "invalid digest"):
		return store, errors.New("the file is no complete JKS store")
	case s.hasPassword:
		return store, errors.New("the password is wrong or the file is damaged")
	}
	return store, nil
}

// jksPassword gives the bytes that the library widens to Java's UTF-16 characters one by one, so only
// Latin-1 passwords can be given.
func jksPassword(password Secret) []byte {
	var latin1 []byte
	for _, r := range password.Reveal() {
		latin1 = append(latin1, byte(r))
	}
	return latin1
}

func (s storeSettings) jksKey(data []byte) (*tls.Certificate, error) {
	store, err := s.openJKS(data)
	if err != nil {
		return nil, err
	}
	password := s.password
	if s.keyPassword != "" {
		password = s.keyPassword
	}
	for _, alias := range store.Aliases() {
		if !store.IsPrivateKeyEntry(alias) {
			continue
		}
		entry, err := store.GetPrivateKeyEntry(alias, jksPassword(password))
		if err != nil {
			return nil, fmt.Errorf("the key %q cannot be opened: its password (ssl.key.password, else that of the store) is wrong", alias)
		}
		key, err := parsePrivateKey(entry.PrivateKey)
		if err != nil {
			return nil, err
		}
		certificate := &tls.Certificate{PrivateKey: key}
		for _, link := range entry.CertificateChain {
			certificate.Certificate = append(certificate.Certificate, link.Content)
		}
		return certificate, nil
	}
	return nil, errors.New("the store holds no private key")
}

func (s storeSettings) jksTrusted(data []byte) ([]*x509.Certificate, error) {
	store, err := s.openJKS(data)
	if err != nil {
		return nil, err
	}
	var trusted []*x509.Certificate
	for _, alias := range store.Aliases() {
		if !store.IsTrustedCertificateEntry(alias) {
			continue
		}
		entry, err := store.GetTrustedCertificateEntry(alias)
		if err != nil {
			return nil, err
		}
		cert, err := x509.ParseCertificate(entry.Certificate.Content)
		if err != nil {
			return nil, fmt.Errorf("the certificate %q cannot be read: %w", alias, err)
		}
		trusted = append(trusted, cert)
	}
	return trusted, nil
}

func (s storeSettings) pkcs12Key(data []byte) (*tls.Certificate, error) {
	key, leaf, chain, err := pkcs12.DecodeChain(data, s.password.Reveal())
	if err != nil {
		return nil, pkcs12Error(err)
	}
	certificate := &tls.Certificate{PrivateKey: key.(crypto.PrivateKey), Certificate: [][]byte{leaf.Raw}}
	for _, cert := range chain {
		certificate.Certificate = append(certificate.Certificate, cert.Raw)
	}
	return certificate, nil
}

func (s storeSettings) pkcs12Trusted(data []byte) ([]*x509.Certificate, error) {
	trusted, err := pkcs12.DecodeTrustStore(data, s.password.Reveal())
	if err == nil || errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return trusted, pkcs12Error(err)
	}
	// A store that also holds a key gives its trusted certificates as the key's chain.
	_, _, chain, chainErr := pkcs12.DecodeChain(data, s.password.Reveal())
	if chainErr != nil {
		return nil, pkcs12Error(err)
	}
	return chain, nil
}

func pkcs12Error(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return errors.New("the password is wrong or the file is damaged")
	}
	return fmt.Errorf("the PKCS12 store cannot be read: %w", err)
}
