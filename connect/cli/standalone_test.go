package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tributary/api"
	"tributary/connect/cli"
	"tributary/connect/converter"
	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/storage/filestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait. Nothing takes that long unless it is broken.
const patience = 30 * time.Second

// output is what a program prints.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// eventually waits until condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); !condition(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// process is a connect-standalone on a goroutine.
type process struct {
	out  *output
	stop context.CancelFunc
	code chan int
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{out: new(output), stop: cancel, code: make(chan int, 1)}
	plugins := append(converter.Plugins("1.0"), counterPlugin)
	go func() {
		p.code <- cli.Standalone(args, cli.WithPlugins(plugins...), cli.WithContext(ctx), cli.WithOutput(p.out, p.out))
	}()
	t.Cleanup(func() {
		if p.stop(); t.Failed() {
			t.Logf("connect-standalone %s:\n%s", strings.Join(args, " "), p.out)
		}
	})
	return p
}

// exit waits for the end.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case code := <-p.code:
		return code
	case <-time.After(patience):
		t.Fatal("the process did not end")
		return 0
	}
}

var advertises = regexp.MustCompile(`http://127\.0\.0\.1:[1-9]\d*`)

func (p *process) client(t *testing.T) *api.Client {
	t.Helper()
	url := ""
	eventually(t, "the REST server listens", func() bool {
		url = advertises.FindString(p.out.String())
		return url != ""
	})
	return &api.Client{BaseURL: url}
}

// file writes lines to a file in the test's folder.
func file(t *testing.T, dir, name string, lines ...string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func workerFile(t *testing.T, dir, bootstrap string, more ...string) string {
	t.Helper()
	return file(t, dir, "worker.properties", append([]string{
		"bootstrap.servers=" + bootstrap, "listeners=http://127.0.0.1:0", "offset.storage.file.filename=" + filepath.Join(dir, "connect.offsets"),
		"key.converter=org.apache.kafka.connect.storage.StringConverter", "value.converter=org.apache.kafka.connect.storage.StringConverter",
	}, more...)...)
}

// values reads the records of a topic of one partition until there are count.
func values(t *testing.T, bootstrap, topic string, count int) []string {
	t.Helper()
	config, err := kafka.ParseConfig(kafka.RoleConsumer, kafka.Props{"bootstrap.servers": bootstrap})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kafka.NewClient(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fetcher := kafka.NewFetcher(client, config, slog.New(slog.DiscardHandler))
	defer fetcher.Close()
	fetcher.Assign(map[kafka.TopicPartition]int64{{Topic: topic}: 0})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out []string
	for len(out) < count {
		batches, err := fetcher.Poll(ctx)
		if err != nil {
			t.Fatalf("after %d of %d records: %v", len(out), count, err)
		}
		for _, b := range batches {
			for _, r := range b.Records {
				out = append(out, string(r.Value))
			}
		}
	}
	return out
}

func numbers(to int) []string {
	var out []string
	for n := range to {
		out = append(out, strconv.Itoa(n))
	}
	return out
}

func cluster(t *testing.T) *localkafka.Cluster {
	t.Helper()
	c, err := localkafka.Start(localkafka.Options{ClusterID: "the-cluster", Topics: map[string]int32{"numbers": 1, "more": 1, "third": 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestStandaloneCarriesOnFromItsOffsetsFile(t *testing.T) {
	k, dir := cluster(t), t.TempDir()
	worker := workerFile(t, dir, k.Bootstrap(), "exactly.once.source.support=enabled", "offset.storage.topic=t", "producer.linger.ms=1")

	first := start(t, worker, file(t, dir, "c.properties", "name=c", "connector.class=CounterConnector", "topic=numbers", "count=20"))
	if diff := cmp.Diff(numbers(20), values(t, k.Bootstrap(), "numbers", 20)); diff != "" {
		t.Fatal(diff)
	}
	first.stop()
	if code := first.exit(t); code != cli.ExitOK {
		t.Fatalf("exit code %d", code)
	}
	for _, key := range []string{"exactly.once.source.support", "offset.storage.topic"} {
		if !strings.Contains(first.out.String(), key+" is not read by anything") {
			t.Errorf("no word of %s, which has no meaning here", key)
		}
	}
	if strings.Contains(first.out.String(), "producer.linger.ms is not read") {
		t.Error("producer.linger.ms is said not to be read")
	}
	store := filestore.New(filepath.Join(dir, "connect.offsets"), slog.New(slog.DiscardHandler))
	if err := store.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	offsets, err := store.Offsets(t.Context(), "c", []map[string]any{{"counter": "numbers"}})
	store.Stop()
	if diff := cmp.Diff([]map[string]any{{"next": int64(20)}}, offsets); err != nil || diff != "" {
		t.Fatalf("offsets in the file: %v\n%s", err, diff)
	}

	// The other JSON form, and twice as far.
	second := start(t, worker, file(t, dir, "c.json", `{"name": "c", "other": 1, "initial_state": "running", "config": {"connector.class": "CounterConnector", "topic": "numbers", "count": 40}}`))
	if diff := cmp.Diff(numbers(40), values(t, k.Bootstrap(), "numbers", 40)); diff != "" {
		t.Fatal(diff)
	}
	second.stop()
	if code := second.exit(t); code != cli.ExitOK {
		t.Fatalf("exit code %d", code)
	}
}

func TestStandaloneAnswersOverREST(t *testing.T) {
	k, dir, ctx := cluster(t), t.TempDir(), t.Context()
	p := start(t, workerFile(t, dir, k.Bootstrap()),
		file(t, dir, "a.json", `{"name": "a", "connector.class": "acme.CounterConnector", "topic": "numbers", "count": 3}`),
		file(t, dir, "b.json", `{"name": "b", "initial_state": "Stopped", "config": {"connector.class": "acme.CounterConnector", "topic": "more", "count": 3}}`))
	client := p.client(t)
	eventually(t, "the worker is healthy", func() bool {
		health, err := client.Health(ctx)
		return err == nil && health.Status == "healthy"
	})
	// Healthy is said once the connectors of the command line run.
	names, err := client.List(ctx)
	if diff := cmp.Diff([]string{"a", "b"}, names); err != nil || diff != "" {
		t.Errorf("connectors: %v\n%s", err, diff)
	}
	b, err := client.Status(ctx, "b")
	if err != nil || b.Connector.State != "STOPPED" || len(b.Tasks) != 0 {
		t.Errorf("status of b: %+v, %v", b, err)
	}
	var a api.ConnectorStatus
	eventually(t, "the task of a runs", func() bool {
		a, err = client.Status(ctx, "a")
		return err == nil && len(a.Tasks) == 1 && a.Tasks[0].State == "RUNNING"
	})
	version, worker := "1.2", strings.TrimPrefix(client.BaseURL, "http://")
	want := api.InstanceStatus{State: "RUNNING", WorkerID: worker, Version: &version}
	if diff := cmp.Diff(want, a.Connector); diff != "" {
		t.Errorf("status of a:\n%s", diff)
	}
	eventually(t, "the cluster's id is known", func() bool {
		info, err := client.ServerInfo(ctx)
		return err == nil && info.KafkaClusterID == "the-cluster"
	})

	// What a group would do is done, too.
	if err := client.Resume(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(3), values(t, k.Bootstrap(), "more", 3)); diff != "" {
		t.Error(diff)
	}
	if err := client.RestartTask(ctx, "a", 0); err != nil {
		t.Error(err)
	}
	answer, err := http.Post(client.BaseURL+"/connectors/a/tasks", "application/json", strings.NewReader(`[]`))
	if err != nil {
		t.Fatal(err)
	}
	if answer.Body.Close(); answer.StatusCode != http.StatusInternalServerError {
		t.Errorf("task configurations from elsewhere: %s", answer.Status)
	}
	// A connector is created once its tasks are known, or cannot start.
	created, err := client.CreateConnector(ctx, api.CreateConnectorRequest{Name: "c", Config: api.Config(map[string]string{"connector.class": "CounterConnector", "topic": "third", "count": "2"})})
	if err != nil || len(created.Tasks) != 1 {
		t.Errorf("created: %+v, %v", created, err)
	}
	if diff := cmp.Diff(numbers(2), values(t, k.Bootstrap(), "third", 2)); diff != "" {
		t.Error(diff)
	}
	updated, _, err := client.PutConfig(ctx, "c", map[string]string{"connector.class": "CounterConnector", "topic": "third", "count": "3"})
	if err != nil || len(updated.Tasks) != 1 {
		t.Errorf("updated: %+v, %v", updated, err)
	}
	trouble := "the printer is on fire"
	if _, err := client.PatchConfig(ctx, "c", map[string]*string{"trouble": &trouble}); err == nil || !strings.Contains(err.Error(), trouble) {
		t.Errorf("a patch with which it cannot start: %v", err)
	}
	// Its offsets can be changed while it is stopped.
	if err := client.Stop(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	next := api.ConnectorOffset{Partition: json.RawMessage(`{"counter":"third"}`), Offset: json.RawMessage(`{"next":1}`)}
	if _, err := client.AlterOffsets(ctx, "c", api.ConnectorOffsets{Offsets: []api.ConnectorOffset{next}}); err != nil {
		t.Error(err)
	}
	if got, err := client.Offsets(ctx, "c"); err != nil || len(got.Offsets) != 1 || string(got.Offsets[0].Offset) != `{"next":1}` {
		t.Errorf("offsets: %s, %v", got, err)
	}
	if _, err := client.ResetOffsets(ctx, "c"); err != nil {
		t.Error(err)
	}
	if got, err := client.Offsets(ctx, "c"); err != nil || len(got.Offsets) != 0 {
		t.Errorf("offsets after a reset: %s, %v", got, err)
	}
	if err := client.Delete(ctx, "b"); err != nil {
		t.Error(err)
	}
	if _, err := client.Connector(ctx, "b"); err == nil {
		t.Error("b is still there")
	}
	p.stop()
	if code := p.exit(t); code != cli.ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestStandaloneIsStartingWhileAConnectorOfTheCommandLineIs(t *testing.T) {
	k, dir, ctx := cluster(t), t.TempDir(), t.Context()
	p := start(t, workerFile(t, dir, k.Bootstrap()),
		file(t, dir, "slow.properties", "name=slow", "connector.class=CounterConnector", "topic=numbers", "count=1", "trouble=none yet"),
		file(t, dir, "next.properties", "name=next", "connector.class=CounterConnector", "topic=numbers", "count=1"))
	client := p.client(t)
	eventually(t, "slow is there", func() bool {
		names, err := client.List(ctx)
		return err == nil && len(names) == 1 && names[0] == "slow"
	})
	health, err := client.Health(ctx)
	if err != nil || health.Status != "starting" {
		t.Errorf("health: %+v, %v", health, err)
	}
	// An operator may help: without its start the connector is as it was asked to be.
	if err := client.Stop(ctx, "slow"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the worker is healthy", func() bool {
		health, err := client.Health(ctx)
		return err == nil && health.Status == "healthy"
	})
	if next, err := client.Status(ctx, "next"); err != nil || next.Connector.State != "RUNNING" {
		t.Errorf("status of the next connector: %+v, %v", next, err)
	}
	p.stop()
	if code := p.exit(t); code != cli.ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestASignalWhileAConnectorStartsIsNoFailure(t *testing.T) {
	dir := t.TempDir()
	p := start(t, workerFile(t, dir, "127.0.0.1:1"),
		file(t, dir, "slow.properties", "name=slow", "connector.class=CounterConnector", "topic=numbers", "count=1", "trouble=none yet"))
	eventually(t, "the connector starts", func() bool { return strings.Contains(p.out.String(), "[slow] Starting connector") })
	p.stop()
	if code := p.exit(t); code != cli.ExitOK {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(p.out.String(), "ERROR") {
		t.Error("an error was logged")
	}
}

// The cluster is awaited by those who need it: REST answers, and a connector starts.
func TestStandaloneStartsWithoutItsCluster(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	p := start(t, workerFile(t, dir, "127.0.0.1:1"), file(t, dir, "c.properties", "name=c", "connector.class=CounterConnector", "topic=numbers", "count=1"))
	client := p.client(t)
	eventually(t, "the connector runs", func() bool {
		status, err := client.Status(ctx, "c")
		return err == nil && status.Connector.State == "RUNNING"
	})
	p.stop()
	if code := p.exit(t); code != cli.ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestTheFirstConnectorThatCannotBeCreatedEndsTheProcess(t *testing.T) {
	k, dir := cluster(t), t.TempDir()
	worker := workerFile(t, dir, k.Bootstrap())
	good := file(t, dir, "good.properties", "name=good", "connector.class=CounterConnector", "topic=numbers", "count=1")
	for _, c := range []struct {
		name, want string
		lines      []string
	}{
		{"an unknown class", "connector c of FILE cannot be created: Failed to find any connector class which name matches Nowhere, available are: acme.CounterConnector", []string{"name=c", "connector.class=Nowhere"}},
		{"a configuration that is wrong twice", `connector c of FILE cannot be created: Connector configuration is invalid and contains the following 2 error(s): Missing required configuration "topic" which has no default value.; Missing required configuration "count" which has no default value.`,
			[]string{"name=c", "connector.class=CounterConnector"}},
		{"a name twice", "connector good of FILE cannot be created: Connector good already exists", []string{"name=good", "connector.class=CounterConnector", "topic=more", "count=1"}},
		{"a connector that fails to start", "connector c of FILE cannot be created: the printer is on fire",
			[]string{"name=c", "connector.class=CounterConnector", "topic=more", "count=1", "trouble=the printer is on fire"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := file(t, t.TempDir(), "bad.properties", c.lines...)
			p := start(t, worker, good, bad)
			if code := p.exit(t); code != cli.ExitFailed {
				t.Errorf("exit code %d, want 3", code)
			}
			lines := strings.Split(strings.TrimSpace(p.out.String()), "\n")
			if last, want := lines[len(lines)-1], strings.ReplaceAll(c.want, "FILE", bad); !strings.Contains(last, want) {
				t.Errorf("the last line is\n%s\nwithout\n%s", last, want)
			}
		})
	}
}

func TestConnectorFilesThatMakeNoConnector(t *testing.T) {
	dir := t.TempDir()
	worker := workerFile(t, dir, "127.0.0.1:1")
	for _, c := range []struct{ name, content, want string }{
		{"flat.json", `{"connector.class": "x"}`, `has no name: add "name"`},
		{"null.json", `{"name": null}`, `has no name: add "name"`},
		{"request.json", `{"config": {"connector.class": "x"}}`, `has no name: add "name" beside "config"`},
		{"names.json", `{"name": "a", "config": {"name": "b"}}`, `has two names: "name" is "a", "name" in "config" is "b"`},
		{"state.json", `{"name": "a", "config": {}, "initial_state": "HALTED"}`, `has the "initial_state" "HALTED": it must be RUNNING, PAUSED or STOPPED`},
		{"deep.json", `{"name": "a", "config": {"x": {}}}`, `has a "config" that is not a flat object of texts: "x" is an object`},
		{"list.json", `{"name": "a", "topics": ["t"]}`, `is neither a flat object of texts nor {"name": …, "config": {…}}`},
		{"comma.json", "{\n\"name\": \"a\",\n}", "is no JSON object: line 3: invalid character '}' looking for beginning of object key string"},
		{"brace", "{\"name\": \"a\"", "is no JSON object: it ends in the middle of the object"},
		{"two.json", "{}\n\n{}", "is no JSON object: line 3: something follows the object"},
		{"array.json", "[]", "is no JSON object: it is another kind of value"},
		{"empty.json", "", "is no JSON object: it is empty"},
		{"empty.properties", "", "has no name: add name=…"},
		{"bad.properties", `name=\u00`, "is neither JSON nor properties: "},
	} {
		path := file(t, dir, c.name, c.content)
		expectFailure(t, cli.ExitFailed, "the connector file "+path+" "+c.want, worker, path)
	}
	missing := filepath.Join(dir, "missing")
	expectFailure(t, cli.ExitFailed, "the connector file "+missing+" does not exist", worker, missing)
	expectFailure(t, cli.ExitFailed, "the connector file "+dir+" cannot be read: is a directory", worker, dir)
}

func expectFailure(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	p := start(t, args...)
	if got := p.exit(t); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	if out := p.out.String(); !strings.Contains(out, want) || strings.Count(strings.TrimSpace(out), "\n") > 0 {
		t.Errorf("printed:\n%s\nwant one line with:\n%s", out, want)
	}
}

func TestAWorkerDoesNotShowWhatItsReferencesStandFor(t *testing.T) {
	t.Setenv("TRIBUTARY_PLANTED", "planted-secret")
	dir := t.TempDir()
	path := file(t, dir, "w", "bootstrap.servers=127.0.0.1:1", "key.converter=ByteArrayConverter", "value.converter=ByteArrayConverter",
		"offset.storage.file.filename="+filepath.Join(dir, "offsets"), "listeners=http://127.0.0.1:0", "rest.advertised.host.name=127.0.0.1",
		"config.providers=env", "config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider",
		"offset.flush.interval.ms=${env::TRIBUTARY_PLANTED}", "admin.listeners=${env::TRIBUTARY_PLANTED}")
	p := start(t, path)
	if code := p.exit(t); code != cli.ExitConfig {
		t.Errorf("exit code %d, want %d", code, cli.ExitConfig)
	}
	out := p.out.String()
	for _, key := range []string{"offset.flush.interval.ms", "admin.listeners"} {
		if !strings.Contains(out, key) {
			t.Errorf("nothing is said of %s", key)
		}
	}
	if !strings.Contains(out, "${env::TRIBUTARY_PLANTED}") || strings.Contains(out, "planted-secret") {
		t.Errorf("printed:\n%s", out)
	}
}

func TestAnswersDoNotShowWhatTheWorkersReferencesStandFor(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	planted := filepath.Join(dir, "planted-secret")
	t.Setenv("TRIBUTARY_PLANTED", planted)
	if err := os.Mkdir(planted, 0o700); err != nil {
		t.Fatal(err)
	}
	p := start(t, workerFile(t, dir, "127.0.0.1:1", "offset.storage.file.filename=${env::TRIBUTARY_PLANTED}/offsets",
		"config.providers=env", "config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider"),
		file(t, dir, "c.properties", "name=c", "connector.class=CounterConnector", "topic=numbers", "count=1"))
	client := p.client(t)
	eventually(t, "the connector is stopped", func() bool { return client.Stop(ctx, "c") == nil })
	err := os.RemoveAll(planted)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "its offsets cannot be written", func() bool {
		_, err = client.AlterOffsets(ctx, "c", api.ConnectorOffsets{Offsets: []api.ConnectorOffset{{Partition: []byte(`{"a":1}`), Offset: []byte(`{"b":1}`)}}})
		var failed *api.Error
		return errors.As(err, &failed) && failed.Code == 500
	})
	if !strings.Contains(err.Error(), "${env::TRIBUTARY_PLANTED}/offsets") || strings.Contains(err.Error(), "planted-secret") {
		t.Error(err)
	}
	p.stop()
	p.exit(t)
}

func TestStandaloneRefusesAWrongWorkerFile(t *testing.T) {
	dir := t.TempDir()
	expectFailure(t, cli.ExitConfig, "the properties file nowhere does not exist", "nowhere")
	expectFailure(t, cli.ExitConfig, `Missing required configuration "offset.storage.file.filename"`, file(t, dir, "w", "bootstrap.servers=b:1", "key.converter=a", "value.converter=a"))

	offsets := file(t, dir, "connect.offsets", "no offsets at all")
	p := start(t, workerFile(t, dir, "127.0.0.1:1"))
	if code := p.exit(t); code != cli.ExitFailed {
		t.Errorf("exit code %d, want 3", code)
	}
	if want := fmt.Sprintf("offset.storage.file.filename is %s: it is not a file of offsets", offsets); !strings.Contains(p.out.String(), want) {
		t.Errorf("printed:\n%s\nwant\n%s", p.out, want)
	}

	if p := start(t); p.exit(t) != cli.ExitUsage {
		t.Error("without arguments the exit code is not 1")
	}
}
