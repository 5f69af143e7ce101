package compat

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"tributary/test/cluster/kafkatest"
)

// clientPrefixes are those of the clients that a connector may give principals of their own.
var clientPrefixes = []string{"producer.override", "admin.override", "consumer.override"}

// exactlyOnceConnector is a source connector of which each client has a user of its own.
type exactlyOnceConnector struct {
	name   string
	number int  // of its first user
	own    bool // it has an offsets topic of its own
	lacks  *documentedRight
}

const exactlyOnceGroup = "exact"

// user is the user of one of the connector's clients.
func (c exactlyOnceConnector) user(client string) string {
	for i, prefix := range clientPrefixes {
		if prefix == client {
			return fmt.Sprint("bob", c.number+i)
		}
	}
	panic("no client of a connector: " + client)
}

func (c exactlyOnceConnector) real(p documentedRight) documentedRight {
	p.name = strings.NewReplacer("<topic>", "topic-"+c.name, "<connector>", c.name, "<group.id>", exactlyOnceGroup,
		"<offset.storage.topic>", exactlyOnceGroup+"-offsets", "<offsets.storage.topic>", "offsets-"+c.name).Replace(p.name)
	return p
}

func (c exactlyOnceConnector) config(tasks int) map[string]string {
	config := map[string]string{
		"connector.class": "VerifiableSource", "tasks.max": fmt.Sprint(tasks), "topic": "topic-" + c.name, "throughput": "5",
		"exactly.once.support": "requested", "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
	}
	if c.own {
		config["offsets.storage.topic"] = "offsets-" + c.name
	}
	for _, prefix := range clientPrefixes {
		config[prefix+".sasl.jaas.config"] = login(plainModule, c.user(prefix), "right")
	}
	return config
}

// exactlyOncePermissions runs one worker that may do everything and has exactly-once support, with connectors whose three
// clients have exactly the documented permissions, or all but one of them.
func exactlyOncePermissions(t *testing.T, g *guarded, shared, own []documentedRight) {
	const firstUser = 15
	var connectors []exactlyOnceConnector
	// With a topic of its own a connector has the rows of both tables but that of the workers' topic.
	var withOwn []documentedRight
	for _, row := range shared {
		if row.name != "<offset.storage.topic>" {
			withOwn = append(withOwn, row)
		}
	}
	withOwn = append(withOwn, own...)
	add := func(own bool, lacks *documentedRight) {
		n := len(connectors)
		connectors = append(connectors, exactlyOnceConnector{fmt.Sprintf("exact%d", n), firstUser + n*len(clientPrefixes), own, lacks})
	}
	add(false, nil)
	add(true, nil)
	for _, row := range shared {
		add(false, &row)
	}
	for _, row := range own {
		add(true, &row)
	}
	properties := g.workerProperties(exactlyOnceGroup, "boss")
	properties[exactlyOnce] = "enabled"
	properties["offset.flush.interval.ms"] = "500"
	w := startDistributed(t, properties)
	put := func(c exactlyOnceConnector, tasks int) {
		t.Helper()
		kafkatest.Await(t, patience, "the configuration of "+c.name, func() (bool, string) {
			_, _, err := w.PutConfig(t.Context(), c.name, c.config(tasks))
			return err == nil, fmt.Sprint(err)
		})
	}
	for _, c := range connectors {
		rows := shared
		if c.own {
			rows = withOwn
		}
		for _, row := range rows {
			if c.lacks == nil || row != *c.lacks {
				g.allow(c.user(row.setting), c.real(row))
			}
		}
		if c.lacks != nil && c.own && c.lacks.needs == "Read" {
			// What it may not read must be there, and hold something.
			g.CreateTopic("offsets-"+c.name, 1, map[string]string{"cleanup.policy": "compact"})
			g.Produce("offsets-"+c.name, kafkatest.Record{Key: []byte(`["nobody",{}]`), Value: []byte(`{}`)})
		}
		put(c, 2)
	}
	fences := func(c exactlyOnceConnector) bool {
		return c.lacks != nil && c.lacks.setting == "admin.override" && c.lacks.kind == "transactional id"
	}
	written := map[string]int{}
	for _, c := range connectors {
		if c.lacks != nil && !fences(c) {
			awaitComplaint(t, w, c.user(c.lacks.setting), c.real(*c.lacks))
			continue
		}
		w.awaitRunning(c.name, 2)
		records := g.AwaitRecords("topic-"+c.name, 4, patience)[0]
		written[c.name] = len(records)
		if c.own {
			g.AwaitRecords("offsets-"+c.name, 1, patience)
		}
		put(c, 3) // the leader ends the transactions of the two tasks there were
	}
	for _, c := range connectors {
		switch {
		case fences(c):
			awaitComplaint(t, w, c.user(c.lacks.setting), c.real(*c.lacks))
		case c.lacks == nil:
			w.awaitRunning(c.name, 3)
			g.AwaitRecords("topic-"+c.name, written[c.name]+6, patience)
			requireEveryNumberOnce(t, g, "topic-"+c.name)
		}
	}
	users := map[string]bool{}
	for _, c := range connectors {
		if c.lacks == nil {
			for _, prefix := range clientPrefixes {
				users["the user "+c.user(prefix)+" "] = true
			}
		}
	}
	w.stop()
	for _, line := range complaints(w.Log()) {
		for user := range maps.Keys(users) {
			if strings.Contains(line, user) {
				t.Errorf("with all permissions: %s", line)
			}
		}
	}
}

// requireEveryNumberOnce looks at what tasks of a VerifiableSource have committed: the key is the task, the value counts.
func requireEveryNumberOnce(t *testing.T, g *guarded, topic string) {
	t.Helper()
	next := map[string]int{}
	for _, record := range g.ReadTopic(topic, kafkatest.ReadCommitted)[0] {
		task := string(record.Key)
		if want := fmt.Sprint(next[task]); string(record.Value) != want {
			t.Fatalf("%s: task %s wrote %s where %s was due", topic, task, record.Value, want)
		}
		next[task]++
	}
}
