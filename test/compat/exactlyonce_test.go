package compat

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// javaAndTributaryFenceForEachOther: in a group of both kinds with exactly-once support, tasks of either have the leader
// fence their predecessors, whichever kind leads, and the mirror stays exact.
func javaAndTributaryFenceForEachOther(t *testing.T, p *pair) {
	src, dst := p.clients(t)
	load := startStream(src, "fenced", 4)
	load.produce(1)
	properties := p.group("fencing")
	properties["exactly.once.source.support"] = "enabled"
	java, javaAPI := startJavaLeader(t, properties, "java-fencing")
	tributary := startDistributed(t, properties)
	awaitLeading(t, tributary, false)

	config := map[string]string{
		"name": "mirror", "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector", "exactly.once.support": "required",
		"source.cluster.alias": "zombie", "source.cluster.bootstrap.servers": p.source.Bootstrap(),
		"target.cluster.alias": "copy", "target.cluster.bootstrap.servers": p.target.Bootstrap(),
		"source.consumer.isolation.level": "read_committed", "topics": "fenced", "offset-syncs.topic.replication.factor": "1", "replication.factor": "1",
	}
	// divide gives the connector so many tasks, and waits until each kind of worker runs some and all is mirrored.
	divide := func(client *api.Client, tasks int) {
		t.Helper()
		config["tasks.max"] = fmt.Sprint(tasks)
		if _, _, err := client.PutConfig(t.Context(), "mirror", config); err != nil {
			t.Fatal(err)
		}
		load.produce(1)
		kafkatest.Await(t, patience, fmt.Sprintf("%d tasks on both workers", tasks), func() (bool, string) {
			status := awaitRunning(t, client, "mirror", tasks)
			workers := map[string]int{}
			for _, task := range status.Tasks {
				workers[task.WorkerID]++
			}
			return len(workers) == 2, fmt.Sprint(workers)
		})
		awaitLast(t, src, dst, "fenced", "zombie.fenced")
		kafkatest.CompareTopic(t, p.source.Bootstrap(), "fenced", p.target.Bootstrap(), "zombie.fenced")
	}
	divide(tributary.Client, 4)
	divide(javaAPI, 2) // Java leads and fences

	terminate(java)
	awaitLeading(t, tributary, true)
	java = realkafka.StartJavaConnect(t, properties, realkafka.WithJVM(quickJVM), realkafka.WithName("java-fenced"))
	javaAPI = &api.Client{BaseURL: java.URL()}
	awaitRunning(t, javaAPI, "mirror", 2)
	divide(javaAPI, 3) // Tributary does
	divide(tributary.Client, 4)

	records := map[string]string{}
	for _, r := range dst.ReadPartition("fencing-configs", 0, kafkatest.ReadCommitted) {
		if strings.HasPrefix(string(r.Key), "tasks-fencing-") {
			records[string(r.Key)] = string(r.Value)
		}
	}
	if want := map[string]string{"tasks-fencing-mirror": `{"task-count":4}`}; !maps.Equal(records, want) {
		t.Errorf("task count records %v, want %v", records, want)
	}
	if err := tributary.Delete(t.Context(), "mirror"); err != nil {
		t.Error(err)
	}
	tributary.stop()
	terminate(java)
}

// awaitLeading waits until a worker is in its group and leads it, or does not.
func awaitLeading(t *testing.T, w *worker, leading bool) {
	t.Helper()
	kafkatest.Await(t, patience, fmt.Sprintf("Tributary to be in the group, leading=%t", leading), func() (bool, string) {
		now, known := leads(w)
		return known && now == leading, fmt.Sprint(now, known)
	})
}
