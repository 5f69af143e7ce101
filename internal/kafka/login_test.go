package kafka

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

// The client of records (sarama) and the one of batches log in from one Config: what either would send is compared,
// for each mechanism that both have.
func TestBothClientsLogInAlike(t *testing.T) {
	text := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"ann"}`)) + "."
	server, _ := tokenServer(t, func(int) (int, string) { return 200, `{"access_token":"` + text + `"}` })
	for mechanism, pairs := range map[string][]string{
		"PLAIN":         {"sasl.jaas.config", `x.PlainLoginModule required username="ann" password="p w";`},
		"SCRAM-SHA-256": {"sasl.jaas.config", `x.ScramLoginModule required username="ann" password="pw";`},
		"SCRAM-SHA-512": {"sasl.jaas.config", `x.ScramLoginModule required username="ann" password="pw" tokenauth=true;`},
		"OAUTHBEARER": {"sasl.jaas.config", oauthJAAS + `clientId=i clientSecret=s extension_logicalCluster="lkc-1";`,
			"sasl.oauthbearer.token.endpoint.url", server.URL},
	} {
		t.Run(mechanism, func(t *testing.T) {
			c := mustParse(t, RoleProducer, append(pairs, "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", mechanism)...)
			records, err := c.sarama()
			if err != nil {
				t.Fatal(err)
			}
			sasl := records.Net.SASL
			_, first, err := c.Security.SASL.BeginLogin(t.Context(), "broker")
			if err != nil {
				t.Fatal(err)
			}
			if string(sasl.Mechanism) != c.Security.SASL.Mechanism {
				t.Errorf("%s against %s", sasl.Mechanism, c.Security.SASL.Mechanism)
			}
			batches, theirs := string(first), ""
			switch sasl.Mechanism {
			case sarama.SASLTypePlaintext:
				theirs = "\x00" + sasl.User + "\x00" + sasl.Password
			case sarama.SASLTypeOAuth:
				token, err := sasl.TokenProvider.Token()
				if err != nil {
					t.Fatal(err)
				}
				theirs = "n,,\x01auth=Bearer " + token.Token + "\x01logicalCluster=" + token.Extensions["logicalCluster"] + "\x01\x01"
			default:
				exchange := sasl.SCRAMClientGeneratorFunc()
				if err := exchange.Begin(sasl.User, sasl.Password, ""); err != nil {
					t.Fatal(err)
				}
				if theirs, err = exchange.Step(""); err != nil {
					t.Fatal(err)
				}
				// Each login has a random number of its own.
				withoutNumber := func(text string) string {
					before, after, _ := strings.Cut(text, ",r=")
					_, rest, _ := strings.Cut(after, ",")
					return before + "," + rest
				}
				batches, theirs = withoutNumber(batches), withoutNumber(theirs)
			}
			if batches != theirs {
				t.Errorf("the client of batches sends %q, the client of records %q", batches, theirs)
			}
		})
	}
	// What either knows of TLS, time limits and back-offs is one and the same dialer.
	c := mustParse(t, RoleProducer, "security.protocol", "SSL")
	records, err := c.sarama()
	if err != nil {
		t.Fatal(err)
	}
	if records.Net.TLS.Enable || !records.Net.Proxy.Enable {
		t.Errorf("sarama does TLS itself: %+v", records.Net)
	}
}
