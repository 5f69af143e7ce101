package maker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/api"
	"tributary/connect/cli"
	"tributary/connect/herder"
	"tributary/connectors/standard"
	"tributary/internal/logging"
	"tributary/storage"
)

func TestClustersTakesAllArgumentsThatFollowAsInJava(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"mm2.properties", "mm2.properties"},
		{"mm2.properties --clusters a", "mm2.properties --clusters=a"},
		{"mm2.properties --clusters a b", "mm2.properties --clusters=a --clusters=b"},
		{"mm2.properties --clusters a b --version", "mm2.properties --clusters=a --clusters=b --version"},
		{"--clusters=a mm2.properties", "--clusters=a mm2.properties"},
	} {
		if diff := cmp.Diff(strings.Fields(test.want), spreadClusters(strings.Fields(test.in))); diff != "" {
			t.Errorf("%s: %s", test.in, diff)
		}
	}
}

func program() *cli.Program { return cli.NewProgram(cli.WithPlugins(standard.Plugins()...)) }

func TestFilesThatCannotBeRunAreRefusedBeforeAnythingStarts(t *testing.T) {
	two := "rest.advertised.host.name=127.0.0.1\nclusters=a,b\na.bootstrap.servers=127.0.0.1:1\nb.bootstrap.servers=127.0.0.1:1\na->b.enabled=true\nlisteners=http://127.0.0.1:0\n"
	for name, test := range map[string]struct {
		file    string
		targets []string
		want    []string
	}{
		"a target that is no cluster":  {two, []string{"c"}, []string{`--clusters names "c", which is not one of clusters=a,b`}},
		"no flow into the target":      {two + "emit.heartbeats.enabled=false\n", []string{"a"}, []string{"no flow leads into --clusters a"}},
		"a provider that is not there": {two + "config.providers=vault\n", nil, []string{"config.providers.vault.class"}},
		"workers of several flows": {two + "a.session.timeout.ms=soon\nb.security.protocol=PIGEON\n", nil,
			[]string{"flow a->b: ", "PIGEON", "flow b->a: ", "session.timeout.ms", "soon"}},
		"an advertised port": {two + "rest.advertised.port=many\n", nil, []string{`rest.advertised.port is "many": it must be a port between 1 and 65535`}},
		"a listener":         {strings.Replace(two, "http://127.0.0.1:0", "8083", 1), nil, []string{"8083", "http://host:port"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := Run(t.Context(), program(), properties(test.file), test.targets, slog.New(slog.DiscardHandler))
			var wrong *cli.ConfigError
			if !errors.As(err, &wrong) {
				t.Fatalf("got %v, want a *cli.ConfigError", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
		})
	}
}

// Classes of a site's own are Java: neither the file nor --check runs with them.
func TestClassesThatOnlyJavaHasAreNamedWithTheirKeyAndWhatIsBuiltIn(t *testing.T) {
	const two = "rest.advertised.host.name=127.0.0.1\nclusters=a,b\na.bootstrap.servers=127.0.0.1:1\nb.bootstrap.servers=127.0.0.1:1\na->b.enabled=true\nlisteners=http://127.0.0.1:0\n"
	const mirror, class = "org.apache.kafka.connect.mirror.", "com.acme.Own"
	for key, builtIn := range map[string][]string{
		"replication.policy.class":     {mirror + "DefaultReplicationPolicy", mirror + "IdentityReplicationPolicy"},
		"topic.filter.class":           {mirror + "DefaultTopicFilter"},
		"group.filter.class":           {mirror + "DefaultGroupFilter"},
		"config.property.filter.class": {mirror + "DefaultConfigPropertyFilter"},
		"forwarding.admin.class":       {"org.apache.kafka.clients.admin.ForwardingAdmin"},
	} {
		for place, prefix := range map[string]string{"at the top": "", "of the flow": "a->b."} {
			for how, run := range map[string]func(map[string]string) error{
				"run": func(file map[string]string) error {
					return Run(t.Context(), program(), file, nil, slog.New(slog.DiscardHandler))
				},
				"check": func(file map[string]string) error {
					p := program()
					p.Stdout = io.Discard
					return Check(t.Context(), p, file, nil, slog.New(slog.DiscardHandler))
				},
			} {
				t.Run(key+" "+place+" "+how, func(t *testing.T) {
					err := run(properties(two + prefix + key + "=" + class + "\n"))
					var wrong *cli.ConfigError
					if !errors.As(err, &wrong) {
						t.Fatalf("got %v, want a *cli.ConfigError", err)
					}
					for _, want := range append(builtIn, key+" is \""+class+"\", which is not built in") {
						if !strings.Contains(err.Error(), want) {
							t.Errorf("%q is not in:\n%v", want, err)
						}
					}
				})
			}
		}
	}
}

func TestCheckShowsReferencesAsTheyWereWritten(t *testing.T) {
	t.Setenv("TRIBUTARY_PLANTED", "planted-secret")
	const file = "clusters=a,b\na.bootstrap.servers=127.0.0.1:1\nb.bootstrap.servers=127.0.0.1:1\na->b.enabled=true\n" +
		"config.providers=env\nconfig.providers.env.class=EnvVarConfigProvider\n" +
		"b.offset.storage.cleanup.policy=${env::TRIBUTARY_PLANTED}\nb.sasl.username=x,${env::TRIBUTARY_PLANTED}\nb.sasl.password=${env::TRIBUTARY_PLANTED}\n" +
		"b.session.timeout.ms=${env::TRIBUTARY_PLANTED}\na->b.topics=${env::TRIBUTARY_PLANTED}\n"
	var out bytes.Buffer
	p := cli.NewProgram(cli.WithPlugins(standard.Plugins()...), cli.WithOutput(&out, &out))
	log := p.Logger()
	code := p.Main(log, func(ctx context.Context) error { return Check(ctx, p, properties(file), nil, log) })
	if code != cli.ExitConfig {
		t.Errorf("exit code %d, want %d", code, cli.ExitConfig)
	}
	for _, want := range []string{
		"worker: offset.storage.cleanup.policy = ${env::TRIBUTARY_PLANTED} (b.offset.storage.cleanup.policy)\n",
		"worker: sasl.username = x,${env::TRIBUTARY_PLANTED} (b.sasl.username)\n",
		"worker: sasl.password = ${env::TRIBUTARY_PLANTED} (b.sasl.password)\n",
		"    topics = ${env::TRIBUTARY_PLANTED} (a->b.topics)\n",
		"worker: group.id = a-mm2 (the flow)\n",
		"Invalid value ${env::TRIBUTARY_PLANTED} for configuration session.timeout.ms",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "planted-secret") {
		t.Errorf("what a reference stands for is in:\n%s", out.String())
	}
}

func TestTheStartTellsWhatTheFileMeans(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	log, _ := logging.New(&out, logging.Options{})
	file := "rest.advertised.host.name=127.0.0.1\nsource.bootstrap.servers=127.0.0.1:1\ntarget.bootstrap.servers=127.0.0.1:1\nlisteners=http://127.0.0.1:0\ntarget.topcis=x\n"
	if err := Run(ctx, program(), properties(file), nil, log); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"flows=source->target heartbeats_only=target->source",
		"The file has no clusters line: mirroring the cluster source into the cluster target",
		"WARN target.topcis is not read by anything: topcis is no key of a worker or a Kafka client",
		"Tributary MirrorMaker stopped",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
}

// group is a herder that holds configurations and refuses as told.
type group struct {
	herder.Herder
	mu      sync.Mutex
	configs map[string]storage.ConnectorConfig
	refuse  []error // one for each of the next writes
	written []string
}

func (g *group) ConnectorConfig(_ context.Context, name string) (storage.ConnectorConfig, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c, ok := g.configs[name]; ok {
		return c, nil
	}
	return nil, &herder.NotFoundError{Message: name + " is not here"}
}

func (g *group) PutConnectorConfig(_ context.Context, name string, config storage.ConnectorConfig, _ *storage.TargetState, replace bool) (bool, api.ConnectorInfo, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.refuse) > 0 {
		err := g.refuse[0]
		g.refuse = g.refuse[1:]
		if err != nil {
			return false, api.ConnectorInfo{}, err
		}
	}
	if !replace {
		return false, api.ConnectorInfo{}, errors.New("must be allowed to replace")
	}
	g.configs[name] = config
	g.written = append(g.written, name)
	return true, api.ConnectorInfo{}, nil
}

func TestConnectorsAreWrittenOnceAndAgainWhenTheFileSaysOtherwise(t *testing.T) {
	flow := Flow{"source", "target"}
	maker := func(file string) *mirrorMaker {
		return &mirrorMaker{config: parse(t, "source.bootstrap.servers=s:1\ntarget.bootstrap.servers=t:2\n"+file), log: slog.New(slog.DiscardHandler)}
	}
	g := &group{configs: map[string]storage.ConnectorConfig{}}
	log := slog.New(slog.DiscardHandler)

	maker("").post(t.Context(), flow, g, log)
	if diff := cmp.Diff([]string{"MirrorSourceConnector", "MirrorHeartbeatConnector", "MirrorCheckpointConnector"}, g.written); diff != "" {
		t.Fatal(diff)
	}
	for _, name := range g.written {
		class := *g.configs[name]["connector.class"]
		if class != "org.apache.kafka.connect.mirror."+name || *g.configs[name]["name"] != name || *g.configs[name]["enabled"] != "true" {
			t.Errorf("%s: %v", name, slices.Sorted(maps.Keys(g.configs[name])))
		}
	}
	g.written = nil
	maker("").post(t.Context(), flow, g, log)
	if len(g.written) > 0 {
		t.Errorf("the same file wrote %v again", g.written)
	}
	maker("source->target.tasks.max=4\n").post(t.Context(), flow, g, log)
	if len(g.written) != 3 || *g.configs["MirrorSourceConnector"]["tasks.max"] != "4" {
		t.Errorf("another file wrote %v", g.written)
	}
}

func TestAFlowWithoutCheckpointsHasNoCheckpointConnectorAndRuns(t *testing.T) {
	for _, off := range []string{"emit.offset-syncs.enabled=false", "source->target.emit.checkpoints.enabled=False"} {
		t.Run(off, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			var out bytes.Buffer
			log, _ := logging.New(&out, logging.Options{})
			file := "rest.advertised.host.name=127.0.0.1\nsource.bootstrap.servers=127.0.0.1:1\ntarget.bootstrap.servers=127.0.0.1:1\nlisteners=http://127.0.0.1:0\n" + off + "\n"
			if err := Run(ctx, program(), properties(file), nil, log); err != nil {
				t.Fatal(err)
			}
			if want := "offsets of consumer groups are not translated flow=source->target"; !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in:\n%s", want, out.String())
			}

			m := &mirrorMaker{config: parse(t, file), log: log}
			g := &group{configs: map[string]storage.ConnectorConfig{}}
			m.post(t.Context(), Flow{"source", "target"}, g, log)
			if diff := cmp.Diff([]string{"MirrorSourceConnector", "MirrorHeartbeatConnector"}, g.written); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAConnectorThatIsRefusedIsToldAndTheOthersAreWritten(t *testing.T) {
	var out bytes.Buffer
	log, _ := logging.New(&out, logging.Options{})
	m := &mirrorMaker{config: parse(t, "source.bootstrap.servers=s:1\ntarget.bootstrap.servers=t:2\n"), log: log}
	g := &group{configs: map[string]storage.ConnectorConfig{}, refuse: []error{&herder.BadRequestError{Message: "tasks.max is many"}}}

	m.post(t.Context(), Flow{"source", "target"}, g, log)

	if diff := cmp.Diff([]string{"MirrorHeartbeatConnector", "MirrorCheckpointConnector"}, g.written); diff != "" {
		t.Error(diff)
	}
	want := fmt.Sprintf("ERROR [MirrorSourceConnector] The connector was not configured error=%q", "tasks.max is many")
	if !strings.Contains(out.String(), want) || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("the log is not one line with %q:\n%s", want, out.String())
	}
}

// Java hands on no key of the framework's source connectors from the top of the file: a file that has one there runs
// without it.
func TestKeysOfSourceConnectorsAtTheTopOfTheFileReachNoConnectorAndAreNamed(t *testing.T) {
	const two = "clusters=a,b\na.bootstrap.servers=a:1\nb.bootstrap.servers=b:1\na->b.enabled=true\n"
	m := &mirrorMaker{}
	for _, key := range []string{"exactly.once.support", "transaction.boundary", "transaction.boundary.interval.ms", "offsets.storage.topic", "topic.creation.groups"} {
		t.Run(key, func(t *testing.T) {
			c := parse(t, two+key+"=x")
			if got, set := c.ConnectorProps(Flow{"a", "b"}, sourceConnector, m.known().Connector)[key]; set {
				t.Errorf("the source connector is given %s=%s", key, got)
			}
			want := []string{key + " is not read at the top of the file: set it for a flow (a->b." + key + ")"}
			if diff := cmp.Diff(want, c.UnreadKeys(m.known())); diff != "" {
				t.Error(diff)
			}
			c = parse(t, two+"a->b."+key+"=x")
			if got := c.ConnectorProps(Flow{"a", "b"}, sourceConnector, m.known().Connector)[key]; got != "x" {
				t.Errorf("of the flow, %s is %q, want x", key, got)
			}
			if got := c.UnreadKeys(m.known()); len(got) > 0 {
				t.Errorf("of the flow it is warned of: %v", got)
			}
		})
	}
}
