package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/api"
	"tributary/connect/cli"
	"tributary/internal/buildinfo"
	"tributary/internal/localkafka"
	"tributary/test/cluster"
)

var programs = []cluster.Program{cluster.MirrorMaker, cluster.Distributed}

func TestVersionAndHelp(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		w := cluster.StartArgs(t, p, "--version")
		requireEqual(t, "exit code of --version", cli.ExitOK, w.ExitCode())
		requireEqual(t, "version", []string{fmt.Sprintf("%s %s (commit %s)", p.Name, buildinfo.Version, buildinfo.Commit)}, w.Log.Lines())

		w = cluster.StartArgs(t, p, "--help")
		requireEqual(t, "exit code of --help", cli.ExitOK, w.ExitCode())
		requireText(t, strings.Join(w.Log.Lines(), "\n"), "Usage: "+p.Name, "properties", "--version", "Print the version and exit.")
	}
}

func TestWrongArgumentsAreSaidWithTheWayToHelp(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		for _, args := range [][]string{{}, {"--nonsense", "file"}, {"one.properties", "two.properties"}} {
			w := cluster.StartArgs(t, p, args...)
			requireEqual(t, fmt.Sprintf("exit code of %s %q", p.Name, args), cli.ExitUsage, w.ExitCode())
			requireText(t, strings.Join(w.Log.Lines(), "\n"), p.Name+": ", "Try "+p.Name+" --help.")
		}
	}
}

func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.properties")
	if err := os.WriteFile(bad, []byte("bootstrap.servers=a:1\nkey=\\u12\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		for _, test := range []struct {
			path string
			want []string
		}{
			{filepath.Join(dir, "missing.properties"), []string{"missing.properties does not exist"}},
			{dir, []string{dir + " cannot be read", "is a directory"}},
			{bad, []string{bad + ":2: ", `\u`}},
		} {
			w := cluster.StartArgs(t, p, test.path)
			requireEqual(t, "exit code", cli.ExitConfig, w.ExitCode())
			lines := w.Log.Lines()
			requireEqual(t, "lines", 1, len(lines))
			requireText(t, lines[0], append(test.want, "ERROR")...)
		}
	}
}

func TestWrongValuesOfAWorkerAreNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	w := cluster.Start(t, cluster.Distributed, `
bootstrap.servers=127.0.0.1:1
config.storage.topic=c
status.storage.topic=s
session.timeout.ms=soon
offset.storage.partitions=0
connect.protocol=telepathy
listeners=8083
offset.flush.interval.ms=often
`)
	requireEqual(t, "exit code", cli.ExitConfig, w.ExitCode())
	text := strings.Join(w.Log.Lines("ERROR"), "\n")
	requireText(t, text, "group.id", "offset.storage.topic", "session.timeout.ms", "soon", "offset.storage.partitions", "connect.protocol", "telepathy", "listeners", "8083", "offset.flush.interval.ms", "often")
}

func TestWrongClientValuesOfAWorkerAreNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	source := cluster.StartKafka(t, localkafka.Options{})
	w := cluster.Start(t, cluster.Distributed, workerFile(source,
		"security.protocol=CARRIER_PIGEON", "producer.acks=perhaps", "request.timeout.ms=later", "config.providers=vault"))
	requireEqual(t, "exit code", cli.ExitConfig, w.ExitCode())
	text := strings.Join(w.Log.Lines("ERROR"), "\n")
	requireText(t, text, "security.protocol", "CARRIER_PIGEON", "acks", "perhaps", "request.timeout.ms", "later", "vault")
}

func TestAConverterThatIsNotThereIsNamedAtTheStart(t *testing.T) {
	t.Parallel()
	target := cluster.StartKafka(t, localkafka.Options{})
	w := cluster.Start(t, cluster.Distributed, workerFile(target, "key.converter=com.example.Missing"))
	requireEqual(t, "exit code", cli.ExitConfig, w.ExitCodeWithin(soon))
	requireText(t, strings.Join(w.Log.Lines("ERROR"), "\n"), "key.converter", "com.example.Missing", "org.apache.kafka.connect.converters.ByteArrayConverter")
}

func TestWrongValuesOfAMirrorFileAreNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"nothing in it":           {"", []string{"source.bootstrap.servers is missing", "target.bootstrap.servers is missing"}},
		"two flows with one name": {"clusters=a,b,a\na.bootstrap.servers=a:1\nb.bootstrap.servers=b:1\na->b.enabled=true\n", []string{`clusters is "a,b,a"`, "names a twice", "one name"}},
		"no flow":                 {"clusters=a,b\na.bootstrap.servers=a:1\nb.bootstrap.servers=b:1\nemit.heartbeats.enabled=false\n", []string{"no flow is enabled", "a->b.enabled=true"}},
		"workers and clients of both flows": {
			"source.bootstrap.servers=127.0.0.1:1\ntarget.bootstrap.servers=127.0.0.1:1\n" + anyPort +
				"target.session.timeout.ms=soon\ntarget.offset.flush.interval.ms=often\nsource.security.protocol=CARRIER_PIGEON\nsource->target.enabled=yes\n",
			[]string{`source->target.enabled is "yes"`},
		},
		"workers of both flows": {
			"source.bootstrap.servers=127.0.0.1:1\ntarget.bootstrap.servers=127.0.0.1:1\n" + anyPort +
				"target.session.timeout.ms=soon\ntarget.offset.flush.interval.ms=often\nsource.security.protocol=CARRIER_PIGEON\n",
			[]string{"flow source->target", "session.timeout.ms", "soon", "offset.flush.interval.ms", "often", "flow target->source", "CARRIER_PIGEON"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := cluster.Start(t, cluster.MirrorMaker, test.file)
			requireEqual(t, "exit code", cli.ExitConfig, w.ExitCode())
			requireText(t, strings.Join(w.Log.Lines("ERROR"), "\n"), test.want...)
		})
	}
}

func TestWrongValuesOfAFlowAreNamedAtTheStart(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, nil)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort+
		"source->target.tasks.max=many\nsource->target.refresh.topics.interval.seconds=seldom\nsource->target.topics=a[\n")
	// Nobody looks at the log of a process that seems to run: it must not start.
	requireEqual(t, "exit code", cli.ExitConfig, w.ExitCodeWithin(soon))
	text := strings.Join(w.Log.Lines("ERROR"), "\n")
	requireText(t, text, "flow source->target", "tasks.max", "many", "refresh.topics.interval.seconds", "seldom", "topics", "a[")
}

// soon is enough for what is decided without the network.
const soon = 10 * time.Second

func TestKeysThatNothingReadsAreNamed(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, nil)
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort+
		"nonsense=1\nsource->target.topcis=a\nsuorce.bootstrap.servers=b:1\ntarget.producer.lnger.ms=5\n")
	w.API().AwaitState(heartbeatConnector, "RUNNING", 1)
	for _, want := range []string{
		"nonsense is not read by anything",
		"source->target.topcis is not read by anything: topcis is no key of the mirror connectors",
		"suorce.bootstrap.servers is not read by anything: no cluster is called suorce (clusters=source,target)",
		"target.producer.lnger.ms is not read by anything",
	} {
		requireLines(t, w.Log, 1, "WARN", want)
	}
	requireLines(t, w.Log, 4, "is not read by anything")

	w = cluster.Start(t, cluster.Distributed, workerFile(target, "nonsense=1", "producer.lnger.ms=5", "offset.flush.interval=7", "plugin.path=/usr/share/java", "ssl.provider=SunJSSE"))
	awaitHealthy(t, w)
	for _, key := range []string{"nonsense", "producer.lnger.ms", "offset.flush.interval"} {
		requireLines(t, w.Log, 1, "WARN", key+" is not read by anything")
	}
	requireLines(t, w.Log, 3, "is not read by anything")
	// Keys that Kafka knows and that are not honoured here are named, too.
	requireLines(t, w.Log, 1, "WARN", "plugin.path has no effect: plugins are built in")
	if len(w.Log.Lines("WARN", "ssl.provider")) == 0 {
		t.Error("ssl.provider is dropped in silence")
	}
}

func TestAClusterThatCannotBeReachedIsSaidWithItsReasonOnce(t *testing.T) {
	t.Parallel()
	plaintext := cluster.StartKafka(t, localkafka.Options{})
	// The workers of this test are one process, which says of a cluster once that it cannot be used: each has its own.
	overTLS, unsigned := cluster.StartKafka(t, localkafka.Options{TLS: selfSigned(t)}), cluster.StartKafka(t, localkafka.Options{TLS: selfSigned(t)})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := silent.Addr().String()
	_ = silent.Close()
	for name, test := range map[string]struct {
		lines string
		want  []string
	}{
		"a name that does not resolve": {"bootstrap.servers=kafka.invalid:9092", []string{"kafka.invalid", "does not resolve"}},
		"a port where nothing listens": {"bootstrap.servers=" + address, []string{address, "refuses the connection", "nothing listens"}},
		// An embedded broker waits for the rest of what it takes for a long request.
		"TLS to a plaintext port":     {"security.protocol=SSL\nrequest.timeout.ms=1000", []string{plaintext.Bootstrap(), "TLS", "security.protocol"}},
		"plaintext to a TLS port":     {"bootstrap.servers=" + overTLS.Bootstrap(), []string{overTLS.Bootstrap(), "security.protocol"}},
		"a certificate nobody signed": {"security.protocol=SSL\nbootstrap.servers=" + unsigned.Bootstrap(), []string{unsigned.Bootstrap(), "certificate"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := cluster.Start(t, cluster.Distributed, workerFile(plaintext, test.lines))
			requireText(t, w.Log.Await("WARN", cannotBeUsed), test.want...)
			// The next look at the health comes after several more tries.
			health, err := w.API().Health(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			requireText(t, health.Status, "starting")
			requireLines(t, w.Log, 1, cannotBeUsed)
			if took := w.Stop(); took > stopLimit {
				t.Errorf("stopped after %s, want %s at most", took, stopLimit)
			}
		})
	}
}

func TestWrongCredentialsAreSaidAndNeverShown(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			target := cluster.StartKafka(t, localkafka.Options{Users: []localkafka.User{{Mechanism: mechanism, Name: "mirror", Password: "right-secret", Super: true}}})
			login := func(password string) string {
				module := "org.apache.kafka.common.security.plain.PlainLoginModule"
				if mechanism != "PLAIN" {
					module = "org.apache.kafka.common.security.scram.ScramLoginModule"
				}
				return "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=" + mechanism +
					"\nsasl.jaas.config=" + module + ` required username="mirror" password="` + password + `";`
			}
			w := cluster.Start(t, cluster.Distributed, workerFile(target, login("wrong-secret")))
			line := w.Log.Await(cannotBeUsed)
			requireText(t, line, target.Bootstrap(), "login", "sasl.jaas.config")
			requireLines(t, w.Log, 0, "wrong-secret")
			w.Stop()

			awaitHealthy(t, cluster.Start(t, cluster.Distributed, workerFile(target, login("right-secret"))))
		})
	}
}

func TestAMissingLoginIsSaidWithWhatToSet(t *testing.T) {
	t.Parallel()
	target := cluster.StartKafka(t, localkafka.Options{Users: []localkafka.User{{Mechanism: "PLAIN", Name: "mirror", Password: "secret", Super: true}}})
	w := cluster.Start(t, cluster.Distributed, workerFile(target))
	requireText(t, w.Log.Await(cannotBeUsed), target.Bootstrap(), "security.protocol")
}

func TestAConnectorThatCannotBeIsRefusedWithAllReasons(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, nil)
	one := cluster.Start(t, cluster.Distributed, workerFile(target))
	two := cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitHealthy(t, one, two)
	requireRefusals(t, mirrorConfig(source, target, 1), map[string]badConfig{
		"no class":        {map[string]string{"connector.class": ""}, []string{"connector.class"}},
		"unknown class":   {map[string]string{"connector.class": "com.example.Missing"}, []string{"com.example.Missing", "org.apache.kafka.connect.mirror.MirrorSourceConnector", "MirrorHeartbeatConnector", "MirrorCheckpointConnector"}},
		"several at once": {map[string]string{"tasks.max": "many", "offset.lag.max": "-1", "sync.topic.acls.enabled": "maybe", "source.cluster.alias": "", "errors.tolerance": "some"}, []string{"tasks.max", "many", "offset.lag.max", "-1", "sync.topic.acls.enabled", "maybe", "source.cluster.alias", "errors.tolerance", "some"}},
		"a bad pattern":   {map[string]string{"topics": "good,(bad"}, []string{"topics", "(bad"}},
	}, one, two)
	one.API().AwaitConnectors()
}

// What the clients of a connector cannot use is known before it starts, too.
func TestAConnectorWhoseClientsCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, nil)
	w := cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitHealthy(t, w)
	requireRefusals(t, mirrorConfig(source, target, 1), map[string]badConfig{
		"no bootstrap":   {map[string]string{"source.cluster.bootstrap.servers": ""}, []string{"source.cluster.bootstrap.servers"}},
		"a client's key": {map[string]string{"source.cluster.security.protocol": "CARRIER_PIGEON"}, []string{"security.protocol", "CARRIER_PIGEON"}},
	}, w)
}

// badConfig is what makes a configuration wrong, with an empty value for a key to leave out, and what the answer must say.
type badConfig struct {
	change map[string]string
	want   []string
}

func requireRefusals(t *testing.T, good map[string]string, tests map[string]badConfig, workers ...*cluster.Worker) {
	t.Helper()
	for name, test := range tests {
		config := maps.Clone(good)
		for k, v := range test.change {
			config[k] = v
			if v == "" {
				delete(config, k)
			}
		}
		for i, w := range workers {
			t.Run(fmt.Sprintf("%s by worker %d", name, i), func(t *testing.T) {
				client := api.Client{BaseURL: w.URL()}
				_, err := client.CreateConnector(t.Context(), api.CreateConnectorRequest{Name: "bad", Config: api.Config(config)})
				if err == nil {
					t.Fatalf("accepted; deleting it: %v", client.Delete(t.Context(), "bad"))
				}
				var refusal *api.Error
				if !errors.As(err, &refusal) {
					t.Fatal(err)
				}
				requireEqual(t, "code", http.StatusBadRequest, refusal.Code)
				requireText(t, refusal.Message, test.want...)
			})
		}
	}
}

func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
}
