package compat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

const (
	heartbeatClass = "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector"
	// heartbeatFields are a connector that both kinds of worker have. SOURCE is replaced.
	heartbeatFields = `"connector.class":"` + heartbeatClass + `","source.cluster.alias":"s","target.cluster.alias":"t",` +
		`"source.cluster.bootstrap.servers":"SOURCE","target.cluster.bootstrap.servers":"SOURCE","heartbeats.topic.replication.factor":"1"`
	heartbeatConfig = `{` + heartbeatFields + `}`
)

// restRequests are sent in this order to a Java worker and to a Tributary worker, each alone in its group. A line is
// method, path and body; one that begins with "until" is repeated until the answer holds the text in quotes.
var restRequests = strings.Split(strings.TrimSpace(`
GET /
GET /health
GET /nowhere
POST /connector-plugins
GET /connectors
GET /connectors?expand=status&expand=info
POST /connectors
POST /connectors {
POST /connectors {"name":"hb","config":{},"more":1}
POST /connectors {"name":"hb","config":[]}
POST /connectors {"name":"hb","config":{}}
POST /connectors {"name":"hb","config":{"connector.class":"Nowhere"}}
POST /connectors {"name":"hb","config":{`+heartbeatFields+`,"name":"other"}}
POST /connectors {"name":"hb","config":{`+heartbeatFields+`,"tasks.max":"0"}}
POST /connectors {"name":"hb","initial_state":"ASLEEP","config":`+heartbeatConfig+`}
POST /connectors {"name":"hb","config":`+heartbeatConfig+`}
until "RUNNING" GET /connectors/hb/tasks/0/status
POST /connectors {"name":"hb","config":`+heartbeatConfig+`}
GET /connectors
GET /connectors?expand=status
GET /connectors?expand=info
GET /connectors?expand=more
GET /connectors/hb
GET /connectors/hb/
GET /connectors/hb/config
GET /connectors/hb/status
GET /connectors/hb/tasks
GET /connectors/hb/tasks/0/status
GET /connectors/hb/tasks/7/status
GET /connectors/hb/tasks/x/status
GET /connectors/hb/tasks-config
GET /connectors/hb/topics
PUT /connectors/hb/topics/reset
GET /connectors/hb/offsets
PATCH /connectors/hb/offsets {"offsets":[{"partition":{"sourceClusterAlias":"s","targetClusterAlias":"t"},"offset":{"offset":0}}]}
DELETE /connectors/hb/offsets
GET /connectors/none
GET /connectors/none/config
GET /connectors/none/status
GET /connectors/none/tasks
GET /connectors/none/topics
GET /connectors/none/offsets
PUT /connectors/none/topics/reset
PUT /connectors/none/pause
PUT /connectors/none/resume
PUT /connectors/none/stop
POST /connectors/none/restart
POST /connectors/none/restart?includeTasks=true
POST /connectors/none/tasks/0/restart
PATCH /connectors/none/config {"a":"b"}
PATCH /connectors/none/offsets {"offsets":[{"partition":{"a":1},"offset":{"b":1}}]}
DELETE /connectors/none/offsets
DELETE /connectors/none
PUT /connectors/hb
PUT /connectors/hb/config {"connector.class":"`+heartbeatClass+`","name":"other"}
PUT /connectors/hb/config {`+heartbeatFields+`,"emit.heartbeats.interval.seconds":"2"}
until "RUNNING" GET /connectors/hb/tasks/0/status
PATCH /connectors/hb/config {"emit.heartbeats.interval.seconds":3}
PATCH /connectors/hb/config {"emit.heartbeats.interval.seconds":null}
PATCH /connectors/hb/config {"a":{}}
until "RUNNING" GET /connectors/hb/tasks/0/status
POST /connectors/hb/tasks/7/restart
POST /connectors/hb/tasks []
PUT /connectors/hb/fence
PUT /connectors/hb/pause
until "PAUSED" GET /connectors/hb/tasks/0/status
GET /connectors/hb/status
PUT /connectors/hb/resume
until "RUNNING" GET /connectors/hb/tasks/0/status
PUT /connectors/hb/stop
until "STOPPED" GET /connectors/hb/status
GET /connectors/hb/tasks
PATCH /connectors/hb/offsets
PATCH /connectors/hb/offsets {}
PATCH /connectors/hb/offsets {"offsets":[]}
PATCH /connectors/hb/offsets {"offsets":{}}
PATCH /connectors/hb/offsets {"offsets":[{"partition":{"sourceClusterAlias":"s","targetClusterAlias":"t"},"offset":{"offset":0}}]}
GET /connectors/hb/offsets
DELETE /connectors/hb/offsets
GET /connectors/hb/offsets
GET /connector-plugins/MirrorHeartbeatConnector/config
GET /connector-plugins/Nothing/config
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate `+heartbeatConfig+`
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {`+heartbeatFields+`,"tasks.max":"x","name":""}
PUT /connector-plugins/MirrorSourceConnector/config/validate `+heartbeatConfig+`
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {}
GET /admin/loggers/root
GET /admin/loggers/no.such.logger
PUT /admin/loggers/root {}
PUT /admin/loggers/root {"level":"LOUD"}
PUT /admin/loggers/root?scope=cluster {"level":"INFO"}
POST /connectors {"name":"later","initial_state":"stopped","config":`+heartbeatConfig+`}
until "STOPPED" GET /connectors/later/status
DELETE /connectors/later
DELETE /connectors/hb
GET /connectors/hb
until "404" GET /connectors/hb/status
`), "\n")

// told are the keys whose values both must agree on; of the rest the type counts.
var told = []string{"error_code", "state", "type", "name", "required", "importance", "kafka_cluster_id", "status", "visible", "order_in_group", "width", "error_count"}

// shape describes an answer: its keys, the types of its values, and some values.
func shape(key string, value any) string {
	switch v := value.(type) {
	case map[string]any:
		var fields []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			fields = append(fields, name+":"+shape(name, v[name]))
		}
		return "{" + strings.Join(fields, " ") + "}"
	case []any:
		var items []string
		for _, item := range v {
			items = append(items, shape(key, item))
		}
		return "[" + strings.Join(items, "\n ") + "]"
	case nil:
		return "null"
	}
	if slices.Contains(told, key) {
		return fmt.Sprint(value)
	}
	return fmt.Sprintf("%T", value)
}

// ask sends one line of restRequests and returns the status, and the answer's shape.
func ask(t *testing.T, base, line string) (status int, body []byte) {
	t.Helper()
	parts := append(strings.SplitN(line, " ", 3), "")
	request, err := http.NewRequestWithContext(t.Context(), parts[0], base+parts[1], strings.NewReader(parts[2]))
	if err != nil {
		t.Fatal(err)
	}
	if parts[2] != "" || parts[0] == http.MethodPost || parts[0] == http.MethodPatch {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return response.StatusCode, body
}

func answer(status int, body []byte) string {
	var parsed any
	if len(bytes.TrimSpace(body)) == 0 {
		return fmt.Sprint(status)
	}
	if err := json.Unmarshal(body, &parsed); err != nil {
		return fmt.Sprint(status, " no JSON")
	}
	return fmt.Sprint(status, " ", shape("", parsed))
}

// restAnswersAreJavas compares the answers of a Java worker and a Tributary worker code by code and key by key.
func restAnswersAreJavas(t *testing.T, p *pair) {
	alone := func(id string) map[string]string {
		properties := p.group(id)
		maps.Copy(properties, map[string]string{"rest.advertised.host.name": "127.0.0.1"})
		return properties
	}
	java := realkafka.StartJavaConnect(t, alone("rest-java"), realkafka.WithJVM(quickJVM))
	tributary := startDistributed(t, alone("rest-tributary"))
	for _, base := range []string{java.URL(), tributary.BaseURL} {
		kafkatest.Await(t, patience, "the worker at "+base+" to be ready", func() (bool, string) {
			status, body := ask(t, base, "GET /health")
			return status == http.StatusOK, string(body)
		})
	}
	compared := 0
	for _, line := range restRequests {
		line = strings.ReplaceAll(line, "SOURCE", p.target.Bootstrap())
		if rest, waits := strings.CutPrefix(line, `until "`); waits {
			text, request, _ := strings.Cut(rest, `" `)
			for _, base := range []string{java.URL(), tributary.BaseURL} {
				kafkatest.Await(t, patience, request+" to hold "+text, func() (bool, string) {
					status, body := ask(t, base, request)
					return strings.Contains(fmt.Sprint(status, string(body)), text), string(body)
				})
			}
			continue
		}
		javaStatus, javaBody := ask(t, strings.TrimSuffix(java.URL(), "/"), line)
		status, body := ask(t, tributary.BaseURL, line)
		if diff := cmp.Diff(strings.Split(answer(javaStatus, javaBody), "\n"), strings.Split(answer(status, body), "\n")); diff != "" {
			t.Errorf("%s\n(-Java +Tributary):\n%s\nJava:      %.600s\nTributary: %.600s", line, diff, javaBody, body)
		}
		compared++
	}
	if compared < 80 {
		t.Errorf("only %d answers were compared", compared)
	}
	terminate(java)
	tributary.stop()
}
