package compat

import (
	"bytes"
	"context"
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
// method, path and body; one that begins with "until" is repeated until the answer holds the text in quotes, "with" adds
// a header, and of those that begin with "code" the codes alone are compared, since the lists in the answers differ.
// "text" has the messages compared, too, "signed" adds a worker's signature, and "admin" asks at admin.listeners.
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
HEAD /
HEAD /connectors
DELETE /connectors
PATCH /connectors
GET /connectors/hb/pause
GET /connectors/hb/restart
with "Content-Type: text/plain" POST /connectors {"name":"hb","config":`+heartbeatConfig+`}
with "Content-Type: text/plain" PUT /connectors/hb/config `+heartbeatConfig+`
with "Accept: text/html" GET /connectors
POST /connectors "hb"
POST /connectors []
POST /connectors null
POST /connectors {"name":"hb","config":null}
POST /connectors {"name":{},"config":`+heartbeatConfig+`}
POST /connectors {"name":"hb","config":{"connector.class":["a"]}}
POST /connectors {"config":`+heartbeatConfig+`}
POST /connectors {"name":"","config":`+heartbeatConfig+`}
POST /connectors {"name":"hb","config":{`+heartbeatFields+`,"no.such.key":null}}
PUT /connectors/made/config
PUT /connectors/made/config null
PUT /connectors/made/config []
PUT /connectors/made/config {}
PUT /connectors/made/config {"connector.class":"Nowhere"}
PUT /connectors/made/config {`+heartbeatFields+`,"tasks.max":"x"}
PUT /connectors/made/config `+heartbeatConfig+`
until "RUNNING" GET /connectors/made/tasks/0/status
PUT /connectors/made/config {`+heartbeatFields+`,"tasks.max":1}
PATCH /connectors/made/config
PATCH /connectors/made/config []
PATCH /connectors/made/config {"tasks.max":"x"}
PATCH /connectors/made/config {"connector.class":null}
until "RUNNING" GET /connectors/made/tasks/0/status
POST /connectors/made/restart
until "RUNNING" GET /connectors/made/status
POST /connectors/made/restart?includeTasks=false&onlyFailed=false
until "RUNNING" GET /connectors/made/status
POST /connectors/made/restart?includeTasks=maybe
until "RUNNING" GET /connectors/made/status
POST /connectors/made/restart?includeTasks=true&onlyFailed=true
POST /connectors/made/restart?onlyFailed=true
POST /connectors/made/restart?includeTasks=true
until "RUNNING" GET /connectors/made/tasks/0/status
until "RUNNING" GET /connectors/made/status
POST /connectors/made/tasks/0/restart
until "RUNNING" GET /connectors/made/tasks/0/status
POST /connectors/made/tasks/x/restart
POST /connectors/none/tasks/0/restart?forward=false
with "X-Connect-Authorization: bm90aGluZw==" POST /connectors/made/tasks [{"a":"b"}]
with "X-Connect-Authorization: bm90aGluZw==" with "X-Connect-Request-Signature-Algorithm: HmacSHA256" POST /connectors/made/tasks [{"a":"b"}]
with "X-Connect-Authorization: bm90aGluZw==" with "X-Connect-Request-Signature-Algorithm: HmacMD5" POST /connectors/made/tasks [{"a":"b"}]
with "X-Connect-Authorization: bm90aGluZw==" with "X-Connect-Request-Signature-Algorithm: HmacSHA256" PUT /connectors/made/fence
POST /connectors/none/tasks []
PUT /connectors/none/fence
DELETE /connectors/made
until "404" GET /connectors/made/status
POST /connectors {"name":"asleep","initial_state":"Paused","config":`+heartbeatConfig+`}
until "PAUSED" GET /connectors/asleep/status
GET /connectors/asleep
DELETE /connectors/asleep
POST /connectors {"name":"lines","initial_state":"STOPPED","config":{"connector.class":"FileStreamSource","file":"FOLDER/in","topic":"rest-lines"}}
until "STOPPED" GET /connectors/lines/status
GET /connectors/lines/offsets
PATCH /connectors/lines/offsets {"offsets":[{"partition":{"filename":"FOLDER/in"},"offset":{"position":-1}}]}
PATCH /connectors/lines/offsets {"offsets":[{"partition":{"filename":"FOLDER/in"},"offset":{"position":"x"}}]}
PATCH /connectors/lines/offsets {"offsets":[{"partition":{"filename":"FOLDER/in"},"offset":{"other":1}}]}
PATCH /connectors/lines/offsets {"offsets":[{"partition":{"other":"FOLDER/in"},"offset":{"position":1}}]}
PATCH /connectors/lines/offsets {"offsets":[{"partition":null,"offset":{"position":1}}]}
PATCH /connectors/lines/offsets {"offsets":[{"partition":{"filename":"FOLDER/in"},"offset":{"position":2}}]}
GET /connectors/lines/offsets
PATCH /connectors/lines/offsets {"offsets":[{"partition":{"filename":"FOLDER/in"},"offset":null}]}
GET /connectors/lines/offsets
PATCH /connectors/lines/offsets {"offsets":[{"partition":{"filename":"FOLDER/in"},"offset":{"position":1},"more":1}]}
PATCH /connectors/lines/offsets {"offsets":[1]}
PATCH /connectors/lines/offsets {"offsets":[{"partition":"p","offset":{"position":1}}]}
POST /connectors/lines/tasks [{"a":"b"}]
DELETE /connectors/lines/offsets
DELETE /connectors/lines
POST /connectors {"name":"out","initial_state":"STOPPED","config":{"connector.class":"FileStreamSink","file":"FOLDER/out","topics":"rest-sink"}}
until "STOPPED" GET /connectors/out/status
GET /connectors/out/offsets
PATCH /connectors/out/offsets {"offsets":[{"partition":null,"offset":{"kafka_offset":1}}]}
PATCH /connectors/out/offsets {"offsets":[{"partition":{"kafka_topic":"rest-sink"},"offset":{"kafka_offset":1}}]}
PATCH /connectors/out/offsets {"offsets":[{"partition":{"kafka_topic":null,"kafka_partition":0},"offset":{"kafka_offset":1}}]}
PATCH /connectors/out/offsets {"offsets":[{"partition":{"kafka_topic":"rest-sink","kafka_partition":null},"offset":{"kafka_offset":1}}]}
PATCH /connectors/out/offsets {"offsets":[{"partition":{"kafka_topic":"rest-sink","kafka_partition":"x"},"offset":{"kafka_offset":1}}]}
PATCH /connectors/out/offsets {"offsets":[{"partition":{"kafka_topic":"rest-sink","kafka_partition":0},"offset":{}}]}
PATCH /connectors/out/offsets {"offsets":[{"partition":{"kafka_topic":"rest-sink","kafka_partition":0},"offset":{"kafka_offset":"x"}}]}
PATCH /connectors/out/offsets {"offsets":[{"partition":{"kafka_topic":"rest-sink","kafka_partition":"0"},"offset":{"kafka_offset":"1"}}]}
GET /connectors/out/offsets
PATCH /connectors/out/offsets {"offsets":[{"partition":{"kafka_topic":"rest-sink","kafka_partition":0},"offset":null}]}
GET /connectors/out/offsets
PATCH /connectors/out/offsets {"offsets":[{"partition":{"kafka_topic":"rest-sink","kafka_partition":0},"offset":{"kafka_offset":2}}]}
DELETE /connectors/out/offsets
GET /connectors/out/offsets
DELETE /connectors/out/offsets
PUT /connectors/out/fence
DELETE /connectors/out
code GET /connector-plugins
code GET /connector-plugins?connectorsOnly=false
GET /connector-plugins/MirrorHeartbeatConnector/config?version=latest
GET /connector-plugins/MirrorHeartbeatConnector/config?version=9.9.9
GET /connector-plugins/MirrorHeartbeatConnector/config?version=nonsense
GET /connector-plugins/JsonConverter/config
GET /connector-plugins/StringConverter/config
GET /connector-plugins/SimpleHeaderConverter/config
GET /connector-plugins/org.apache.kafka.connect.transforms.Cast$Value/config
GET /connector-plugins/org.apache.kafka.connect.transforms.predicates.TopicNameMatches/config
GET /connector-plugins/FileStreamSink/config
GET /connector-plugins/EnvVarConfigProvider/config
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate []
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {"connector.class":"Nowhere"}
PUT /connector-plugins/Nowhere/config/validate {"connector.class":"Nowhere"}
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {`+heartbeatFields+`,"connector.plugin.version":"9.9.9"}
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {`+heartbeatFields+`,"name":"n","exactly.once.support":"required"}
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {`+heartbeatFields+`,"name":"n","transforms":"a,b,a"}
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {`+heartbeatFields+`,"name":"n","transforms":"a","transforms.a.type":"Nowhere"}
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {`+heartbeatFields+`,"name":"n","transforms":"a","transforms.a.type":"org.apache.kafka.connect.transforms.Cast$Value","transforms.a.negate":"true"}
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {`+heartbeatFields+`,"name":"n","predicates":"p"}
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {`+heartbeatFields+`,"name":"n","value.converter":"Nowhere"}
PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {`+heartbeatFields+`,"name":"n","topic.creation.groups":"g","topic.creation.default.partitions":"0"}
PUT /connector-plugins/FileStreamSink/config/validate {"connector.class":"FileStreamSink","name":"n"}
PUT /connector-plugins/FileStreamSink/config/validate {"connector.class":"FileStreamSink","name":"n","topics":"a","topics.regex":"b"}
PUT /connector-plugins/FileStreamSink/config/validate {"connector.class":"FileStreamSink","name":"n","topics":"a","errors.deadletterqueue.topic.name":"a"}
PUT /connector-plugins/FileStreamSink/config/validate {"connector.class":"FileStreamSink","name":"n","topics":"a","errors.tolerance":"some","errors.retry.timeout":"x"}
PUT /connector-plugins/FileStreamSink/config/validate {"connector.class":"FileStreamSink","name":"n","topics":"a","consumer.override.group.id":"rest"}
code GET /admin/loggers
code PUT /admin/loggers/root {"level":"info"}
PUT /admin/loggers/root {"level":7}
PUT /admin/loggers/root
PUT /admin/loggers/root?scope=nowhere {"level":"LOUD"}
PUT /admin/loggers/some.logger?scope=cluster {"level":"warn"}
POST /admin/loggers
GET /openapi
`), "\n")

// told are the keys whose values both must agree on; of the rest the type counts.
var told = []string{"default_value", "group", "groups", "value", "error_code", "state", "type", "name", "required", "importance", "kafka_cluster_id", "status", "visible", "order_in_group", "width", "error_count"}

// shape describes an answer: its keys, the types of its values, and some values.
func shape(key string, value any) string {
	switch v := value.(type) {
	case map[string]any:
		var fields []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if values, ok := v[name].([]any); ok && name == "recommended_values" {
				fields = append(fields, name+":"+recommended(fmt.Sprint(v["name"]), values))
				continue
			}
			if _, version := v[name].(string); version && (name == "default_value" || name == "value") && strings.HasSuffix(fmt.Sprint(v["name"]), ".plugin.version") {
				fields = append(fields, name+":its own")
				continue
			}
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

// recommended describes the recommended values of a key: classes and versions are those that the worker has, anything
// else must be the same.
func recommended(key string, values []any) string {
	if len(values) > 0 && (strings.HasSuffix(key, ".version") || strings.Contains(fmt.Sprint(values[0]), ".")) {
		return "its own"
	}
	return fmt.Sprint(values...)
}

// ask sends one line of restRequests and returns the status, and the answer's shape.
func ask(t *testing.T, base, line string) (status int, body []byte) {
	t.Helper()
	status, _, body = exchange(t, base, line)
	return status, body
}

// exchange is ask with the headers of the answer. A worker that cannot tell yet, because configurations or the group
// are changing, is asked again, as it wants to be.
func exchange(t *testing.T, base, line string) (status int, headers http.Header, body []byte) {
	t.Helper()
	kafkatest.Await(t, patience, line, func() (bool, string) {
		status, headers, body = exchangeOnce(t, base, line)
		return status != http.StatusConflict || !bytes.Contains(body, []byte("momentarily")), string(body)
	})
	return status, headers, body
}

func exchangeOnce(t *testing.T, base, line string) (status int, headers http.Header, body []byte) {
	t.Helper()
	response, body, err := send(t.Context(), base, line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return response.StatusCode, response.Header, body
}

// send sends a request and reads the answer's body, which it closes.
func send(ctx context.Context, base, line string) (response *http.Response, body []byte, err error) {
	header := http.Header{}
	for strings.HasPrefix(line, `with "`) {
		var field string
		field, line, _ = strings.Cut(strings.TrimPrefix(line, `with "`), `" `)
		key, value, _ := strings.Cut(field, ": ")
		header.Set(key, value)
	}
	parts := append(strings.SplitN(line, " ", 3), "")
	request, err := http.NewRequestWithContext(ctx, parts[0], base+parts[1], strings.NewReader(parts[2]))
	if err != nil {
		return nil, nil, err
	}
	if parts[2] != "" || parts[0] == http.MethodPost || parts[0] == http.MethodPatch {
		request.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(request.Header, header)
	if response, err = http.DefaultClient.Do(request); err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response, body, err
}

// toldHeaders are the headers that both must agree on.
var toldHeaders = []string{"Content-Type", "Location", "Access-Control-Allow-Origin", "X-Frame-Options", "Retry-After"}

// withHeaders puts what counts of the headers before an answer. Java's errors that come from its framework say nothing
// of their content, which is JSON all the same.
func withHeaders(base string, headers http.Header, answer string) string {
	var told strings.Builder
	for _, name := range toldHeaders {
		if value := headers.Get(name); value != "" {
			fmt.Fprintf(&told, "%s: %s\n", name, strings.ReplaceAll(value, base, "BASE"))
		}
	}
	return told.String() + answer
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
	r := startRestPair(t, p, "rest", withFiles)
	compared := r.compare(restRequests) + r.compareRare(p, "rest")
	if compared < 230 {
		t.Errorf("only %d answers were compared", compared)
	}
	r.compareAltering()
	for connector, least := range map[string]int{"MirrorSourceConnector": 90, "MirrorCheckpointConnector": 90, "MirrorHeartbeatConnector": 80} {
		r.compareKeys(connector, least)
	}
	r.stop()

	// What settings switch off, and add.
	r = startRestPair(t, p, "rest-less", map[string]string{
		"topic.tracking.enable": "false", "admin.listeners": "", "exactly.once.source.support": "enabled",
		"access.control.allow.origin": "http://pages.example", "access.control.allow.methods": "GET",
		"response.http.headers.config": `set X-Frame-Options:DENY`, "connector.client.config.override.policy": "Principal",
	})
	r.compare([]string{
		`GET /`,
		`GET /connectors/none/topics`,
		`PUT /connectors/none/topics/reset`,
		`GET /admin/loggers`,
		`PUT /admin/loggers/root {"level":"INFO"}`,
		`with "Origin: http://pages.example" GET /connectors`,
		`with "Origin: http://elsewhere.example" GET /connectors`,
		`with "Origin: http://pages.example" with "Access-Control-Request-Method: GET" OPTIONS /connectors`,
		`POST /connectors {"name":"bold","config":{"connector.class":"FileStreamSource","file":"FOLDER/in","topic":"t","producer.override.linger.ms":"5"}}`,
		`PUT /connector-plugins/FileStreamSource/config/validate {"connector.class":"FileStreamSource","name":"n","topic":"t","file":"f","producer.override.linger.ms":"5"}`,
		`PUT /connector-plugins/FileStreamSource/config/validate {"connector.class":"FileStreamSource","name":"n","topic":"t","file":"f","producer.override.sasl.mechanism":"PLAIN"}`,
		`POST /connectors {"name":"out","initial_state":"STOPPED","config":{"connector.class":"FileStreamSink","file":"FOLDER/out","topics":"rest-sink"}}`,
		`until "STOPPED" GET /connectors/out/status`,
		`DELETE /connectors/out`,
		`PUT /connector-plugins/FileStreamSource/config/validate {"connector.class":"FileStreamSource","name":"n","topic":"t","exactly.once.support":"required"}`,
		`PUT /connector-plugins/FileStreamSource/config/validate {"connector.class":"FileStreamSource","name":"n","topic":"t","file":"f","exactly.once.support":"required"}`,
		`PUT /connector-plugins/FileStreamSource/config/validate {"connector.class":"FileStreamSource","name":"n","topic":"t","file":"f","transaction.boundary":"connector"}`,
		`PUT /connector-plugins/FileStreamSource/config/validate {"connector.class":"FileStreamSource","name":"n","topic":"t","file":"f","exactly.once.support":"sometimes","transaction.boundary":"never","transaction.boundary.interval.ms":"0"}`,
		`POST /connectors {"name":"lines","initial_state":"STOPPED","config":{"connector.class":"FileStreamSource","file":"FOLDER/in","topic":"rest-lines"}}`,
		`until "STOPPED" GET /connectors/lines/status`,
		`PATCH /connectors/lines/offsets {"offsets":[{"partition":{"filename":"FOLDER/in"},"offset":{"position":2}}]}`,
		`GET /connectors/lines/offsets`,
		`DELETE /connectors/lines/offsets`,
		`GET /connectors/lines/offsets`,
		`DELETE /connectors/lines`,
	})
	r.stop()
}

// restPair is a Java worker and a Tributary worker, each alone in its group.
type restPair struct {
	t         *testing.T
	java      *realkafka.JavaWorker
	tributary *worker
	fill      *strings.Replacer
	// keys are the groups' keys for signatures, by the worker's address.
	keys map[string][]byte
	// admin are the addresses for administration, in the order of bases, if they differ.
	admin []string
}

func startRestPair(t *testing.T, p *pair, group string, more map[string]string) *restPair {
	t.Helper()
	alone := func(id string) map[string]string {
		properties := p.group(id)
		maps.Copy(properties, map[string]string{"rest.advertised.host.name": "127.0.0.1"})
		maps.Copy(properties, more)
		return properties
	}
	r := &restPair{
		t: t, java: realkafka.StartJavaConnect(t, alone(group+"-java"), realkafka.WithJVM(quickJVM), realkafka.WithName(group+"-java")),
		tributary: startDistributed(t, alone(group+"-tributary")), fill: strings.NewReplacer("SOURCE", p.target.Bootstrap(), "FOLDER", t.TempDir()),
	}
	r.awaitReady()
	return r
}

func (r *restPair) awaitReady() {
	r.t.Helper()
	for _, base := range r.bases() {
		kafkatest.Await(r.t, patience, "the worker at "+base+" to be ready", func() (bool, string) {
			status, body := ask(r.t, base, "GET /health")
			return status == http.StatusOK, string(body)
		})
	}
}

func (r *restPair) bases() []string { return []string{r.java.URL(), r.tributary.BaseURL} }

// compare sends the requests to both and returns how many answers it has compared.
func (r *restPair) compare(requests []string) (compared int) {
	r.t.Helper()
	for _, line := range requests {
		line = r.fill.Replace(line)
		if rest, waits := strings.CutPrefix(line, `until "`); waits {
			text, request, _ := strings.Cut(rest, `" `)
			for _, base := range r.bases() {
				kafkatest.Await(r.t, patience, request+" to hold "+text, func() (bool, string) {
					status, body := ask(r.t, base, request)
					return strings.Contains(fmt.Sprint(status, string(body)), text), string(body)
				})
			}
			continue
		}
		request, codeAlone := strings.CutPrefix(line, "code ")
		request, text := strings.CutPrefix(request, "text ")
		request, admin := strings.CutPrefix(request, "admin ")
		bases := r.bases()
		if admin {
			bases = r.admin
		}
		javaStatus, javaHeaders, javaBody := exchange(r.t, bases[0], r.signed(bases[0], request))
		status, headers, body := exchange(r.t, bases[1], r.signed(bases[1], request))
		if javaStatus >= http.StatusBadRequest && javaHeaders.Get("Content-Type") == "" {
			headers.Del("Content-Type")
		}
		java, tributary := withHeaders(r.java.URL(), javaHeaders, answer(javaStatus, javaBody)), withHeaders(r.tributary.BaseURL, headers, answer(status, body))
		if text {
			java, tributary = java+"\n"+string(javaBody), tributary+"\n"+string(body)
		}
		if codeAlone {
			java, tributary = fmt.Sprint(javaStatus), fmt.Sprint(status)
		}
		if diff := cmp.Diff(strings.Split(java, "\n"), strings.Split(tributary, "\n")); diff != "" {
			r.t.Errorf("%s\n(-Java +Tributary):\n%s\nJava:      %.600s\nTributary: %.600s", line, diff, javaBody, body)
		}
		compared++
	}
	return compared
}

// compareAltering alters offsets of mirrors, well and badly.
func (r *restPair) compareAltering() {
	r.t.Helper()
	create := func(name, class string) []string {
		return []string{
			`POST /connectors {"name":"` + name + `","initial_state":"STOPPED","config":{"connector.class":"org.apache.kafka.connect.mirror.` + class + `","source.cluster.alias":"s","target.cluster.alias":"t","source.cluster.bootstrap.servers":"SOURCE","target.cluster.bootstrap.servers":"SOURCE"}}`,
			`until "STOPPED" GET /connectors/` + name + `/status`,
		}
	}
	alter := func(name string, changes ...string) (requests []string) {
		for _, change := range changes {
			requests = append(requests, `PATCH /connectors/`+name+`/offsets {"offsets":[`+change+`]}`)
		}
		return append(requests, `GET /connectors/`+name+`/offsets`, `DELETE /connectors/`+name+`/offsets`, `GET /connectors/`+name+`/offsets`, `DELETE /connectors/`+name)
	}
	r.compare(slices.Concat(
		create("ms", "MirrorSourceConnector"),
		alter("ms",
			`{"partition":{"cluster":"s","topic":"t","partition":0},"offset":{"offset":5}}`,
			`{"partition":{"cluster":"s","topic":"t","partition":1},"offset":{"offset":0}},{"partition":{"cluster":"s","topic":"t","partition":2},"offset":{"offset":7}}`,
			`{"partition":{"cluster":"s","topic":"t","partition":0},"offset":{"offset":-1}}`,
			`{"partition":{"cluster":"s","topic":"t","partition":0},"offset":{"offset":"5"}}`,
			`{"partition":{"cluster":"s","topic":"t","partition":0},"offset":{"offset":1.5}}`,
			`{"partition":{"cluster":"s","topic":"t","partition":0},"offset":{"offset":null}}`,
			`{"partition":{"cluster":"s","topic":"t","partition":0},"offset":{}}`,
			`{"partition":{"cluster":"s","topic":"t","partition":0},"offset":{"place":5}}`,
			`{"partition":{"cluster":"s","topic":"t","partition":-1},"offset":{"offset":5}}`,
			`{"partition":{"cluster":"s","topic":"t","partition":"0"},"offset":{"offset":5}}`,
			`{"partition":{"cluster":"s","topic":"t"},"offset":{"offset":5}}`,
			`{"partition":{"cluster":"s","partition":0},"offset":{"offset":5}}`,
			`{"partition":{"topic":"t","partition":0},"offset":{"offset":5}}`,
			`{"partition":{"cluster":1,"topic":"t","partition":0},"offset":{"offset":5}}`,
			`{"partition":null,"offset":{"offset":5}}`,
			`{"partition":{"rubbish":1},"offset":null}`,
			`{"partition":{"cluster":"s","topic":"t","partition":2},"offset":null}`,
		),
		create("mc", "MirrorCheckpointConnector"),
		alter("mc",
			`{"partition":{"group":"g","topic":"s.t","partition":0},"offset":{"offset":0}}`,
			`{"partition":{"group":"g","topic":"s.t","partition":0},"offset":{"offset":1}}`,
			`{"partition":{"topic":"s.t","partition":0},"offset":{"offset":0}}`,
			`{"partition":{"group":"g","topic":"s.t","partition":-1},"offset":{"offset":0}}`,
			`{"partition":{"group":"g","topic":"s.t","partition":0},"offset":null}`,
		),
	))
}

// compareKeys wants a connector to have every key that it has on a Java worker, with its type, default and importance.
func (r *restPair) compareKeys(connector string, least int) {
	r.t.Helper()
	type key struct {
		Type         string  `json:"type"`
		Required     bool    `json:"required"`
		DefaultValue *string `json:"default_value"`
		Importance   string  `json:"importance"`
	}
	keysOf := func(base string) map[string]key {
		status, body := ask(r.t, base, "GET /connector-plugins/"+connector+"/config")
		var listed []struct {
			Name string `json:"name"`
			key
		}
		if err := json.Unmarshal(body, &listed); err != nil || status != http.StatusOK {
			r.t.Fatalf("keys of %s: %d %v", connector, status, err)
		}
		keys := map[string]key{}
		for _, k := range listed {
			keys[k.Name] = k.key
		}
		return keys
	}
	java, tributary := keysOf(r.java.URL()), keysOf(r.tributary.BaseURL)
	if len(java) < least {
		r.t.Errorf("Java's %s has only %d keys", connector, len(java))
	}
	for name := range tributary {
		if _, ok := java[name]; !ok {
			delete(tributary, name)
		}
	}
	if diff := cmp.Diff(java, tributary); diff != "" {
		r.t.Errorf("keys of %s (-Java +Tributary):\n%s", connector, diff)
	}
}

func (r *restPair) stop() {
	r.t.Helper()
	terminate(r.java)
	r.tributary.stop()
}
