package kafka

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"tributary/test/cluster/certs"
)

func TestRefusalsNameOperationResourceAndPrincipal(t *testing.T) {
	identity := certs.NewAuthority(t, "authority").Issue("mirror", time.Hour)
	token := filepath.Join(t.TempDir(), "token")
	text := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"tess"}`)) + "."
	if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		props     Props
		principal string
	}{
		{Props{}, "ANONYMOUS"},
		{Props{"security.protocol": "SSL", "ssl.keystore.type": "PEM", "ssl.keystore.key": identity.Key, "ssl.keystore.certificate.chain": identity.Cert}, "CN=mirror"},
		{Props{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.jaas.config": `x.PlainLoginModule required username="ann" password="s";`}, "ann"},
		{Props{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.token.endpoint.url": "file://" + token}, "tess"},
	} {
		c.props["bootstrap.servers"] = "localhost:9"
		cfg, err := ParseConfig(RoleAdmin, c.props)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Security.SASL != nil && cfg.Security.SASL.Mechanism == MechanismOAuth {
			if _, err := cfg.Security.SASL.Token(t.Context()); err != nil { // the login that comes before any refusal
				t.Fatal(err)
			}
		}
		got := cfg.answerError(sarama.ErrTopicAuthorizationFailed, nil, OpAlterConfigs, "orders").Error()
		want := `the user ` + c.principal + ` is not allowed to alter the configuration: no rights on the topic "orders" (needs AlterConfigs)`
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
