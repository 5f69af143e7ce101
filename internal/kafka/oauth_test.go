package kafka

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const oauthJAAS = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "

// oauth parses a configuration with an OAUTHBEARER login.
func oauth(t *testing.T, url, jaasOptions string, pairs ...string) *SASL {
	t.Helper()
	return mustParse(t, RoleAdmin, append([]string{"security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "OAUTHBEARER",
		"sasl.oauthbearer.token.endpoint.url", url, "sasl.jaas.config", oauthJAAS + jaasOptions + ";"}, pairs...)...).Security.SASL
}

func jwt(exp int64) string {
	payload := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":"me","exp":%d}`, exp))
	return "e30." + payload + ".c2ln"
}

// seenRequest is what a token endpoint was asked.
type seenRequest struct{ authorization, body, accept string }

func tokenServer(t *testing.T, answer func(n int) (int, string)) (*httptest.Server, *[]seenRequest) {
	t.Helper()
	var seen []seenRequest
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, seenRequest{r.Header.Get("Authorization"), string(body), r.Header.Get("Accept")})
		code, text := answer(len(seen))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	return server, &seen
}

func TestClientCredentialsAreSentAsJavaSendsThem(t *testing.T) {
	exp := time.Now().Add(time.Hour).Unix()
	server, seen := tokenServer(t, func(int) (int, string) { return 200, `{"access_token":"` + jwt(exp) + `","expires_in":60}` })
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	const id, secret = "sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.client.credentials.client.secret"
	for _, c := range []struct {
		jaas  string
		pairs []string
		want  seenRequest
	}{
		{"", []string{id, "my id", secret, "s:e/c+r", "sasl.oauthbearer.scope", "read"}, seenRequest{basic("my id:s:e/c+r"), "grant_type=client_credentials&scope=read", "application/json"}},
		{"", []string{id, "my id", secret, "s/c", "sasl.oauthbearer.header.urlencode", "true"}, seenRequest{basic("my+id:s%2Fc"), "grant_type=client_credentials", "application/json"}},
		{`clientId="old" clientSecret="way" scope="s"`, nil, seenRequest{basic("old:way"), "grant_type=client_credentials&scope=s", "application/json"}},
		{`clientId="old" clientSecret="way"`, []string{id, "new"}, seenRequest{basic("new:way"), "grant_type=client_credentials", "application/json"}},
	} {
		*seen = nil
		token, err := oauth(t, server.URL, c.jaas, c.pairs...).Token(context.Background())
		if err != nil {
			t.Errorf("%q %q: %v", c.jaas, c.pairs, err)
			continue
		}
		if diff := cmp.Diff([]seenRequest{c.want}, *seen, cmp.AllowUnexported(seenRequest{})); diff != "" {
			t.Errorf("%q %q: request (-want +got)\n%s", c.jaas, c.pairs, diff)
		}
		// The token's own time of expiry is the one that brokers check.
		if token.Value.Reveal() != jwt(exp) || token.Expires.Unix() != exp {
			t.Errorf("token expires %v, want %v", token.Expires, time.Unix(exp, 0))
		}
	}
}

func TestTokenExtensionsReachSarama(t *testing.T) {
	server, _ := tokenServer(t, func(int) (int, string) { return 200, `{"access_token":"opaque","expires_in":60}` })
	s := mustSarama(t, RoleAdmin, "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "OAUTHBEARER", "sasl.oauthbearer.token.endpoint.url", server.URL,
		"sasl.jaas.config", oauthJAAS+`clientId=i clientSecret=s extension_logicalCluster="lkc-1";`)
	token, err := s.Net.SASL.TokenProvider.Token()
	if err != nil {
		t.Fatal(err)
	}
	if token.Token != "opaque" || token.Extensions["logicalCluster"] != "lkc-1" || len(token.Extensions) != 1 {
		t.Errorf("token %q with %v", token.Token, token.Extensions)
	}
}

func TestRefusedCredentialsAreNotTriedAgain(t *testing.T) {
	server, seen := tokenServer(t, func(int) (int, string) { return 401, `{"error":"invalid_client"}` })
	_, err := oauth(t, server.URL, `clientId=i clientSecret=hush`).Token(context.Background())
	if err == nil || !strings.Contains(err.Error(), "invalid_client") || strings.Contains(err.Error(), "hush") || len(*seen) != 1 {
		t.Errorf("%d requests, error %v", len(*seen), err)
	}
}

// A server may repeat in its error what it was sent.
func TestSecretsThatATokenServerRepeatsAreHidden(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("i:hush+hush"))
	server, _ := tokenServer(t, func(int) (int, string) {
		return 401, `{"error":"invalid_client","error_description":"i:hush+hush is wrong, as is Basic ` + basic + `"}`
	})
	_, err := oauth(t, server.URL, `clientId=i clientSecret="hush+hush"`).Token(context.Background())
	if err == nil || !strings.Contains(err.Error(), "invalid_client") || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), basic) {
		t.Errorf("error %v", err)
	}
}

func TestServerErrorsAreTriedAgain(t *testing.T) {
	server, seen := tokenServer(t, func(n int) (int, string) {
		if n < 3 {
			return 503, "busy"
		}
		return 200, `{"access_token":"x"}`
	})
	token, err := oauth(t, server.URL, `clientId=i clientSecret=s`, "sasl.login.retry.backoff.ms", "1").Token(context.Background())
	if err != nil || token.Value != "x" || len(*seen) != 3 {
		t.Errorf("%d requests, token %q, error %v", len(*seen), token.Value.Reveal(), err)
	}
}

func TestTokenEndpointIsTrustedByItsOwnOptions(t *testing.T) {
	var calls atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"secure"}`)
	}))
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	file := write(t, "endpoint.pem", []byte(certificate))
	token, err := oauth(t, server.URL, `clientId=i clientSecret=s ssl.truststore.location="`+file+`"`).Token(context.Background())
	if err != nil || token.Value != "secure" {
		t.Errorf("token %q, %v", token.Value.Reveal(), err)
	}
	if _, err := oauth(t, server.URL, `clientId=i clientSecret=s`, "sasl.login.retry.backoff.max.ms", "0").Token(context.Background()); err == nil || calls.Load() != 1 {
		t.Errorf("an endpoint of unknown authority was asked: %v", err)
	}
	_, err = ParseConfig(RoleAdmin, with(RoleAdmin, "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "OAUTHBEARER", "sasl.oauthbearer.token.endpoint.url", server.URL,
		"sasl.jaas.config", oauthJAAS+`clientId=i clientSecret=s ssl.truststore.location="/absent";`))
	if got := keyErrors(t, err)["sasl.jaas.config"]; got == nil || !strings.Contains(got.Reason, "ssl.truststore.location") {
		t.Errorf("a missing trust store gives %v", err)
	}
}

func TestTokenFileIsRead(t *testing.T) {
	exp := time.Now().Add(time.Hour).Unix()
	path := write(t, "token", []byte(jwt(exp)+"\n"))
	s := oauth(t, "file://"+path, "", "sasl.login.callback.handler.class", oauthPackage+"OAuthBearerLoginCallbackHandler")
	token, err := s.Token(context.Background())
	if err != nil || token.Value.Reveal() != jwt(exp) || token.Expires.Unix() != exp {
		t.Errorf("token expires %v, %v", token.Expires, err)
	}
}

func TestWrongOAuthSettingsAreNamed(t *testing.T) {
	const url = "sasl.oauthbearer.token.endpoint.url"
	for _, c := range []struct{ url, jaas, key string }{
		{"ftp://x", "", url},
		{"file:///does/not/exist", "", url},
		{"http://x", `clientSecret=s`, "sasl.oauthbearer.client.credentials.client.id"},
		{"http://x", `clientId=i`, "sasl.oauthbearer.client.credentials.client.secret"},
	} {
		_, err := ParseConfig(RoleAdmin, with(RoleAdmin, "security.protocol", "SASL_SSL", "sasl.mechanism", "OAUTHBEARER", url, c.url, "sasl.jaas.config", oauthJAAS+c.jaas+";"))
		if keyErrors(t, err)[c.key] == nil {
			t.Errorf("%s %s: %v, want an error for %s", c.url, c.jaas, err, c.key)
		}
	}
	_, err := ParseConfig(RoleAdmin, with(RoleAdmin, "sasl.oauthbearer.jwt.retriever.class", oauthPackage+"JwtBearerJwtRetriever"))
	if keyErrors(t, err)["sasl.oauthbearer.jwt.retriever.class"] == nil {
		t.Errorf("a retriever that does not exist gives %v", err)
	}
}

// TestTokensAreRenewedInTime: 80 % of a token's life after it was fetched, the next login fetches.
func TestTokensAreRenewedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fetched := 0
		var broken error
		source := newTokenSource(0.8, func(context.Context) (OAuthToken, error) {
			fetched++
			return OAuthToken{Value: Secret(fmt.Sprint("token ", fetched)), Expires: time.Now().Add(100 * time.Second)}, broken
		})
		expect := func(want string, calls int) {
			t.Helper()
			got, err := source.token(context.Background())
			if err != nil || got.Value.Reveal() != want || fetched != calls {
				t.Errorf("token %q, %v after %d calls, want %q after %d", got.Value.Reveal(), err, fetched, want, calls)
			}
		}
		expect("token 1", 1)
		time.Sleep(79 * time.Second)
		expect("token 1", 1)
		time.Sleep(2 * time.Second)
		expect("token 2", 2)
		time.Sleep(85 * time.Second)
		broken = errors.New("endpoint is down")
		expect("token 2", 3)
		time.Sleep(20 * time.Second)
		if _, err := source.token(context.Background()); !errors.Is(err, broken) {
			t.Errorf("an expired token is handed out, error %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		source.turn <- struct{}{}
		if _, err := source.token(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting for another caller ends with %v", err)
		}
	})
}

// TestAnEndpointThatHangsHoldsNoLoginUpWhileTheTokenHolds: the worker's heartbeats are behind such logins.
func TestAnEndpointThatHangsHoldsNoLoginUpWhileTheTokenHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fetched, began := 0, time.Now()
		source := newTokenSource(0.8, func(ctx context.Context) (OAuthToken, error) {
			if fetched++; fetched > 1 {
				<-ctx.Done()
				return OAuthToken{}, ctx.Err()
			}
			return OAuthToken{Value: "first", Expires: time.Now().Add(100 * time.Second)}, nil
		})
		expect := func(at, wantsTime time.Duration, calls int) {
			t.Helper()
			time.Sleep(at - time.Since(began))
			asked := time.Now()
			got, err := source.token(context.Background())
			if err != nil || got.Value != "first" || time.Since(asked) != wantsTime || fetched != calls {
				t.Errorf("after %s, %d calls: %v in %s", at, fetched, err, time.Since(asked))
			}
		}
		expect(0, 0, 1)
		expect(81*time.Second, renewTimeout, 2)
		expect(85*time.Second, 0, 2)
		expect(90*time.Second, renewTimeout, 3)
		time.Sleep(10 * time.Second)
		asked := time.Now()
		if _, err := source.token(context.Background()); err == nil || time.Since(asked) != tokenTimeout {
			t.Errorf("an expired token is handed out after %s, error %v", time.Since(asked), err)
		}
	})
}
