package compat

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// The answers below need more than requests: records in the workers' topics, members of their groups, signatures, files
// that vanish. Lines that begin with "text" compare the messages, too.

// withFiles lets connectors refer to files.
var withFiles = map[string]string{
	"config.providers": "file", "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
}

// compareRare compares what only happens when something is done beside the API. The workers are in the groups NAME-java
// and NAME-tributary, with withFiles.
func (r *restPair) compareRare(p *pair, name string) (compared int) {
	r.t.Helper()
	_, dst := p.clients(r.t)
	groups := []string{name + "-java", name + "-tributary"}

	// A connector whose status is gone.
	compared += r.compare([]string{
		`POST /connectors {"name":"untold","initial_state":"STOPPED","config":` + heartbeatConfig + `}`,
		`until "STOPPED" GET /connectors/untold/status`,
	})
	for _, group := range groups {
		dst.Produce(group+"-status", kafkatest.Record{Key: []byte("status-connector-untold")})
	}
	compared += r.compare([]string{
		`until "404" GET /connectors/untold/status`,
		`text GET /connectors/untold/status`,
		`GET /connectors?expand=status`,
		`GET /connectors?expand=info`,
		`text POST /connectors/untold/restart?includeTasks=true`,
		`text POST /connectors/untold/restart?onlyFailed=true&includeTasks=true`,
		`DELETE /connectors/untold`,
	})

	// A sink that the group says is still at work.
	compared += r.compare([]string{
		`POST /connectors {"name":"` + name + `-out","initial_state":"STOPPED","config":{"connector.class":"FileStreamSink","file":"FOLDER/out","topics":"` + name + `-zombie"}}`,
		`until "STOPPED" GET /connectors/` + name + `-out/status`,
		`PATCH /connectors/` + name + `-out/offsets {"offsets":[{"partition":{"kafka_topic":"` + name + `-zombie","kafka_partition":0},"offset":{"kafka_offset":1}},{"partition":{"kafka_topic":"` + name + `-zombie","kafka_partition":0},"offset":{"kafka_offset":0}}]}`,
		`GET /connectors/` + name + `-out/offsets`,
	})
	zombie := joinGroup(r.t, p.target.Bootstrap(), "connect-"+name+"-out", name+"-zombie")
	compared += r.compare([]string{
		`PATCH /connectors/` + name + `-out/offsets {"offsets":[{"partition":{"kafka_topic":"` + name + `-zombie","kafka_partition":0},"offset":{"kafka_offset":1}}]}`,
		`PATCH /connectors/` + name + `-out/offsets {"offsets":[{"partition":{"kafka_topic":"` + name + `-zombie","kafka_partition":0},"offset":null}]}`,
		`DELETE /connectors/` + name + `-out/offsets`,
	})
	for _, base := range r.bases() {
		for _, line := range []string{`DELETE /connectors/` + name + `-out/offsets`, `PATCH /connectors/` + name + `-out/offsets {"offsets":[{"partition":{"kafka_topic":"` + name + `-zombie","kafka_partition":0},"offset":null}]}`} {
			if _, body := ask(r.t, base, line); !strings.Contains(string(body), "zombie sink task") {
				r.t.Errorf("%s at %s does not speak of zombies: %s", line, base, body)
			}
		}
	}
	zombie.Close()

	// Requests that only workers can sign.
	r.sign(dst, groups)
	compared += r.compare([]string{
		`signed PUT /connectors/` + name + `-out/fence`,
		`text signed POST /connectors/` + name + `-out/tasks [{"a":"b"}]`,
		`text signed POST /connectors/none/tasks [{"a":"b"}]`,
		`signed PUT /connectors/none/fence`,
		`signed POST /connectors/` + name + `-out/tasks []`,
		`signed POST /connectors/` + name + `-out/tasks {}`,
		`signed POST /connectors/` + name + `-out/tasks`,
		`DELETE /connectors/` + name + `-out`,
		`POST /connectors {"name":"signed","config":` + heartbeatConfig + `}`,
		`until "RUNNING" GET /connectors/signed/tasks/0/status`,
		`signed PUT /connectors/signed/fence`,
		`DELETE /connectors/signed`,
	})

	// Configurations that cannot be resolved any more.
	secret := filepath.Join(r.t.TempDir(), "secret.properties")
	if err := os.WriteFile(secret, []byte("seconds=1\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	compared += r.compare([]string{
		`POST /connectors {"name":"lost","config":{` + heartbeatFields + `,"emit.heartbeats.interval.seconds":"${file:` + secret + `:seconds}"}}`,
		`until "RUNNING" GET /connectors/lost/tasks/0/status`,
		`GET /connectors/lost/config`,
		`GET /connectors/lost/tasks`,
	})
	if err := os.Remove(secret); err != nil {
		r.t.Fatal(err)
	}
	compared += r.compare([]string{
		`POST /connectors/lost/tasks/0/restart`,
		`POST /connectors/lost/restart`,
		`PUT /connector-plugins/MirrorHeartbeatConnector/config/validate {` + heartbeatFields + `,"name":"lost","emit.heartbeats.interval.seconds":"${file:` + secret + `:seconds}"}`,
		`PUT /connectors/lost/config {` + heartbeatFields + `,"emit.heartbeats.interval.seconds":"${file:` + secret + `:seconds}"}`,
		`DELETE /connectors/lost`,
	})

	// What has failed: no topic can have this name.
	lines := filepath.Join(r.t.TempDir(), "lines")
	if err := os.WriteFile(lines, []byte("a line\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	compared += r.compare([]string{
		`POST /connectors {"name":"failing","config":{"connector.class":"FileStreamSource","file":"` + lines + `","topic":"no/topic"}}`,
		`until "FAILED" GET /connectors/failing/tasks/0/status`,
		`GET /connectors/failing/tasks/0/status`,
		`GET /connectors/failing/status`,
		`GET /connectors?expand=status&expand=info`,
		`POST /connectors/failing/restart?includeTasks=true&onlyFailed=true`,
		`until "FAILED" GET /connectors/failing/tasks/0/status`,
		`DELETE /connectors/failing`,
	})

	// What is small.
	return compared + r.compare([]string{
		`POST /connectors {"name":"  spaced  ","initial_state":"STOPPED","config":` + heartbeatConfig + `}`,
		`until "STOPPED" GET /connectors/spaced/status`,
		`GET /connectors/spaced/config`,
		`PUT /connectors/spaced/config {` + heartbeatFields + `,"emit.heartbeats.enabled":true,"tasks.max":1}`,
		`DELETE /connectors/spaced`,
		`OPTIONS /connectors`,
		`PUT /admin/loggers/root?scope=cluster {"level":"LOUD"}`,
		`PUT /admin/loggers/root?scope=cluster {}`,
		`with "Accept: application/*" GET /connectors`,
	})
}

// joinGroup makes a foreign member of a consumer group and waits until it has joined. It leaves when it is closed.
func joinGroup(t *testing.T, bootstrap, group, topic string) *kgo.Client {
	t.Helper()
	joined := make(chan struct{}, 1)
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.AllowAutoTopicCreation(), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
			if len(assigned) > 0 {
				select {
				case joined <- struct{}{}:
				default:
				}
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	select {
	case <-joined:
	case <-time.After(patience):
		t.Fatalf("nobody could join %s within %s", group, patience)
	}
	return client
}

// sign has "signed" lines carry the signature of the group that they are sent to.
func (r *restPair) sign(dst *kafkatest.Client, groups []string) {
	r.t.Helper()
	r.keys = map[string][]byte{}
	for i, base := range r.bases() {
		var key struct {
			Key       []byte `json:"key"`
			Algorithm string `json:"algorithm"`
		}
		for _, record := range dst.ReadPartition(groups[i]+"-configs", 0, kafkatest.ReadCommitted) {
			if string(record.Key) == "session-key" {
				if err := json.Unmarshal(record.Value, &key); err != nil {
					r.t.Fatal(err)
				}
			}
		}
		if key.Algorithm != "HmacSHA256" || len(key.Key) == 0 {
			r.t.Fatalf("the group %s has no key for signatures: %+v", groups[i], key)
		}
		r.keys[base] = key.Key
	}
}

// signed makes an ordinary line out of a "signed" one.
func (r *restPair) signed(base, line string) string {
	request, isSigned := strings.CutPrefix(line, "signed ")
	if !isSigned {
		return line
	}
	body := ""
	if parts := strings.SplitN(request, " ", 3); len(parts) == 3 {
		body = parts[2]
	}
	mac := hmac.New(sha256.New, r.keys[base])
	mac.Write([]byte(body))
	return fmt.Sprintf(`with "X-Connect-Authorization: %s" with "X-Connect-Request-Signature-Algorithm: HmacSHA256" %s`, base64.StdEncoding.EncodeToString(mac.Sum(nil)), request)
}

// standaloneAnswersAreJavas compares standalone workers, where tracked topics may not be forgotten and levels of logs
// have a listener of their own.
func standaloneAnswersAreJavas(t *testing.T, p *pair) {
	const bytes = "org.apache.kafka.connect.converters.ByteArrayConverter"
	properties := map[string]string{
		"bootstrap.servers": p.target.Bootstrap(), "key.converter": bytes, "value.converter": bytes, "header.converter": bytes,
		"topic.tracking.allow.reset": "false", "rest.advertised.host.name": "127.0.0.1",
	}
	r := &restPair{t: t, fill: strings.NewReplacer("SOURCE", p.target.Bootstrap(), "FOLDER", t.TempDir())}
	worker := func(name string) map[string]string {
		own := maps.Clone(properties)
		own["offset.storage.file.filename"] = filepath.Join(t.TempDir(), name)
		own["admin.listeners"] = fmt.Sprintf("http://127.0.0.1:%d", realkafka.FreePort(t))
		own["listeners"] = fmt.Sprintf("http://127.0.0.1:%d", realkafka.FreePort(t))
		r.admin = append(r.admin, own["admin.listeners"])
		return own
	}
	r.java = realkafka.StartJavaStandalone(t, worker("java"), nil, realkafka.WithJVM(quickJVM), realkafka.WithName("rest-java-standalone"))
	r.tributary = startStandalone(t, worker("tributary"), nil)
	r.awaitReady()

	r.compare([]string{
		`GET /`,
		`GET /health`,
		// Its work is known here once its topic is there, so the answer names no task yet.
		`code POST /connectors {"name":"hb","config":` + heartbeatConfig + `}`,
		`until "RUNNING" GET /connectors/hb/tasks/0/status`,
		`until "heartbeats" GET /connectors/hb/topics`,
		`GET /connectors/hb/topics`,
		`text PUT /connectors/hb/topics/reset`,
		`text PUT /connectors/none/topics/reset`,
		`until "heartbeats" GET /connectors/hb/topics`,
		`GET /connectors?expand=status&expand=info`,
		`GET /connectors/hb`,
		`GET /connectors/hb/tasks`,
		`PUT /connectors/hb/config {` + heartbeatFields + `,"emit.heartbeats.interval.seconds":"2"}`,
		`until "RUNNING" GET /connectors/hb/tasks/0/status`,
		`PATCH /connectors/hb/config {"emit.heartbeats.interval.seconds":null}`,
		`until "RUNNING" GET /connectors/hb/tasks/0/status`,
		`PUT /connectors/made/config {"connector.class":"FileStreamSource","file":"FOLDER/in","topic":"standalone-lines"}`,
		`POST /connectors/hb/restart`,
		`until "RUNNING" GET /connectors/hb/status`,
		`POST /connectors/hb/restart?includeTasks=true`,
		`until "RUNNING" GET /connectors/hb/tasks/0/status`,
		`POST /connectors/hb/tasks/0/restart`,
		`until "RUNNING" GET /connectors/hb/tasks/0/status`,
		`POST /connectors/hb/tasks/7/restart`,
		`POST /connectors/none/restart?includeTasks=true`,
		`PUT /connectors/none/pause`,
		`PUT /connectors/none/resume`,
		`PATCH /connectors/none/config {"a":"b"}`,
		`DELETE /connectors/none`,
		`GET /connectors/none/status`,
		`GET /connectors/none/offsets`,
		`PATCH /connectors/hb/offsets {"offsets":[{"partition":{"sourceClusterAlias":"s","targetClusterAlias":"t"},"offset":{"offset":0}}]}`,
		`DELETE /connectors/hb/offsets`,
		`PUT /connectors/hb/pause`,
		`until "PAUSED" GET /connectors/hb/tasks/0/status`,
		`PUT /connectors/hb/resume`,
		`until "RUNNING" GET /connectors/hb/tasks/0/status`,
		`PUT /connectors/hb/stop`,
		`until "STOPPED" GET /connectors/hb/status`,
		`GET /connectors/hb/tasks`,
		`GET /connectors/hb/offsets`,
		`PATCH /connectors/hb/offsets {"offsets":[{"partition":{"sourceClusterAlias":"s","targetClusterAlias":"t"},"offset":{"offset":0}}]}`,
		`GET /connectors/hb/offsets`,
		`DELETE /connectors/hb/offsets`,
		`POST /connectors/hb/tasks []`,
		`PUT /connectors/hb/fence`,
		`GET /admin/loggers`,
		`admin GET /admin/loggers/root`,
		`admin GET /connectors`,
		`admin PUT /admin/loggers/root?scope=cluster {"level":"INFO"}`,
		`admin PUT /admin/loggers/root {"level":"LOUD"}`,
		`DELETE /connectors/made`,
		`DELETE /connectors/hb`,
		`GET /connectors`,
	})
	// Where Java trips over a connector that is not there (500), and forgets to look.
	for _, line := range []string{`POST /connectors/none/restart`, `POST /connectors/none/tasks/0/restart`, `PUT /connectors/none/stop`} {
		if status, body := ask(t, r.tributary.BaseURL, line); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
	r.stop()
}

// lastHops are requests that must not be forwarded any more, to a worker that does not lead, and lastHopsOfLeaders those
// to one that does. FOREIGN is a connector that the worker asked does not run.
var (
	lastHops = append([]string{
		`POST /connectors?forward=false {"name":"never","config":` + heartbeatConfig + `}`,
		`PUT /connectors/first/config?forward=false ` + heartbeatConfig,
		`PATCH /connectors/first/config?forward=false {"a":"b"}`,
		`DELETE /connectors/first?forward=false`,
		`PUT /connectors/first/stop?forward=false`,
		`POST /connectors/first/restart?includeTasks=true&forward=false`,
		`PATCH /connectors/first/offsets?forward=false {"offsets":[{"partition":{"sourceClusterAlias":"s","targetClusterAlias":"t"},"offset":{"offset":0}}]}`,
		`DELETE /connectors/first/offsets?forward=false`,
	}, lastHopsOfLeaders...)
	lastHopsOfLeaders = []string{
		`POST /connectors/FOREIGN/tasks/0/restart?forward=false`,
		`POST /connectors/FOREIGN/restart?forward=false`,
	}
)

// refusals are the answers of a worker to such requests, with their messages; all are conflicts.
func refusals(t *testing.T, p *pair, base string, lines []string) (answers []string) {
	t.Helper()
	client := &api.Client{BaseURL: base}
	own, connector, task := strings.TrimPrefix(base, "http://"), "", ""
	names, err := client.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		status := awaitRunning(t, client, name, 1)
		if status.Connector.WorkerID != own {
			connector = name
		}
		if status.Tasks[0].WorkerID != own {
			task = name
		}
	}
	if connector == "" || task == "" {
		t.Fatalf("all runs on %s", own)
	}
	fill := strings.NewReplacer("FOREIGN/tasks", task+"/tasks", "FOREIGN", connector, "SOURCE", p.target.Bootstrap())
	for _, line := range lines {
		status, body := ask(t, base, fill.Replace(line))
		answers = append(answers, fmt.Sprintf("%s: %d %s", line, status, body))
		if status != http.StatusConflict {
			t.Errorf("%s at %s: %d %s", line, base, status, body)
		}
	}
	return answers
}
