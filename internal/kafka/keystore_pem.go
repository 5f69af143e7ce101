package kafka

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"regexp"
	"strings"
)

// pemBlock is looser than encoding/pem, as Java's parser is: the line breaks may be blanks, since
// many users write a certificate on one line of their properties file.
var pemBlock = regexp.MustCompile(`-+BEGIN ([A-Z0-9 ]+)-+\s+((?:[^\r\n:-]*:[^\r\n]*[\r\n]+)*)([a-zA-Z0-9/+=\s]*)-+END [A-Z0-9 ]+-+`)

// pemBlocks returns the bytes of the blocks whose name ends in suffix, and their names.
func pemBlocks(text, suffix string) (blocks [][]byte, names []string, err error) {
	for _, match := range pemBlock.FindAllStringSubmatch(text, -1) {
		if !strings.HasSuffix(match[1], suffix) {
			continue
		}
		if match[2] != "" {
			return nil, nil, errors.New("PEM headers (Proc-Type, DEK-Info) are not supported; convert the key to PKCS#8")
		}
		block, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(match[3]), ""))
		if err != nil {
			return nil, nil, fmt.Errorf("a PEM block %s holds invalid base64", match[1])
		}
		blocks, names = append(blocks, block), append(names, match[1])
	}
	return blocks, names, nil
}

func pemCertificates(text string) ([]*x509.Certificate, error) {
	blocks, _, err := pemBlocks(text, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	if len(blocks) == 0 {
		return nil, errors.New("at least one PEM certificate is expected, none is there")
	}
	var certs []*x509.Certificate
	for _, block := range blocks {
		cert, err := x509.ParseCertificate(block)
		if err != nil {
			return nil, fmt.Errorf("a PEM certificate cannot be read: %w", err)
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

// pemKeyPair reads one private key and its certificates, the client's own first.
func pemKeyPair(keyText, chainText, password string) (*tls.Certificate, error) {
	blocks, names, err := pemBlocks(keyText, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	if len(blocks) != 1 {
		return nil, fmt.Errorf("one PEM private key is expected, %d are there", len(blocks))
	}
	der := blocks[0]
	if strings.HasPrefix(names[0], "ENCRYPTED") {
		if der, err = decryptPKCS8(der, password); err != nil {
			return nil, err
		}
	}
	key, err := parsePrivateKey(der)
	if err != nil {
		return nil, err
	}
	certs, err := pemCertificates(chainText)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if public, isEqual := certs[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !isEqual || !public.Equal(signer.Public()) {
		return nil, errors.New("the first certificate does not belong to the private key")
	}
	certificate := &tls.Certificate{PrivateKey: key}
	for _, cert := range certs {
		certificate.Certificate = append(certificate.Certificate, cert.Raw)
	}
	return certificate, nil
}

// parsePrivateKey reads PKCS#8, and the two older forms that OpenSSL writes.
func parsePrivateKey(der []byte) (crypto.PrivateKey, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errors.New("the private key cannot be read; it must be an RSA, EC or Ed25519 key in PKCS#8 form")
}

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
)

// pbkdf2Hashes are the hashes of the key derivation by object identifier.
var pbkdf2Hashes = map[string]func() hash.Hash{
	"1.2.840.113549.2.7":  sha1.New,
	"1.2.840.113549.2.9":  sha256.New,
	"1.2.840.113549.2.10": sha512.New384,
	"1.2.840.113549.2.11": sha512.New,
}

// pbes2Ciphers are the ciphers, all in CBC mode, by object identifier.
var pbes2Ciphers = map[string]struct {
	keyBytes int
	block    func([]byte) (cipher.Block, error)
}{
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
}

// maxPBKDF2Rounds keeps a hostile file from using up the processor.
const maxPBKDF2Rounds = 10_000_000

// decryptPKCS8 opens an encrypted PKCS#8 key (RFC 5958) whose scheme is PBES2 (RFC 8018), which
// OpenSSL and keytool write.
func decryptPKCS8(der []byte, password string) ([]byte, error) {
	if password == "" {
		return nil, errors.New("the private key is encrypted; set ssl.key.password")
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	var scheme struct{ Derivation, Cipher pkix.AlgorithmIdentifier }
	var derivation struct {
		Salt   []byte
		Rounds int
		Length int                      `asn1:"optional"`
		PRF    pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	var iv []byte
	damaged := errors.New("the encrypted private key is damaged")
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, damaged
	}
	if !info.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, fmt.Errorf("the private key is encrypted by scheme %v; only PBES2 is supported (openssl pkcs8 -topk8 -v2 aes256)", info.Algorithm.Algorithm)
	}
	if _, err := asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, damaged
	}
	if !scheme.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, errors.New("the private key is encrypted with a key derivation other than PBKDF2, which is not supported")
	}
	if _, err := asn1.Unmarshal(scheme.Derivation.Parameters.FullBytes, &derivation); err != nil {
		return nil, damaged
	}
	newHash := sha1.New // the default of RFC 8018
	if derivation.PRF.Algorithm != nil {
		newHash = pbkdf2Hashes[derivation.PRF.Algorithm.String()]
	}
	suite, known := pbes2Ciphers[scheme.Cipher.Algorithm.String()]
	if newHash == nil || !known {
		return nil, errors.New("the private key is encrypted with a hash or cipher that is not supported; use AES and SHA-2")
	}
	if _, err := asn1.Unmarshal(scheme.Cipher.Parameters.FullBytes, &iv); err != nil || derivation.Rounds < 1 || derivation.Rounds > maxPBKDF2Rounds {
		return nil, damaged
	}
	derived, err := pbkdf2.Key(newHash, password, derivation.Salt, derivation.Rounds, suite.keyBytes)
	if err != nil {
		return nil, err
	}
	block, err := suite.block(derived)
	if err != nil {
		return nil, err
	}
	if len(iv) != block.BlockSize() || len(info.Data) == 0 || len(info.Data)%block.BlockSize() != 0 {
		return nil, damaged
	}
	plain := make([]byte, len(info.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, info.Data)
	padding := int(plain[len(plain)-1])
	if padding == 0 || padding > block.BlockSize() {
		return nil, errors.New("the private key cannot be decrypted: ssl.key.password is wrong")
	}
	return plain[:len(plain)-padding], nil
}
