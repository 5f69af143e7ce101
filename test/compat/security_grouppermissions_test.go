package compat

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// workerProperties are those of a worker group on a guarded broker, whose workers are a user, clients of connectors
// included.
func (g *guarded) workerProperties(group, user string) map[string]string {
	p := map[string]string{
		"bootstrap.servers": g.secure, "group.id": group,
		"key.converter": "org.apache.kafka.connect.storage.StringConverter", "value.converter": "org.apache.kafka.connect.storage.StringConverter",
		"config.storage.topic": group + "-configs", "offset.storage.topic": group + "-offsets", "status.storage.topic": group + "-status",
		"offset.storage.partitions": "1", "status.storage.partitions": "1",
	}
	for _, storage := range []string{"config", "offset", "status"} {
		p[storage+".storage.replication.factor"] = "1"
	}
	for _, prefix := range []string{"", "producer.", "consumer.", "admin."} {
		p[prefix+"security.protocol"], p[prefix+"sasl.mechanism"] = "SASL_PLAINTEXT", "PLAIN"
		p[prefix+"sasl.jaas.config"] = login(plainModule, user, "right")
	}
	return p
}

// Groups of one worker each, with exactly the documented permissions or all but one of them.
func TestTheDocumentedPermissionsOfAWorkerGroupAreEnoughAndEachLackIsNamed(t *testing.T) {
	realkafka.Require(t)
	g := startGuarded(t, "kafka", "bob")
	all := documentedPermissions(t)
	t.Run("the group", func(t *testing.T) {
		groupPermissions(t, g, of(t, all, "the principal of the worker's own properties:"))
	})
	t.Run("its connectors", func(t *testing.T) {
		connectorPermissions(t, g, of(t, all, "A source connector:"), of(t, all, "A sink connector:"))
	})
	t.Run("its connectors with exactly-once support", func(t *testing.T) {
		exactlyOncePermissions(t, g, of(t, all, "A source connector with exactly-once support:"), of(t, all, "on its own offsets topic:"))
	})
}

// groupPermissions starts groups of one worker each, with exactly the documented permissions or all but one of them.
func groupPermissions(t *testing.T, g *guarded, rows []documentedRight) {
	type group struct {
		number      int
		exactlyOnce bool
		lacks       *documentedRight
	}
	groups := []group{{number: 0}, {number: 1, exactlyOnce: true}}
	for _, row := range rows {
		groups = append(groups, group{number: len(groups), exactlyOnce: row.setting == exactlyOnce, lacks: &row})
	}
	sideBySide(t, groups, func(t *testing.T, c group) {
		id, user := fmt.Sprintf("group%d", c.number), fmt.Sprintf("bob%d", c.number)
		names := strings.NewReplacer("<config.storage.topic>", id+"-configs", "<offset.storage.topic>", id+"-offsets", "<status.storage.topic>", id+"-status", "<group.id>", id)
		real := func(p documentedRight) documentedRight {
			p.name = names.Replace(p.name)
			return p
		}
		for _, row := range rows {
			if (c.lacks == nil || row != *c.lacks) && (c.exactlyOnce || row.setting != exactlyOnce) {
				g.allow(user, real(row))
			}
		}
		// A connector of the worker's own principal, for offsets and statuses to be written.
		g.allow(user, documentedRight{kind: "topic", name: id + "-lines", needs: "Create"}, documentedRight{kind: "topic", name: id + "-lines", needs: "Write"})
		lines := filepath.Join(t.TempDir(), "lines")
		if err := os.WriteFile(lines, []byte("one\n"), 0o600); err != nil {
			t.Error(err)
		}
		properties := g.workerProperties(id, user)
		properties["offset.flush.interval.ms"] = "500"
		if c.exactlyOnce {
			properties[exactlyOnce] = "enabled"
			g.allow(user, documentedRight{kind: "transactional id", name: id + "-lines-", prefix: true, needs: "Write"}) // the task's
		}
		w := startDistributed(t, properties)
		created := false
		create := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := w.CreateConnector(ctx, api.CreateConnectorRequest{Name: "lines", Config: api.Config(map[string]string{
				"connector.class": "FileStreamSource", "file": lines, "topic": id + "-lines", "tasks.max": "1",
				"topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
			})})
			created = created || err == nil
			return err
		}
		if c.lacks != nil {
			said := real(*c.lacks).complaint(user)
			kafkatest.Await(t, patience, "the complaint about the lack of "+real(*c.lacks).String()+" for "+user, func() (bool, string) {
				if !created && w.Running() {
					_ = create() // which may be what is refused
				}
				log := strings.ReplaceAll(w.Log(), `\"`, `"`)
				return said.MatchString(log), strings.Join(complaints(log), "\n")
			})
			_ = w.Terminate(patience) // without its topics it ends by itself
			return
		}
		kafkatest.Await(t, patience, "a connector", func() (bool, string) {
			err := create()
			return created, fmt.Sprint(err)
		})
		if got := g.AwaitRecords(id+"-lines", 1, patience)[0]; string(got[0].Value) != "one" {
			t.Errorf("the connector wrote %v", got)
		}
		kafkatest.Await(t, patience, "its offset", func() (bool, string) {
			offsets, err := w.Offsets(t.Context(), "lines")
			return err == nil && len(offsets.Offsets) == 1, fmt.Sprint(offsets, err)
		})
		w.stop()
		if said := strings.Join(complaints(w.Log()), "\n"); strings.Contains(said, "not allowed") {
			t.Errorf("with all permissions:\n%s", said)
		}
	})
}

// One worker that may do everything, with connectors of users that may not.
func connectorPermissions(t *testing.T, g *guarded, source, sink []documentedRight) {
	w := startDistributed(t, g.workerProperties("connectors", "boss"))
	type connector struct {
		name, user string
		sink       bool
		lacks      *documentedRight
	}
	var connectors []connector
	add := func(sink bool, lacks *documentedRight) {
		n := len(connectors)
		connectors = append(connectors, connector{fmt.Sprintf("connector%d", n), fmt.Sprintf("bob%d", mostUsers-1-n), sink, lacks})
	}
	for i, rows := range [][]documentedRight{source, sink} {
		add(i == 1, nil)
		for _, row := range rows {
			add(i == 1, &row)
		}
	}
	real := func(c connector, p documentedRight) documentedRight {
		p.name = strings.NewReplacer("<topic>", "topic-"+c.name, "<connector>", c.name, "<dead letters>", "letters-"+c.name).Replace(p.name)
		return p
	}
	in := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(in, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	create := func(c connector) {
		t.Helper()
		config := map[string]string{"tasks.max": "1"}
		if c.sink {
			topic := "topic-" + c.name
			g.CreateTopic(topic, 1, nil)
			g.Produce(topic, kafkatest.Record{Value: []byte(`{"a":`)}, kafkatest.Record{Value: []byte(`"good"`)})
			for key, value := range map[string]string{
				"connector.class": "FileStreamSink", "file": filepath.Join(filepath.Dir(in), c.name), "topics": topic,
				"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
				"errors.tolerance": "all", "errors.deadletterqueue.topic.name": "letters-" + c.name, "errors.deadletterqueue.topic.replication.factor": "1",
			} {
				config[key] = value
			}
		} else {
			for key, value := range map[string]string{
				"connector.class": "FileStreamSource", "file": in, "topic": "topic-" + c.name,
				"topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
			} {
				config[key] = value
			}
		}
		for _, prefix := range []string{"producer.override.", "consumer.override.", "admin.override."} {
			config[prefix+"sasl.jaas.config"] = login(plainModule, c.user, "right")
		}
		kafkatest.Await(t, patience, "creating "+c.name, func() (bool, string) {
			_, err := w.CreateConnector(t.Context(), api.CreateConnectorRequest{Name: c.name, Config: api.Config(config)})
			return err == nil, fmt.Sprint(err)
		})
	}
	for _, c := range connectors {
		rows := source
		if c.sink {
			rows = sink
		}
		for _, row := range rows {
			if c.lacks == nil || row != *c.lacks {
				g.allow(c.user, real(c, row))
			}
		}
		create(c)
	}
	for _, c := range connectors {
		switch {
		case c.lacks != nil:
			awaitComplaint(t, w, c.user, real(c, *c.lacks))
		case c.sink:
			g.AwaitRecords("letters-"+c.name, 1, patience)
			awaitFile(t, filepath.Join(filepath.Dir(in), c.name), []string{"good"})
		default:
			records := g.AwaitRecords("topic-"+c.name, 2, patience)[0]
			if string(records[0].Value) != "one" || string(records[1].Value) != "two" {
				t.Errorf("%s wrote %v", c.name, records)
			}
		}
	}
	w.stop()
	for _, line := range complaints(w.Log()) {
		for _, c := range connectors {
			if c.lacks == nil && strings.Contains(line, "the user "+c.user+" ") {
				t.Errorf("with all permissions: %s", line)
			}
		}
	}
}
