package compat

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// group are the properties of the workers of one group on the target cluster.
func (p *pair) group(id string) map[string]string {
	const bytes = "org.apache.kafka.connect.converters.ByteArrayConverter"
	return map[string]string{
		"bootstrap.servers": p.target.Bootstrap(), "group.id": id,
		"config.storage.topic": id + "-configs", "offset.storage.topic": id + "-offsets", "status.storage.topic": id + "-status",
		"config.storage.replication.factor": "1", "offset.storage.replication.factor": "1", "status.storage.replication.factor": "1",
		"key.converter": bytes, "value.converter": bytes, "header.converter": bytes,
		"session.timeout.ms": "6000", "heartbeat.interval.ms": "2000", "scheduled.rebalance.max.delay.ms": "0", "offset.flush.interval.ms": "1000",
	}
}

func workerTakesOverFromAKilledOne(t *testing.T, p *pair) {
	src, dst := p.clients(t)
	load := startStream(src, "shared", 8)
	load.produce(2)
	workers := []*worker{startDistributed(t, p.group("takeover")), startDistributed(t, p.group("takeover"))}

	if _, err := workers[0].CreateConnector(t.Context(), api.CreateConnectorRequest{Name: "mirror", Config: api.Config(map[string]string{
		"connector.class":      "org.apache.kafka.connect.mirror.MirrorSourceConnector",
		"tasks.max":            "4",
		"source.cluster.alias": "origin", "source.cluster.bootstrap.servers": p.source.Bootstrap(),
		"target.cluster.alias": "copy", "target.cluster.bootstrap.servers": p.target.Bootstrap(),
		"topics": "shared",
	})}); err != nil {
		t.Fatal(err)
	}
	var onEach map[string]int
	kafkatest.Await(t, patience, "four tasks to run, two on each worker", func() (bool, string) {
		status := workers[1].awaitRunning("mirror", 4)
		onEach = map[string]int{}
		for _, task := range status.Tasks {
			onEach[task.WorkerID]++
		}
		return len(onEach) == 2 && slices.Equal(slices.Sorted(maps.Values(onEach)), []int{2, 2}), fmt.Sprint(onEach)
	})
	awaitCount(t, dst, "origin.shared", load.written)

	load.produce(5)
	workers[0].Kill()
	killed := time.Now()
	load.produce(5)
	kafkatest.Await(t, patience, "all to run on the second worker", func() (bool, string) {
		status := workers[1].awaitRunning("mirror", 4)
		own := strings.TrimPrefix(workers[1].BaseURL, "http://")
		for _, task := range status.Tasks {
			if task.WorkerID != own {
				return false, fmt.Sprintf("%+v", status)
			}
		}
		return status.Connector.WorkerID == own, fmt.Sprintf("%+v", status)
	})
	t.Logf("taken over %s after the kill", time.Since(killed).Round(time.Millisecond))
	load.produce(2)
	awaitLast(t, src, dst, "shared", "origin.shared")
	duplicates := kafkatest.CompareTopicAtLeastOnce(t, p.source.Bootstrap(), "shared", p.target.Bootstrap(), "origin.shared")
	t.Logf("mirrored more than once: %v", duplicates)

	if err := workers[1].Delete(t.Context(), "mirror"); err != nil {
		t.Error(err)
	}
	workers[1].stop()
}

var joined = regexp.MustCompile(`Joined the group .*leading=(true|false)`)

// leads says whether a Tributary worker was the leader of the last round it was in.
func leads(w *worker) (leading, known bool) {
	rounds := joined.FindAllStringSubmatch(w.Log(), -1)
	if len(rounds) == 0 {
		return false, false
	}
	return rounds[len(rounds)-1][1] == "true", true
}

// startJavaLeader starts a Java worker as the first of its group, which it will lead, and waits until it is there: it
// answers requests before it is.
func startJavaLeader(t *testing.T, properties map[string]string, name string) (*realkafka.JavaWorker, *api.Client) {
	t.Helper()
	java := realkafka.StartJavaConnect(t, properties, realkafka.WithJVM(quickJVM), realkafka.WithName(name))
	java.WaitLog(regexp.MustCompile(`Joined group at generation`), patience)
	return java, &api.Client{BaseURL: java.URL()}
}

func javaAndTributaryShareAGroup(t *testing.T, p *pair) {
	_, dst := p.clients(t)
	properties := p.group("mixed")
	java, javaAPI := startJavaLeader(t, properties, "java-leading")
	tributary := startDistributed(t, properties)
	awaitRole := func(leading bool) {
		t.Helper()
		kafkatest.Await(t, patience, fmt.Sprintf("Tributary to be in the group, leading=%t", leading), func() (bool, string) {
			now, known := leads(tributary)
			return known && now == leading, fmt.Sprint(now, known)
		})
	}
	awaitRole(false)

	// Java leads: what is posted to Tributary is forwarded to Java.
	postHeartbeat(t, p, tributary.Client, "first")
	postHeartbeat(t, p, javaAPI, "second")
	checkShared(t, dst, tributary.Client, javaAPI, "first", "second")
	javaLeading, tributaryFollowing := refusals(t, p, java.URL(), lastHopsOfLeaders), refusals(t, p, tributary.BaseURL, lastHops)

	terminate(java)
	awaitRole(true)
	java = realkafka.StartJavaConnect(t, properties, realkafka.WithJVM(quickJVM), realkafka.WithName("java-following"))
	javaAPI = &api.Client{BaseURL: java.URL()}

	// Tributary leads: what is posted to Java is forwarded to Tributary.
	postHeartbeat(t, p, javaAPI, "third")
	postHeartbeat(t, p, tributary.Client, "fourth")
	awaitRole(true)
	checkShared(t, dst, tributary.Client, javaAPI, "first", "second", "third", "fourth")
	tributaryLeading, javaFollowing := refusals(t, p, tributary.BaseURL, lastHopsOfLeaders), refusals(t, p, java.URL(), lastHops)
	if diff := cmp.Diff(javaLeading, tributaryLeading); diff != "" {
		t.Errorf("leaders that must not forward (-Java +Tributary):\n%s", diff)
	}
	if diff := cmp.Diff(javaFollowing, tributaryFollowing); diff != "" {
		t.Errorf("followers that must not forward (-Java +Tributary):\n%s", diff)
	}

	if err := javaAPI.Delete(t.Context(), "first"); err != nil {
		t.Errorf("delete through Java: %v", err)
	}
	if err := tributary.Delete(t.Context(), "third"); err != nil {
		t.Errorf("delete through Tributary: %v", err)
	}
	checkShared(t, dst, tributary.Client, javaAPI, "second", "fourth")
	tributary.stop()
	awaitRunning(t, javaAPI, "second", 1)
	awaitRunning(t, javaAPI, "fourth", 1)
	terminate(java)
}

func postHeartbeat(t *testing.T, p *pair, client *api.Client, name string) {
	t.Helper()
	request := api.CreateConnectorRequest{Name: name, Config: api.Config(map[string]string{
		"connector.class":      "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
		"source.cluster.alias": name, "source.cluster.bootstrap.servers": p.source.Bootstrap(),
		"target.cluster.alias": "mixed", "target.cluster.bootstrap.servers": p.target.Bootstrap(),
		"heartbeats.topic.replication.factor": "1",
	})}
	// Right after a worker has come, Java may answer that a rebalance is under way.
	kafkatest.Await(t, patience, "connector "+name+" to be created", func() (bool, string) {
		_, err := client.CreateConnector(t.Context(), request)
		return err == nil, fmt.Sprint(err)
	})
}

// checkShared wants both workers to give the same answers, each to run half of the connectors, and every connector
// and task to run exactly once. A worker that runs a connector and does not lead has sent its tasks' configurations
// to the leader, signed.
func checkShared(t *testing.T, dst *kafkatest.Client, tributary, java *api.Client, names ...string) {
	t.Helper()
	workers := map[string]int{}
	kafkatest.Await(t, patience, "both workers to answer alike", func() (bool, string) {
		workers = map[string]int{}
		paths := []string{"/connectors"}
		for _, name := range names {
			paths = append(paths, "/connectors/"+name+"/status", "/connectors/"+name+"/config", "/connectors/"+name+"/tasks")
		}
		for _, path := range paths {
			ours, theirs := get(t, tributary.BaseURL+path), get(t, java.BaseURL+path)
			if path == "/connectors" {
				ours, theirs = sorted(t, ours), sorted(t, theirs)
				if want := sorted(t, mustJSON(t, names)); ours != want {
					return false, path + ": " + ours
				}
			}
			if strings.HasSuffix(path, "/config") || strings.HasSuffix(path, "/tasks") {
				ours, theirs = normal(t, ours), normal(t, theirs) // maps have no order
			}
			if ours != theirs {
				return false, fmt.Sprintf("%s:\n Tributary: %s\n Java:      %s", path, ours, theirs)
			}
		}
		for _, name := range names {
			status, err := tributary.Status(t.Context(), name)
			if err != nil || status.Connector.State != "RUNNING" || len(status.Tasks) != 1 || status.Tasks[0].State != "RUNNING" {
				return false, fmt.Sprintf("%s: %+v, %v", name, status, err)
			}
			workers[status.Connector.WorkerID]++
		}
		share := len(names) / 2
		return slices.Equal(slices.Sorted(maps.Values(workers)), []int{share, share}), fmt.Sprintf("connectors on each worker: %v", workers)
	})
	began := time.Now()
	for _, name := range names {
		checkBeats(t, dst, name, began)
	}
}

// checkBeats waits for some heartbeats of a connector and wants them a second apart, as one task writes them.
func checkBeats(t *testing.T, dst *kafkatest.Client, name string, since time.Time) {
	t.Helper()
	const wanted = 4
	key := string(binary.BigEndian.AppendUint16(nil, uint16(len(name)))) + name + "\x00\x05mixed"
	var beats []time.Time
	kafkatest.Await(t, patience, "heartbeats of "+name, func() (bool, string) {
		beats = nil
		for _, record := range dst.ReadPartition("heartbeats", 0, kafkatest.ReadCommitted) {
			if string(record.Key) == key && record.Timestamp.After(since) {
				beats = append(beats, record.Timestamp)
			}
		}
		return len(beats) >= wanted, fmt.Sprint(len(beats))
	})
	// Two tasks would write twice in a second.
	if span := beats[wanted-1].Sub(beats[0]); span < (wanted-2)*time.Second {
		t.Errorf("connector %s wrote %d heartbeats within %s: it runs more than once", name, wanted, span)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(response.StatusCode, " ", string(body))
}

// sorted puts a list of names, after the status code, into order.
func sorted(t *testing.T, answer string) string {
	t.Helper()
	code, body, _ := strings.Cut(answer, " ")
	var names []string
	if err := json.Unmarshal([]byte(body), &names); err != nil {
		return answer
	}
	slices.Sort(names)
	return code + " " + strings.Join(names, " ")
}

// normal puts the fields of JSON objects, after the status code, into order.
func normal(t *testing.T, answer string) string {
	t.Helper()
	code, body, _ := strings.Cut(answer, " ")
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		return answer
	}
	ordered, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return code + " " + string(ordered)
}

func mustJSON(t *testing.T, names []string) string {
	t.Helper()
	body, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return "200 " + string(body)
}
