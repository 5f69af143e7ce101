package compat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/api"
	"tributary/connect/group/protocol"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// TestAGroupOutlivesItsBrokers: the brokers crash and are away for half a minute, five sessions long. The workers answer
// what they know, accept no change, and go on by themselves when the brokers are back. Nothing is lost.
func TestAGroupOutlivesItsBrokers(t *testing.T) {
	realkafka.Require(t)
	t.Parallel()
	const away = 30 * time.Second
	cluster := realkafka.StartCluster(t, realkafka.Options{JVM: []string{quickJVM}})
	g := newGroup(t, cluster, "away")
	for i := range 2 {
		g.addLines(fmt.Sprintf("lines-%d", i), nil)
	}
	g.addMirror("mirrored")
	g.addBeats("beats")
	workers := []*groupMember{g.join("one", false), g.join("two", false)}
	g.create()
	g.settle(nil)
	g.feedSettled()
	g.feed()

	cluster.Brokers()[0].Kill()
	back := time.After(away)
	isLines := func(c *carried) bool { return strings.HasPrefix(c.topic, "lines-") }
	g.feedIf(isLines)
	for _, w := range workers {
		if answer := get(t, w.BaseURL+"/connectors/lines-0/config"); !strings.HasPrefix(answer, "200 ") {
			t.Errorf("%s without brokers: GET config: %s", w.name, answer)
		}
		if answer := get(t, w.BaseURL+"/connectors"); sorted(t, answer) != "200 beats lines-0 lines-1 mirrored" {
			t.Errorf("%s without brokers: GET /connectors: %s", w.name, answer)
		}
	}
	// A change waits for the group, for longer than this client does.
	impatient, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, _, err := workers[0].PutConfig(impatient, "beats", g.configs["beats"]); err == nil {
		t.Error("a change was accepted without brokers")
	}
	g.feedIf(isLines)
	<-back
	// Answers were lost, and so were the last commits.
	g.mayRepeat(func(*carried) bool { return true })

	cluster.StartAll()
	began := time.Now()
	g.settle(nil)
	g.feed()
	g.awaitCarried()
	t.Logf("all was well again %s after the brokers were back", time.Since(began).Round(time.Millisecond))
	if _, _, err := workers[1].PutConfig(t.Context(), "beats", g.configs["beats"]); err != nil {
		t.Errorf("a change after the brokers were back: %v", err)
	}
	g.remove()
}

// TestADeletedConfigTopicIsToldAndRecovered follows docs/compatibility.md: the config topic is deleted under a running
// group, on brokers that make topics by themselves. The workers say so, and what to do; connectors run on, changes are
// refused, and the topic is not made by accident. A worker that is started again alone says that the group does not
// agree. When all have been started again, the saved connectors are created, and go on where they were.
func TestADeletedConfigTopicIsToldAndRecovered(t *testing.T) {
	realkafka.Require(t)
	t.Parallel()
	cluster := realkafka.StartCluster(t, realkafka.Options{JVM: []string{quickJVM}, Extra: map[string]string{"auto.create.topics.enable": "true"}})
	g := newGroup(t, cluster, "deleted")
	g.properties["worker.sync.timeout.ms"] = "1000"
	for i := range 3 {
		g.addLines(fmt.Sprintf("lines-%d", i), nil)
	}
	one, two := g.join("one", false), g.join("two", false)
	g.create()
	g.settle(nil)
	g.feedSettled()
	topic := g.properties["config.storage.topic"]

	g.client.DeleteTopic(topic)
	missed := regexp.MustCompile(`ERROR .*config\.storage\.topic=` + topic + `.* does not exist any more.*GET /connectors\?expand=info`)
	one.process.WaitLog(missed, patience)
	two.process.WaitLog(missed, patience)
	for what, request := range map[string]func() error{
		"PUT config": func() error { _, _, err := one.PutConfig(t.Context(), "lines-0", g.configs["lines-1"]); return err },
		"POST": func() error {
			_, err := two.CreateConnector(t.Context(), api.CreateConnectorRequest{Name: "more", Config: api.Config(g.configs["lines-2"])})
			return err
		},
		"pause":  func() error { return one.Pause(t.Context(), "lines-0") },
		"stop":   func() error { return two.Stop(t.Context(), "lines-0") },
		"delete": func() error { return two.Delete(t.Context(), "lines-1") },
	} {
		var refusal *api.Error
		err := request()
		if !errors.As(err, &refusal) || refusal.Code != http.StatusInternalServerError || !strings.Contains(refusal.Message, topic) {
			t.Errorf("%s without the config topic: %v; want 500 and a message that names the topic", what, err)
		}
	}
	if slices.Contains(g.client.Topics(), topic) {
		t.Errorf("the topic %s was made by a request, with %v", topic, g.client.TopicOverrides(topic))
	}
	g.feedSettled()
	if problem := g.differentAnswers(g.held(g.describe())); problem != "" {
		t.Errorf("without the config topic: %s", problem)
	}
	saved, err := one.ListExpanded(t.Context())
	if err != nil || len(saved) != 3 {
		t.Fatalf("GET /connectors?expand=info: %v, %v", saved, err)
	}

	g.stop(one)
	g.start(one)
	one.process.WaitLog(regexp.MustCompile(`ERROR The workers of the group do not read the same in the config topic`), patience)
	two.process.WaitLog(regexp.MustCompile(`ERROR .*config\.storage\.topic=`+topic+`.* is another one`), patience)
	if policy := g.client.TopicOverrides(topic)["cleanup.policy"]; policy != "compact" {
		t.Errorf("the topic was made with cleanup.policy %q, want compact", policy)
	}

	g.stop(one)
	g.stop(two)
	g.start(one)
	g.start(two)
	for name, of := range saved {
		config := map[string]string{}
		for key, value := range of.Info.Config {
			config[key] = *value
		}
		kafkatest.Await(t, patience, "connector "+name+" to be created again", func() (bool, string) {
			_, _, err := two.PutConfig(t.Context(), name, config)
			return err == nil, fmt.Sprint(err)
		})
	}
	g.settle(nil)
	g.feedSettled()
	g.remove()
}

// TestAWorkerCutOffFromItsGroupStopsItsWork: the network between a worker and the brokers of its group swallows
// everything, while its connectors still reach their brokers and clients still reach its REST API. Its work stops when
// its session ends, before the others write on; and it comes back by itself when the network does.
func TestAWorkerCutOffFromItsGroupStopsItsWork(t *testing.T) {
	realkafka.Require(t)
	t.Parallel()
	var proxy *realkafka.Proxy
	cluster := realkafka.StartCluster(t, realkafka.Options{JVM: []string{quickJVM}, Listeners: []realkafka.Listener{{
		Name: "THROUGH", Protocol: "PLAINTEXT",
		Advertise: func(_ int, address string) string {
			proxy = realkafka.NewProxy(t, address)
			return proxy.Addr()
		},
	}}})
	g := newGroup(t, cluster, "cut-off")
	maps.Copy(g.properties, map[string]string{
		"config.providers": "env", "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
	})
	// What a connector writes says which worker wrote it, and goes to the brokers directly.
	for i := range 4 {
		g.addLines(fmt.Sprintf("lines-%d", i), map[string]string{
			"producer.override.bootstrap.servers": cluster.Bootstrap(),
			"transforms":                          "sign", "transforms.sign.type": "org.apache.kafka.connect.transforms.InsertHeader",
			"transforms.sign.header": "worker", "transforms.sign.value.literal": "${env:WORKER}",
		})
	}
	stays := g.join("stays", false)
	away := g.joinWith("away", false, map[string]string{"bootstrap.servers": cluster.BootstrapOf("THROUGH")})
	g.create()
	g.settle(stays)
	g.feedSettled()
	moved := map[string]bool{}
	for _, id := range g.held(g.describe())[away.id()] {
		moved[id.Connector] = moved[id.Connector] || id.Task == 0
	}

	proxy.Cut()
	cut := time.Now()
	// Lines come all the time, so a worker that goes on for too long is caught in the act.
	kafkatest.Await(t, patience, "the work to go to the worker that stays", func() (bool, string) {
		g.feed()
		held := g.held(g.describe())
		tasks := 0
		for _, id := range held[stays.id()] {
			if id.Task == 0 {
				tasks++
			}
		}
		return tasks == 4 && len(held[away.id()]) == 0, fmt.Sprint(held)
	})
	t.Logf("the work had moved %s after the cut", time.Since(cut).Round(time.Millisecond))
	for name := range g.configs {
		answer := normal(t, get(t, away.BaseURL+"/connectors/"+name+"/config"))
		if answer != normal(t, get(t, stays.BaseURL+"/connectors/"+name+"/config")) {
			t.Errorf("the worker that is cut off answers for %s: %s", name, answer)
		}
	}
	away.process.WaitLog(regexp.MustCompile(`stopping all work`), patience)
	g.mayRepeat(func(c *carried) bool { return moved[c.task.Connector] })
	g.feed()
	g.awaitCarried()
	for name, hasMoved := range moved {
		if want := []string{"away", "stays"}; hasMoved && !slices.Equal(g.writers(name), want) {
			t.Errorf("%s was written by %v, one after the other, want %v", name, g.writers(name), want)
		}
	}

	proxy.Heal()
	healed := time.Now()
	g.settle(nil)
	t.Logf("the worker was back %s after the network", time.Since(healed).Round(time.Millisecond))
	g.feedSettled()
	for name := range g.configs {
		writers := g.writers(name)
		if limit := 3; len(writers) > limit || writers[len(writers)-1] != g.owner(name) {
			t.Errorf("%s was written by %v, one after the other; %s has it now", name, writers, g.owner(name))
		}
	}
	g.remove()
}

// writers are the workers that wrote a topic's records, in the order of the records, each once for a run of them.
func (g *workerGroup) writers(topic string) []string {
	g.t.Helper()
	var writers []string
	for _, record := range g.client.ReadPartition(topic, 0, kafkatest.ReadCommitted) {
		for _, header := range record.Headers {
			if header.Key == "worker" {
				writers = append(writers, string(header.Value))
			}
		}
	}
	return slices.Compact(writers)
}

// owner is the name of the worker that a connector's first task is assigned to.
func (g *workerGroup) owner(connector string) string {
	g.t.Helper()
	held := g.held(g.describe())
	for _, m := range g.members {
		if slices.Contains(held[m.id()], protocol.ConnectorTaskID{Connector: connector}) {
			return m.name
		}
	}
	return "nobody"
}

// stop ends a worker in order.
func (g *workerGroup) stop(m *groupMember) {
	g.t.Helper()
	if err := m.process.Terminate(patience); err != nil {
		g.t.Error(err)
	}
}
