package compat

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/test/cluster/certs"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// Certificates, trust, tokens and rights change while mirrors run on a real broker, one in each lane. Nothing is lost,
// and no task is started again.
func TestCertificatesTokensAndRightsChangeInMidRun(t *testing.T) {
	realkafka.Require(t)
	t.Parallel()
	dir := t.TempDir()
	first, second := certs.NewAuthority(t, "first"), certs.NewAuthority(t, "second")
	var proxy *realkafka.Proxy
	cluster := realkafka.StartCluster(t, realkafka.Options{JVM: []string{quickJVM}, Extra: map[string]string{
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":           "User:ANONYMOUS;User:CN=mirror;User:tess;User:otto",
	}, Listeners: []realkafka.Listener{
		{Name: "SECURE", Protocol: "SASL_PLAINTEXT", Properties: map[string]string{
			"sasl.enabled.mechanisms": "PLAIN",
			"plain.sasl.jaas.config":  plainModule + ` required user_ann="right";`,
		}},
		{Name: "TOKEN", Protocol: "SASL_PLAINTEXT", Properties: map[string]string{
			"sasl.enabled.mechanisms":      "OAUTHBEARER",
			"oauthbearer.sasl.jaas.config": oauthModule + ` required unsecuredLoginStringClaim_sub="broker";`,
			// A token's own life ends a session before that.
			"oauthbearer.connections.max.reauth.ms": "3600000",
		}},
		{Name: "TLS", Protocol: "SSL", Properties: map[string]string{
			"ssl.client.auth":   "required",
			"ssl.keystore.type": "PEM", "ssl.keystore.location": certs.File(t, dir, "broker.pem", first.Issue("broker", time.Hour, "127.0.0.1").Store()),
			"ssl.truststore.type": "PEM", "ssl.truststore.location": certs.File(t, dir, "broker-trust.pem", first.Cert()),
		}, Advertise: func(_ int, address string) string {
			proxy = realkafka.NewProxy(t, address)
			return proxy.Addr()
		}},
	}})
	t.Run("side by side", func(t *testing.T) {
		t.Run("certificates", func(t *testing.T) {
			t.Parallel()
			certificatesAreReplaced(t, cluster, proxy, dir, first, second)
		})
		t.Run("rights", func(t *testing.T) {
			t.Parallel()
			rightsChangeInMidRun(t, &guarded{kafkatest.Dial(t, cluster.Bootstrap()), t, cluster.BootstrapOf("SECURE")})
		})
		t.Run("tokens", func(t *testing.T) {
			t.Parallel()
			tokensExpire(t, cluster, dir)
		})
	})
}

func certificatesAreReplaced(t *testing.T, cluster *realkafka.Cluster, proxy *realkafka.Proxy, dir string, first, second *certs.Authority) {
	client := kafkatest.Dial(t, cluster.Bootstrap())
	issue := func(a *certs.Authority, name string) string { return a.Issue(name, time.Hour, "127.0.0.1").Store() }
	key, trust := certs.File(t, dir, "mirror.pem", issue(first, "mirror")), certs.File(t, dir, "mirror-trust.pem", first.Cert())
	l := startLanes(t, client, "certs", proxy.Addr(), `
security.protocol = SSL
ssl.keystore.type = PEM
ssl.keystore.location = `+key+`
ssl.truststore.type = PEM
ssl.truststore.location = `+trust+"\n")
	l.send()
	l.arrive()
	starts := l.starts()
	// The broker reads a store again when it is given another file.
	files := 0
	broker := func(key, text string) {
		t.Helper()
		files++
		name, file := "listener.name.tls."+key, certs.File(t, dir, fmt.Sprintf("broker-%d.pem", files), text)
		id := int32(cluster.Brokers()[0].ID())
		results, err := client.Admin().AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &file}}, id)
		if err != nil || len(results) != 1 || results[0].Err != nil {
			t.Fatalf("set %s: %+v, %v", name, results, err)
		}
		kafkatest.Await(t, patience, "the broker to use "+file, func() (bool, string) {
			described, err := client.Admin().DescribeBrokerConfigs(t.Context(), id)
			if err != nil || len(described) != 1 {
				return false, fmt.Sprint(described, err)
			}
			for _, c := range described[0].Configs {
				if c.Key == name && c.Source == kmsg.ConfigSourceDynamicBrokerConfig {
					return c.MaybeValue() == file, c.MaybeValue()
				}
			}
			return false, "not set"
		})
	}
	const keys, trusted = "ssl.keystore.location", "ssl.truststore.location"
	again := func() {
		t.Helper()
		l.send()
		l.arrive()
	}

	// As one does it: both sides trust the old and the new authority, then both show what the new one has signed, then
	// they trust that one alone, and nothing of the old is any good.
	both := first.Cert() + second.Cert()
	certs.File(t, dir, "mirror-trust.pem", both)
	broker(trusted, both)
	again() // the connections there are go on
	broker(keys, issue(second, "broker"))
	certs.File(t, dir, "mirror.pem", issue(second, "mirror"))
	proxy.Heal()
	again()
	broker(trusted, second.Cert())
	certs.File(t, dir, "mirror-trust.pem", second.Cert())
	proxy.Heal()
	again()
	if said := l.connectionTroubles(); strings.Contains(strings.Join(said, "\n"), "certificate") {
		t.Errorf("a certificate that was replaced in time is worth no complaint:\n%s", strings.Join(said, "\n"))
	}

	// Out of turn: what is wrong is said, and work goes on once it is right.
	for _, c := range []struct {
		what        string
		wrong, mend func()
		says        string
	}{
		{
			"the broker's certificate has expired",
			func() { broker(keys, second.Issue("broker", -time.Minute, "127.0.0.1").Store()) },
			func() { broker(keys, issue(second, "broker")) },
			"has expired",
		},
		{
			"the broker's certificate is of an authority that is trusted no more",
			func() { broker(keys, issue(first, "broker")) },
			func() { broker(keys, issue(second, "broker")) },
			"unknown authority",
		},
		{
			"the mirror's own certificate is of an authority that brokers trust no more",
			func() { certs.File(t, dir, "mirror.pem", issue(first, "mirror")) },
			func() { certs.File(t, dir, "mirror.pem", issue(second, "mirror")) },
			"certificate",
		},
	} {
		told := len(complaints(l.Log()))
		c.wrong()
		proxy.Heal()
		l.send()
		kafkatest.Await(t, patience, "a word about it: "+c.what, func() (bool, string) {
			said := complaints(l.Log())[told:]
			for _, line := range said {
				if strings.Contains(line, proxy.Addr()) && strings.Contains(line, c.says) {
					return true, line
				}
			}
			return false, strings.Join(said, "\n")
		})
		c.mend()
		l.arrive()
	}
	if now := l.starts(); now != starts {
		t.Errorf("%d tasks were started again", now-starts)
	}
	l.stop()
	if !strings.Contains(l.Log(), "key and trust stores were read again after a change") {
		t.Error("that stores were read again is not said")
	}
}

// tokenLife is how long the tokens of this test hold. Brokers end the session of a connection with its token.
const tokenLife = 8 * time.Second

// tokensExpire has tokens from a file, which the test renews, and from an endpoint, which the test serves.
func tokensExpire(t *testing.T, cluster *realkafka.Cluster, dir string) {
	client, brokers := kafkatest.Dial(t, cluster.Bootstrap()), cluster.BootstrapOf("TOKEN")
	file := startTokenFile(t, dir)
	endpoint := startTokenEndpoint(t)
	const keys = "security.protocol = SASL_PLAINTEXT\nsasl.mechanism = OAUTHBEARER\n"
	fromFile := startLanes(t, client, "file", brokers, keys+`
sasl.jaas.config = `+oauthModule+` required;
sasl.oauthbearer.token.endpoint.url = file://`+file.path+"\n")
	fromEndpoint := startLanes(t, client, "endpoint", brokers, keys+`
sasl.jaas.config = `+oauthModule+` required clientId="otto" clientSecret="hush-hush";
sasl.oauthbearer.token.endpoint.url = `+endpoint.URL+"\n")
	all := []*twoLanes{fromFile, fromEndpoint}
	send := func() {
		for _, l := range all {
			l.send()
		}
	}
	arrive := func() {
		t.Helper()
		for _, l := range all {
			l.arrive()
		}
	}
	// goOn mirrors at an even pace for a while.
	goOn := func(while time.Duration) {
		t.Helper()
		pace := time.NewTicker(100 * time.Millisecond)
		defer pace.Stop()
		for until := time.Now().Add(while); time.Now().Before(until); <-pace.C {
			send()
		}
		arrive()
	}
	send()
	arrive()
	starts, given := map[*twoLanes]int{}, endpoint.given.Load()
	for _, l := range all {
		starts[l] = l.starts()
	}
	goOn(3 * tokenLife / 2)
	for _, l := range all {
		if said := l.connectionTroubles(); len(said) > 0 {
			t.Errorf("tokens that are renewed in time are worth no complaint:\n%s", strings.Join(said, "\n"))
		}
	}
	if more := endpoint.given.Load() - given; more < 1 {
		t.Error("the endpoint was asked for no other token, though the first has ended")
	}

	// Renewed no more, the tokens end, and with them what brokers let them do; for a moment, or the group would miss the worker.
	for _, c := range []struct {
		lanes *twoLanes
		stop  *atomic.Bool
		says  []string
	}{
		{fromEndpoint, &endpoint.shut, []string{brokers, "no OAuth token from " + endpoint.URL, "403"}},
		{fromFile, &file.kept, []string{brokers, "refuses the login: check sasl.jaas.config", "the token of sasl.oauthbearer.token.endpoint.url has expired at "}},
	} {
		c.stop.Store(true)
		kafkatest.Await(t, patience, "a word about the token", func() (bool, string) {
			said := complaints(c.lanes.Log())
			for _, line := range said {
				if containsAll(line, c.says) {
					return true, line
				}
			}
			return false, strings.Join(said, "\n")
		})
		c.stop.Store(false)
		send()
		arrive()
	}
	goOn(tokenLife / 2)
	for _, l := range all {
		if now := l.starts(); now != starts[l] {
			t.Errorf("%d tasks were started again", now-starts[l])
		}
		l.stop()
		if strings.Contains(l.Log(), "hush-hush") {
			t.Error("the log shows the secret")
		}
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// tokenFile is a file with a token that somebody renews all the time, unless it is kept as it is.
type tokenFile struct {
	path string
	kept atomic.Bool
}

func startTokenFile(t *testing.T, dir string) *tokenFile {
	f := &tokenFile{path: certs.File(t, dir, "token", unsigned("tess", tokenLife))}
	ended := make(chan struct{})
	var renewing sync.WaitGroup
	renewing.Go(func() {
		tick := time.NewTicker(tokenLife / 8)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			if f.kept.Load() {
				continue
			}
			err := os.WriteFile(f.path+".next", []byte(unsigned("tess", tokenLife)), 0o600)
			if err == nil {
				err = os.Rename(f.path+".next", f.path)
			}
			if err != nil {
				t.Errorf("renew the token: %v", err)
			}
		}
	})
	t.Cleanup(func() {
		close(ended)
		renewing.Wait()
	})
	return f
}

// tokenEndpoint gives short tokens for client credentials, unless it is shut.
type tokenEndpoint struct {
	*httptest.Server
	given atomic.Int32
	shut  atomic.Bool
}

func startTokenEndpoint(t *testing.T) *tokenEndpoint {
	e := &tokenEndpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if e.shut.Load() || id != "otto" || secret != "hush-hush" || r.FormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		e.given.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"%s","token_type":"Bearer","expires_in":%d}`, unsigned(id, tokenLife), int(tokenLife.Seconds()))
	}))
	t.Cleanup(e.Close)
	return e
}
