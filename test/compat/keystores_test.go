package compat

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"tributary/test/cluster/certs"
)

const storePassword = "st0re-pass"

// keytoolStores has keytool write an identity and its authority into stores of a type, and returns the client properties
// that name them.
func keytoolStores(t *testing.T, kind string, identity certs.Identity, authority *certs.Authority) []string {
	t.Helper()
	dir := t.TempDir()
	pair, err := tls.X509KeyPair([]byte(identity.Cert), []byte(identity.Key))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	// keytool reads keys from a store alone.
	packed, err := pkcs12.Legacy.Encode(pair.PrivateKey, leaf, nil, storePassword)
	if err != nil {
		t.Fatal(err)
	}
	from, keys, trust := filepath.Join(dir, "from"), filepath.Join(dir, "keys"), filepath.Join(dir, "trust")
	if err := os.WriteFile(from, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	program := "keytool"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		program = filepath.Join(home, "bin", program)
	}
	for _, args := range [][]string{
		{"-importkeystore", "-srckeystore", from, "-srcstoretype", "PKCS12", "-srcstorepass", storePassword, "-destkeystore", keys, "-deststoretype", kind, "-deststorepass", storePassword, "-noprompt"},
		{"-importcert", "-noprompt", "-alias", "authority", "-file", certs.File(t, dir, "authority.pem", authority.Cert()), "-keystore", trust, "-storetype", kind, "-storepass", storePassword},
	} {
		if output, err := exec.Command(program, append(args, "-J-XX:TieredStopAtLevel=1")...).CombinedOutput(); err != nil {
			t.Fatalf("keytool %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
	return []string{
		"ssl.keystore.type", kind, "ssl.keystore.location", keys, "ssl.keystore.password", storePassword, "ssl.key.password", storePassword,
		"ssl.truststore.type", kind, "ssl.truststore.location", trust, "ssl.truststore.password", storePassword,
	}
}
