package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func str(s string) *string { return &s }

func TestStatusesShowVersionsAsJava(t *testing.T) {
	for name, test := range map[string]struct {
		version *string
		want    string
	}{
		"known":     {str("4.3.1"), `{"name":"c","connector":{"state":"FAILED","worker_id":"w:1","version":"4.3.1","trace":"<a> & é"},"tasks":[{"id":3,"state":"RUNNING","worker_id":"w:1","version":"4.3.1"}],"type":"source"}`},
		"unknown":   {nil, `{"name":"c","connector":{"state":"FAILED","worker_id":"w:1","version":null,"trace":"<a> & é"},"tasks":[{"id":3,"state":"RUNNING","worker_id":"w:1","version":null}],"type":"source"}`},
		"undefined": {str("undefined"), `{"name":"c","connector":{"state":"FAILED","worker_id":"w:1","trace":"<a> & é"},"tasks":[{"id":3,"state":"RUNNING","worker_id":"w:1"}],"type":"source"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Marshal(ConnectorStatus{
				Name:      "c",
				Connector: InstanceStatus{State: "FAILED", WorkerID: "w:1", Version: test.version, Trace: "<a> & é"},
				Tasks:     []TaskStatus{{ID: 3, State: "RUNNING", WorkerID: "w:1", Version: test.version}},
				Type:      "source",
			})
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// exchange is one request a worker got and what it answers.
type exchange struct {
	method, uri, body string
	status            int
	answer            string
}

func client(t *testing.T, want exchange) *Client {
	t.Helper()
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = true
		body, _ := io.ReadAll(r.Body)
		got := exchange{method: r.Method, uri: r.RequestURI, body: string(body), status: want.status, answer: want.answer}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if r.Header.Get("Accept") != "application/json" || r.Header.Get("Authorization") != "Basic eA==" {
			t.Errorf("headers %v", r.Header)
		}
		w.WriteHeader(want.status)
		_, _ = io.WriteString(w, want.answer)
	}))
	t.Cleanup(func() {
		server.Close()
		if !asked {
			t.Error("nothing was asked")
		}
	})
	return &Client{BaseURL: server.URL + "/", HTTP: server.Client(), Authorization: "Basic eA=="}
}

func TestCreateConnectorSendsAndReadsTheDocuments(t *testing.T) {
	c := client(t, exchange{"POST", "/connectors", `{"name":"m","config":{"a":"<1>"},"initial_state":"PAUSED"}`,
		201, `{"name":"m","config":{"a":"<1>","name":"m"},"tasks":[],"type":"source"}`})
	got, err := c.CreateConnector(context.Background(), CreateConnectorRequest{Name: "m", Config: Config(map[string]string{"a": "<1>"}), InitialState: "PAUSED"})
	if err != nil {
		t.Fatal(err)
	}
	want := ConnectorInfo{Name: "m", Config: Config(map[string]string{"a": "<1>", "name": "m"}), Tasks: []ConnectorTaskID{}, Type: "source"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestPutConfigSaysWhetherItCreated(t *testing.T) {
	for status, want := range map[int]bool{201: true, 200: false} {
		c := client(t, exchange{"PUT", "/connectors/a%20b%2Fc/config", `{"k":"v"}`, status, `{"name":"a b/c","config":{"k":"v"},"tasks":[],"type":"sink"}`})
		info, created, err := c.PutConfig(context.Background(), "a b/c", map[string]string{"k": "v"})
		if err != nil || created != want || info.Type != "sink" {
			t.Errorf("%d: %+v, %v, %v", status, info, created, err)
		}
	}
}

func TestCommandsGoToTheirPaths(t *testing.T) {
	ctx := context.Background()
	for uri, call := range map[string]func(c *Client) error{
		"PUT /connectors/c/pause":            func(c *Client) error { return c.Pause(ctx, "c") },
		"PUT /connectors/c/resume":           func(c *Client) error { return c.Resume(ctx, "c") },
		"PUT /connectors/c/stop":             func(c *Client) error { return c.Stop(ctx, "c") },
		"DELETE /connectors/c":               func(c *Client) error { return c.Delete(ctx, "c") },
		"POST /connectors/c/restart":         func(c *Client) error { return c.Restart(ctx, "c") },
		"POST /connectors/c/tasks/2/restart": func(c *Client) error { return c.RestartTask(ctx, "c", 2) },
		"PUT /connectors/c/topics/reset":     func(c *Client) error { return c.ResetTopics(ctx, "c") },
	} {
		method, path := "", ""
		for i := range uri {
			if uri[i] == ' ' {
				method, path = uri[:i], uri[i+1:]
			}
		}
		if err := call(client(t, exchange{method, path, "", 204, ""})); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestReadsDecodeTheirDocuments(t *testing.T) {
	ctx := context.Background()
	read := func(uri, answer string, call func(c *Client) (any, error), want any) {
		t.Helper()
		got, err := call(client(t, exchange{"GET", uri, "", 200, answer}))
		if err != nil {
			t.Errorf("%s: %v", uri, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", uri, d)
		}
	}
	status := ConnectorStatus{Name: "c", Connector: InstanceStatus{State: "RUNNING", WorkerID: "w:1"}, Tasks: []TaskStatus{}, Type: "source"}
	statusJSON := `{"name":"c","connector":{"state":"RUNNING","worker_id":"w:1","version":null},"tasks":[],"type":"source"}`
	info := ConnectorInfo{Name: "c", Config: map[string]*string{"n": nil}, Tasks: []ConnectorTaskID{{"c", 0}}, Type: "source"}
	infoJSON := `{"name":"c","config":{"n":null},"tasks":[{"connector":"c","task":0}],"type":"source"}`

	read("/", `{"version":"4.3.1","commit":"x","kafka_cluster_id":"id"}`, func(c *Client) (any, error) { return c.ServerInfo(ctx) }, ServerInfo{"4.3.1", "x", "id"})
	read("/connectors", `["c","d"]`, func(c *Client) (any, error) { return c.List(ctx) }, []string{"c", "d"})
	read("/connectors?expand=status&expand=info", `{"c":{"status":`+statusJSON+`,"info":`+infoJSON+`}}`, func(c *Client) (any, error) { return c.ListExpanded(ctx) },
		map[string]ConnectorExpansion{"c": {Status: &status, Info: &info}})
	read("/connectors/c", infoJSON, func(c *Client) (any, error) { return c.Connector(ctx, "c") }, info)
	read("/connectors/c/config", `{"n":null}`, func(c *Client) (any, error) { return c.Config(ctx, "c") }, map[string]*string{"n": nil})
	read("/connectors/c/status", statusJSON, func(c *Client) (any, error) { return c.Status(ctx, "c") }, status)
	read("/connectors/c/tasks", `[{"id":{"connector":"c","task":0},"config":{"a":"b"}}]`, func(c *Client) (any, error) { return c.Tasks(ctx, "c") },
		[]TaskInfo{{ID: ConnectorTaskID{"c", 0}, Config: map[string]string{"a": "b"}}})
	read("/connectors/c/tasks/0/status", `{"id":0,"state":"FAILED","worker_id":"w:1","version":"1","trace":"t"}`, func(c *Client) (any, error) { return c.TaskStatus(ctx, "c", 0) },
		TaskStatus{ID: 0, State: "FAILED", WorkerID: "w:1", Version: str("1"), Trace: "t"})
	read("/connectors/c/topics", `{"c":{"topics":["a","b"]}}`, func(c *Client) (any, error) { return c.Topics(ctx, "c") }, []string{"a", "b"})
	end := int64(4)
	read("/connectors/c%2Fd/replication", `{"name":"c/d","mode":"simple","topics":["t"],"unmovable_groups":[],"troubles":[],`+
		`"partitions":[{"topic":"t","partition":1,"task":0,"worker_id":"w:1","source_end":4,"mirrored_up_to":null,"stopped":false,"gaps":[]}],`+
		`"restarts":[],"unanswered":[{"worker_id":"w:2","reason":"r"}]}`, func(c *Client) (any, error) { return c.Replication(ctx, "c/d") },
		Replication{Name: "c/d", Mode: "simple", Topics: []string{"t"}, UnmovableGroups: []UnmovableGroup{}, Troubles: []string{},
			Partitions: []ReplicatedPartition{{Topic: "t", Partition: 1, WorkerID: "w:1", SourceEnd: &end, Gaps: []ReplicationGap{}}},
			Restarts:   []AutoRestarts{}, Unanswered: []UnansweredWorker{{"w:2", "r"}}})
	read("/connector-plugins?connectorsOnly=false", `[{"class":"C","type":"sink"}]`, func(c *Client) (any, error) { return c.Plugins(ctx, false) }, []PluginInfo{{Class: "C", Type: "sink"}})
}

func TestOffsetsKeepTheirNumbers(t *testing.T) {
	ctx := context.Background()
	const body = `{"offsets":[{"partition":{"b":1.0,"a":9007199254740993},"offset":{"o":1}},{"partition":{},"offset":null}]}`
	offsets, err := client(t, exchange{"GET", "/connectors/c/offsets", "", 200, body}).Offsets(ctx, "c")
	if err != nil || string(offsets.Offsets[0].Partition) != `{"b":1.0,"a":9007199254740993}` {
		t.Fatalf("%s, %v", offsets, err)
	}
	message, err := client(t, exchange{"PATCH", "/connectors/c/offsets", body, 200, `{"message":"altered"}`}).AlterOffsets(ctx, "c", offsets)
	if err != nil || message != "altered" {
		t.Errorf("%q, %v", message, err)
	}
	message, err = client(t, exchange{"DELETE", "/connectors/c/offsets", "", 200, `{"message":"reset"}`}).ResetOffsets(ctx, "c")
	if err != nil || message != "reset" {
		t.Errorf("%q, %v", message, err)
	}
}

func TestPatchValidateAndLevelsSendTheirBodies(t *testing.T) {
	ctx := context.Background()
	info, err := client(t, exchange{"PATCH", "/connectors/c/config", `{"gone":null,"k":"v"}`, 200, `{"name":"c","config":{"k":"v"},"tasks":[],"type":"source"}`}).
		PatchConfig(ctx, "c", map[string]*string{"k": str("v"), "gone": nil})
	if err != nil || *info.Config["k"] != "v" {
		t.Errorf("%+v, %v", info, err)
	}
	infos, err := client(t, exchange{"PUT", "/connector-plugins/a$B/config/validate", `{"k":"v"}`, 200,
		`{"name":"C","error_count":1,"groups":["G"],"configs":[{"definition":null,"value":{"name":"k","value":null,"recommended_values":[],"errors":["e"],"visible":true}}]}`}).
		Validate(ctx, "a$B", map[string]string{"k": "v"})
	want := ConfigInfos{Name: "C", ErrorCount: 1, Groups: []string{"G"}, Configs: []ConfigInfo{{Value: &ConfigValueInfo{Name: "k", RecommendedValues: []string{}, Errors: []string{"e"}, Visible: true}}}}
	if d := cmp.Diff(want, infos); err != nil || d != "" {
		t.Errorf("%v: %s", err, d)
	}
	keys, err := client(t, exchange{"GET", "/connector-plugins/C/config?version=%5B1%2C2%29", "", 200, `[{"name":"k","group":null,"order_in_group":-1}]`}).PluginConfig(ctx, "C", "[1,2)")
	if d := cmp.Diff([]ConfigKeyInfo{{Name: "k", OrderInGroup: -1}}, keys); err != nil || d != "" {
		t.Errorf("%v: %s", err, d)
	}
	changed, err := client(t, exchange{"PUT", "/admin/loggers/a.b", `{"level":"DEBUG"}`, 200, `["a.b.c"]`}).SetLoggerLevel(ctx, "a.b", "DEBUG")
	if d := cmp.Diff([]string{"a.b.c"}, changed); err != nil || d != "" {
		t.Errorf("%v: %s", err, d)
	}
	if err := client(t, exchange{"PUT", "/admin/loggers/root?scope=cluster", `{"level":"WARN"}`, 204, ""}).SetClusterLoggerLevel(ctx, "root", "WARN"); err != nil {
		t.Error(err)
	}
	modified := int64(5)
	levels, err := client(t, exchange{"GET", "/admin/loggers", "", 200, `{"root":{"level":"INFO","last_modified":5}}`}).Loggers(ctx)
	if d := cmp.Diff(map[string]LoggerLevel{"root": {"INFO", &modified}}, levels); err != nil || d != "" {
		t.Errorf("%v: %s", err, d)
	}
	level, err := client(t, exchange{"GET", "/admin/loggers/a", "", 200, `{"level":"INFO","last_modified":null}`}).LoggerLevel(ctx, "a")
	if err != nil || level != (LoggerLevel{Level: "INFO"}) {
		t.Errorf("%+v, %v", level, err)
	}
}

func TestRestartWithTasksReturnsTheStatus(t *testing.T) {
	c := client(t, exchange{"POST", "/connectors/c/restart?includeTasks=true&onlyFailed=true", "", 202,
		`{"name":"c","connector":{"state":"RESTARTING","worker_id":"w:1","version":null},"tasks":[],"type":"source"}`})
	got, err := c.RestartWithTasks(context.Background(), "c", true)
	if err != nil || got.Connector.State != "RESTARTING" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRefusalsAreErrorsWithCodeAndMessage(t *testing.T) {
	for answer, want := range map[string]string{
		`{"error_code":409,"message":"Connector c already exists"}`: "409: Connector c already exists",
		`{"error_code":409,"message":null}`:                         "409: ",
		`<html>proxy</html>`:                                        "409: <html>proxy</html>",
	} {
		err := client(t, exchange{"DELETE", "/connectors/c", "", 409, answer}).Delete(context.Background(), "c")
		var refused *Error
		if !errors.As(err, &refused) || refused.Code != 409 || err.Error() != want {
			t.Errorf("%s: got %v, want %s", answer, err, want)
		}
	}
}

func TestHealthOfAWorkerThatStartsIsNoError(t *testing.T) {
	got, err := client(t, exchange{"GET", "/health", "", 503, `{"status":"starting","message":"m"}`}).Health(context.Background())
	if err != nil || got != (WorkerHealth{"starting", "m"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := client(t, exchange{"GET", "/health", "", 404, `{"error_code":404,"message":"x"}`}).Health(context.Background()); err == nil {
		t.Error("an answer without a status was taken for a worker's")
	}
}
