package rawkafka

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/internal/kafka"
	"tributary/test/cluster/certs"
)

// seen is what a broker and a token endpoint see of one attempt to connect.
type seen struct {
	Refused     string // the configuration's error; nothing is connected then
	TLS         bool
	ServerName  string
	Versions    []uint16
	Suites      []uint16
	Certificate string // the subject that the client shows
	Handshake   string // why the handshake failed, by the broker
	ClientID    string
	Mechanism   string
	Login       string   // what is sent first, without its random number
	Tokens      []string // requests for tokens
}

// watcher is a broker that sees how a client comes in, and lets none further.
type watcher struct {
	net.Listener
	identity tls.Certificate
	results  chan seen
	serving  sync.WaitGroup
}

func startWatcher(t *testing.T, identity certs.Identity) *watcher {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(identity.Cert), []byte(identity.Key))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{Listener: listener, identity: pair, results: make(chan seen, 100)}
	w.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.serving.Go(func() {
				defer conn.Close()
				w.results <- w.watch(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		w.serving.Wait()
	})
	return w
}

// peeked is a connection of which something was read ahead.
type peeked struct {
	net.Conn
	reader *bufio.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.reader.Read(b) }

func (w *watcher) watch(raw net.Conn) (s seen) {
	_ = raw.SetDeadline(time.Now().Add(patience))
	var conn net.Conn = peeked{raw, bufio.NewReader(raw)}
	const handshakeRecord = 0x16
	if first, err := conn.(peeked).reader.Peek(1); err == nil && first[0] == handshakeRecord {
		s.TLS = true
		secured := tls.Server(conn, &tls.Config{
			ClientAuth: tls.RequestClientCert, Certificates: []tls.Certificate{w.identity},
			GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				s.ServerName, s.Versions, s.Suites = hello.ServerName, hello.SupportedVersions, hello.CipherSuites
				return nil, nil
			},
		})
		if err := secured.Handshake(); err != nil {
			s.Handshake = err.Error()
			return s
		}
		if shown := secured.ConnectionState().PeerCertificates; len(shown) > 0 {
			s.Certificate = shown[0].Subject.String()
		}
		conn = secured
	}
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(conn, head); err != nil {
			return s
		}
		request := make([]byte, binary.BigEndian.Uint32(head))
		if _, err := io.ReadFull(conn, request); err != nil || len(request) < 10 {
			return s
		}
		key, version := int16(binary.BigEndian.Uint16(request)), int16(binary.BigEndian.Uint16(request[2:]))
		idEnds := 10 + int(binary.BigEndian.Uint16(request[8:]))
		s.ClientID = string(request[10:idEnds])
		kind := kmsg.RequestForKey(key)
		if kind == nil {
			return s
		}
		kind.SetVersion(version)
		body := request[idEnds:]
		if kind.IsFlexible() {
			body = body[1:] // the header's tagged fields, of which there are none
		}
		if err := kind.ReadFrom(body); err != nil {
			return s
		}
		var answer kmsg.Response
		last := false
		switch k := kind.(type) {
		case *kmsg.ApiVersionsRequest:
			resp := k.ResponseKind().(*kmsg.ApiVersionsResponse)
			for _, known := range []kmsg.Key{kmsg.Produce, kmsg.Fetch, kmsg.Metadata, kmsg.SASLHandshake, kmsg.ApiVersions, kmsg.SASLAuthenticate} {
				resp.ApiKeys = append(resp.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: int16(known), MaxVersion: min(9, kmsg.RequestForKey(int16(known)).MaxVersion())})
			}
			answer = resp
		case *kmsg.SASLHandshakeRequest:
			s.Mechanism = k.Mechanism
			resp := k.ResponseKind().(*kmsg.SASLHandshakeResponse)
			resp.SupportedMechanisms = []string{k.Mechanism}
			answer = resp
		case *kmsg.SASLAuthenticateRequest:
			s.Login, last = withoutNumber(string(k.SASLAuthBytes)), true
			resp := k.ResponseKind().(*kmsg.SASLAuthenticateResponse)
			const authenticationFailed = 58
			resp.ErrorCode = authenticationFailed
			answer = resp
		default:
			return s
		}
		out := append(make([]byte, 4), request[4:8]...)
		if answer.IsFlexible() && key != int16(kmsg.ApiVersions) {
			out = append(out, 0)
		}
		out = answer.AppendTo(out)
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := conn.Write(out); err != nil || last {
			return s
		}
	}
}

var scramNumber = regexp.MustCompile(`,r=[^,]*`)

func withoutNumber(login string) string { return scramNumber.ReplaceAllString(login, ",r=") }

// lanes connect to a broker in the way that tasks of each lane do, and return once they failed or got through.
var lanes = map[string]func(ctx context.Context, t *testing.T, client *kafka.Client, cfg *kafka.Config, addr string){
	"record": func(ctx context.Context, _ *testing.T, client *kafka.Client, _ *kafka.Config, _ string) {
		_ = client.Await(ctx)
	},
	"raw": func(ctx context.Context, _ *testing.T, client *kafka.Client, cfg *kafka.Config, addr string) {
		if conn, err := dial(ctx, client, cfg, addr); err == nil {
			conn.close()
		}
	},
}

// see connects once and returns what was seen of it.
func see(t *testing.T, lane string, role kafka.Role, broker *watcher, endpoint *tokenGiver, props kafka.Props) seen {
	t.Helper()
	endpoint.reset()
	props = maps.Clone(props)
	props["bootstrap.servers"] = broker.Addr().String()
	cfg, err := kafka.ParseConfig(role, props)
	if err != nil {
		return seen{Refused: err.Error()}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// The record lane would try again after it has said what is wrong.
	client, err := kafka.NewClient(cfg, slog.New(slog.NewTextHandler(atFirstWord(cancel), nil)))
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { lanes[lane](ctx, t, client, cfg, broker.Addr().String()) })
	var s seen
	select {
	case s = <-broker.results:
	case <-time.After(patience):
		t.Fatalf("%s: nothing has come to the broker", lane)
	}
	cancel()
	running.Wait()
	client.Close()
	s.Tokens = endpoint.reset()
	return s
}

// atFirstWord is called when something is logged.
type atFirstWord func()

func (f atFirstWord) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// tokenGiver gives tokens and tells what it was asked.
type tokenGiver struct {
	*httptest.Server
	mu      sync.Mutex
	asked   []string
	busy    int
	pending time.Duration
}

func startTokenGiver(t *testing.T, subject string) *tokenGiver {
	g := &tokenGiver{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		g.mu.Lock()
		g.asked = append(g.asked, r.Header.Get("Authorization")+" "+string(body))
		busy, pending := len(g.asked) <= g.busy, g.pending
		g.mu.Unlock()
		select {
		case <-time.After(pending):
		case <-r.Context().Done():
		}
		if busy {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"%s","expires_in":3600}`, token(subject))
	}))
	t.Cleanup(g.Close)
	return g
}

// reset forgets what was asked, and returns it.
func (g *tokenGiver) reset() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := g.asked
	g.asked = nil
	return asked
}

func token(subject string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":"%s","exp":%d}`, subject, 4102444800)) + ".c2ln"
}

// ofTokens are keys whose effect no broker sees: they are read by the one source of tokens that a configuration has, which
// both lanes ask. Its own tests are in internal/kafka.
var ofTokens = []string{"sasl.login.connect.timeout.ms", "sasl.login.refresh.window.factor"}

// byContent are keys that neither lane follows: stores are known by what they hold.
var byContent = []string{"ssl.keystore.type", "ssl.truststore.type"}

// Every security key of Java's clients does the same in both lanes: what a broker and a token endpoint see of a client is
// compared, with the key at one value and at another.
func TestBothLanesAgreeOnEverySecurityKey(t *testing.T) {
	dir := t.TempDir()
	authority, other := certs.NewAuthority(t, "authority"), certs.NewAuthority(t, "other")
	broker := startWatcher(t, authority.Issue("broker", time.Hour, "127.0.0.1"))
	elsewhere := startWatcher(t, authority.Issue("broker", time.Hour, "elsewhere.example"))
	one, two := authority.Issue("one", time.Hour), authority.Issue("two", time.Hour)
	stores := map[string]string{}
	for name, text := range map[string]string{"one": one.Store(), "two": two.Store(), "trust": authority.Cert(), "distrust": other.Cert(), "token-x": token("x"), "token-y": token("y")} {
		stores[name] = certs.File(t, dir, name, text)
	}
	testdata := func(name string) string { return filepath.Join("..", "kafka", "testdata", name) }
	giver, slowGiver := startTokenGiver(t, "ann"), startTokenGiver(t, "ann")
	slowGiver.pending = 300 * time.Millisecond
	t.Setenv("KRB5_CONFIG", filepath.Join(dir, "absent"))

	type props = kafka.Props
	secure := props{"security.protocol": "SSL", "ssl.truststore.location": stores["trust"]}
	plain := props{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.jaas.config": `x.PlainLoginModule required username="ann" password="one";`}
	const oauthModule = "x.OAuthBearerLoginModule required "
	oauth := props{
		"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.token.endpoint.url": giver.URL, "sasl.jaas.config": oauthModule + ";",
		"sasl.oauthbearer.client.credentials.client.id": "id", "sasl.oauthbearer.client.credentials.client.secret": "secret",
	}
	with := func(base props, pairs ...string) props {
		base = maps.Clone(base)
		for i := 0; i < len(pairs); i += 2 {
			base[pairs[i]] = pairs[i+1]
		}
		return base
	}
	tls12 := with(secure, "ssl.enabled.protocols", "TLSv1.2")
	const oauthPackage = "org.apache.kafka.common.security.oauthbearer."
	type keyCase struct {
		base   props
		values [2]string
		at     *watcher // nil for broker
		busy   int      // so many requests for tokens are answered that the endpoint is busy
		slow   bool     // another endpoint is asked, which takes its time; requests that are given up may come late, and are not compared
	}
	cases := map[string]keyCase{
		"client.id":         {base: props{}, values: [2]string{"one", "two"}},
		"security.protocol": {base: with(secure, "security.protocol", ""), values: [2]string{"PLAINTEXT", "ssl"}},

		"ssl.protocol":                          {base: with(secure, "ssl.enabled.protocols", ""), values: [2]string{"TLSv1.2", "TLSv1.3"}},
		"ssl.enabled.protocols":                 {base: secure, values: [2]string{"TLSv1.2", "TLSv1.2,TLSv1.3"}},
		"ssl.cipher.suites":                     {base: tls12, values: [2]string{"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"}},
		"ssl.endpoint.identification.algorithm": {base: secure, values: [2]string{"https", ""}, at: elsewhere},
		"ssl.keystore.location":                 {base: secure, values: [2]string{stores["one"], stores["two"]}},
		"ssl.keystore.password":                 {base: with(secure, "ssl.keystore.location", testdata("client.p12")), values: [2]string{"changeit", "mistaken"}},
		"ssl.key.password": {
			base:   with(secure, "ssl.keystore.location", testdata("client.jks"), "ssl.keystore.password", "storepass"),
			values: [2]string{"keypass1", "mistaken"},
		},
		"ssl.keystore.key":               {base: with(secure, "ssl.keystore.certificate.chain", one.Cert), values: [2]string{one.Key, two.Key}},
		"ssl.keystore.certificate.chain": {base: with(secure, "ssl.keystore.key", one.Key), values: [2]string{one.Cert, two.Cert}},
		"ssl.truststore.location":        {base: secure, values: [2]string{stores["trust"], stores["distrust"]}},
		"ssl.truststore.password":        {base: with(secure, "ssl.truststore.location", testdata("trust.jks")), values: [2]string{"changeit", "mistaken"}},
		"ssl.truststore.certificates":    {base: props{"security.protocol": "SSL"}, values: [2]string{authority.Cert(), other.Cert()}},

		"sasl.mechanism": {base: with(plain, "sasl.jaas.config", `x.ScramLoginModule required username="ann" password="one";`), values: [2]string{"SCRAM-SHA-256", "SCRAM-SHA-512"}},
		"sasl.jaas.config": {base: plain, values: [2]string{
			`x.PlainLoginModule required username="ann" password="one";`, `x.PlainLoginModule required username="ann" password="two";`,
		}},
		"sasl.kerberos.service.name": {
			base:   with(plain, "sasl.mechanism", "GSSAPI", "sasl.jaas.config", `x.Krb5LoginModule required principal="ann@REALM" password="p" serviceName="kafka";`),
			values: [2]string{"kafka", "another"},
		},
		"sasl.login.callback.handler.class":                 {base: oauth, values: [2]string{oauthPackage + "OAuthBearerLoginCallbackHandler", "com.example.Handler"}},
		"sasl.oauthbearer.jwt.retriever.class":              {base: oauth, values: [2]string{oauthPackage + "ClientCredentialsJwtRetriever", oauthPackage + "JwtBearerJwtRetriever"}},
		"sasl.oauthbearer.token.endpoint.url":               {base: oauth, values: [2]string{"file://" + stores["token-x"], "file://" + stores["token-y"]}},
		"sasl.oauthbearer.client.credentials.client.id":     {base: oauth, values: [2]string{"one", "two"}},
		"sasl.oauthbearer.client.credentials.client.secret": {base: oauth, values: [2]string{"one", "two"}},
		"sasl.oauthbearer.scope":                            {base: oauth, values: [2]string{"read", "write"}},
		"sasl.oauthbearer.header.urlencode":                 {base: with(oauth, "sasl.oauthbearer.client.credentials.client.id", "a b"), values: [2]string{"true", "false"}},
		"sasl.login.retry.backoff.ms":                       {base: with(oauth, "sasl.login.retry.backoff.max.ms", "5000"), values: [2]string{"1", "9000"}, busy: 1},
		"sasl.login.retry.backoff.max.ms":                   {base: with(oauth, "sasl.login.retry.backoff.ms", "10"), values: [2]string{"5000", "0"}, busy: 1},
		"sasl.login.read.timeout.ms":                        {base: with(oauth, "sasl.login.retry.backoff.max.ms", "0"), values: [2]string{"60000", "20"}, slow: true},
	}

	keys := javaSecurityKeys(t)
	for key := range cases {
		if !slices.Contains(keys, key) {
			t.Errorf("%s is no security key of Java's", key)
		}
	}
	for _, key := range keys {
		t.Run(key, func(t *testing.T) {
			if warnings := ignoredBy(t, kafka.RoleProducer, key); warnings != "" {
				if consumers := ignoredBy(t, kafka.RoleConsumer, key); consumers != warnings {
					t.Errorf("producers say %q, consumers %q", warnings, consumers)
				}
				if _, both := cases[key]; both {
					t.Errorf("it is said to do nothing (%s), and has a case all the same", warnings)
				}
				return
			}
			if slices.Contains(ofTokens, key) || slices.Contains(byContent, key) {
				return
			}
			c, known := cases[key]
			if !known {
				t.Fatal("the test has no case for it")
			}
			at := c.at
			if at == nil {
				at = broker
			}
			giver.mu.Lock()
			giver.busy = c.busy
			giver.mu.Unlock()
			var record [2]seen
			for i, value := range c.values {
				set := with(c.base, key, value)
				if c.slow {
					set["sasl.oauthbearer.token.endpoint.url"] = slowGiver.URL
				}
				for _, role := range []kafka.Role{kafka.RoleProducer, kafka.RoleConsumer} {
					byLane := map[string]seen{}
					for lane := range lanes {
						byLane[lane] = see(t, lane, role, at, giver, set)
					}
					if diff := cmp.Diff(byLane["record"], byLane["raw"]); diff != "" {
						t.Errorf("%s = %.60q as %s: the lanes differ (-record +raw):\n%s", key, value, role, diff)
					}
					record[i] = byLane["record"]
				}
			}
			if cmp.Equal(record[0], record[1]) {
				t.Errorf("%.60q and %.60q make no difference: %+v", c.values[0], c.values[1], record[0])
			}
		})
	}
}

// javaSecurityKeys are those that Java's producers and consumers know.
func javaSecurityKeys(t *testing.T) (keys []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "kafka", "testdata", "java_client_keys.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(line, "\t")
		if len(fields) < 2 || fields[0] != "producer" {
			continue
		}
		for _, prefix := range []string{"ssl.", "sasl.", "security.", "client.id"} {
			if strings.HasPrefix(fields[1], prefix) {
				keys = append(keys, fields[1])
			}
		}
	}
	if len(keys) < 60 {
		t.Fatalf("only %d keys", len(keys))
	}
	return keys
}

// ignoredBy is the warning about a key that has no effect, "" if it has one.
func ignoredBy(t *testing.T, role kafka.Role, key string) string {
	t.Helper()
	for _, value := range []string{"1", "0.1", "true", "RS256"} {
		cfg, err := kafka.ParseConfig(role, kafka.Props{"bootstrap.servers": "b:1", key: value})
		if err != nil {
			continue // not of its type
		}
		for _, warning := range cfg.Warnings() {
			if strings.Contains(warning, key) {
				return strings.ReplaceAll(warning, value, "VALUE")
			}
		}
	}
	return ""
}
