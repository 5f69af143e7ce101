package compat

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// The tests of this file and of mirrorfault_*_test.go break things and want a mirror to notice, to say so and to go on,
// in both lanes, which run side by side as connectors of one worker. They share two brokers, with those of
// mirror_modes_test.go.
func TestMirrorsMeetFaults(t *testing.T) {
	realkafka.Require(t)
	guarded := func(name string) *realkafka.Cluster {
		return realkafka.StartCluster(t, realkafka.Options{
			Name: name, JVM: []string{quickJVM},
			Extra: map[string]string{
				"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
				"super.users":           "User:ANONYMOUS",
				// Retention is at work at once.
				"log.retention.check.interval.ms": "200", "log.initial.task.delay.ms": "200",
			},
			Listeners: []realkafka.Listener{{
				Name: "SECURE", Protocol: "SASL_PLAINTEXT",
				Properties: map[string]string{
					"sasl.enabled.mechanisms": "PLAIN",
					"plain.sasl.jaas.config":  plainModule + ` required user_ann="right";`,
				},
			}},
		})
	}
	p := &pair{source: guarded("source"), target: guarded("target")}
	properties := p.group("faults")
	maps.Copy(properties, map[string]string{
		"connector.client.config.override.policy": "All",
		"task.auto.restart":                       "true", "task.auto.restart.backoff.ms": "500",
	})
	w := startDistributed(t, properties)
	t.Run("while the brokers run", func(t *testing.T) {
		for _, test := range []struct {
			name string
			run  func(*testing.T, *faults)
		}{
			{"the target refuses a record", targetRefusesARecord},
			{"rights are missing", rightsAreMissing},
			{"topics of the target are not as they were", targetTopicsAreNotAsTheyWere},
			{"settings are carried by difference", settingsAreCarriedByDifference},
			{"groups go their own way", groupsGoTheirOwnWay},
			{"one cluster is source and target", oneClusterIsSourceAndTarget},
			{"new topics restart few tasks", newTopicsRestartFewTasks},
			{"failed tasks restart by themselves", failedTasksRestartByThemselves},
			{"nothing to mirror is said", nothingToMirrorIsSaid},
			{"batches end", batchesEnd},
			{"delayed records are never early", delayedRecordsAreNeverEarly},
			{"delayed mirrors are restarted", delayedMirrorsAreRestarted},
			{"offset syncs outlive bursts and stops", offsetSyncsOutliveBurstsAndStops},
			{"mirrors begin where they say", mirrorsBeginWhereTheySay},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				test.run(t, newFaults(t, p, w))
			})
		}
	})
	t.Run("the source loses and damages records", func(t *testing.T) { sourceLosesAndDamagesRecords(t, newFaults(t, p, w)) })
	w.stop()
}

// lanes are the two ways of records, with the keys that choose them.
var lanes = map[string]map[string]string{"raw": {}, "record": {"raw.batches": "false"}}

// faults is what one of the tests needs. Its connectors are deleted when it ends.
type faults struct {
	t        *testing.T
	p        *pair
	src, dst *kafkatest.Client
	w        *worker
}

func newFaults(t *testing.T, p *pair, w *worker) *faults {
	src, dst := p.clients(t)
	return &faults{t: t, p: p, src: src, dst: dst, w: w}
}

// mirror creates a MirrorSourceConnector, whose name is the source's alias, too, and waits until it runs.
func (f *faults) mirror(name, topics string, more ...map[string]string) {
	f.t.Helper()
	config := map[string]string{
		"connector.class":      "org.apache.kafka.connect.mirror.MirrorSourceConnector",
		"source.cluster.alias": name, "source.cluster.bootstrap.servers": f.p.source.Bootstrap(),
		"target.cluster.alias": "target", "target.cluster.bootstrap.servers": f.p.target.Bootstrap(),
		"topics": topics, "emit.offset-syncs.enabled": "false",
	}
	for _, keys := range more {
		maps.Copy(config, keys)
	}
	if _, err := f.w.CreateConnector(f.t.Context(), api.CreateConnectorRequest{Name: name, Config: api.Config(config)}); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if err := f.w.Delete(f.t.Context(), name); err != nil && f.t.Context().Err() == nil {
			f.t.Errorf("delete %s: %v", name, err)
		}
	})
}

// stop stops connectors, and waits until their tasks are gone and so their offsets stored.
func (f *faults) stop(connectors ...string) {
	f.t.Helper()
	for _, name := range connectors {
		if err := f.w.Stop(f.t.Context(), name); err != nil {
			f.t.Fatal(err)
		}
	}
	for _, name := range connectors {
		kafkatest.Await(f.t, patience, name+" to be stopped", func() (bool, string) {
			status, err := f.w.Status(f.t.Context(), name)
			return err == nil && status.Connector.State == "STOPPED" && len(status.Tasks) == 0, fmt.Sprintf("%+v %v", status, err)
		})
	}
}

func (f *faults) resume(connectors ...string) {
	f.t.Helper()
	for _, name := range connectors {
		if err := f.w.Resume(f.t.Context(), name); err != nil {
			f.t.Fatal(err)
		}
	}
}

// page is a connector's replication page.
func (f *faults) page(connector string) api.Replication {
	f.t.Helper()
	page, err := f.w.Replication(f.t.Context(), connector)
	if err != nil {
		f.t.Fatal(err)
	}
	return page
}

// awaitPage waits until a connector's page is as wanted.
func (f *faults) awaitPage(connector, what string, ok func(api.Replication) bool) api.Replication {
	f.t.Helper()
	var page api.Replication
	kafkatest.Await(f.t, patience, what+" on the page of "+connector, func() (bool, string) {
		page = f.page(connector)
		return ok(page), fmt.Sprintf("%+v", page)
	})
	return page
}

// awaitRow waits until the row of a partition is as wanted.
func (f *faults) awaitRow(connector, topic string, partition int32, what string, ok func(api.ReplicatedPartition) bool) api.ReplicatedPartition {
	f.t.Helper()
	var row api.ReplicatedPartition
	kafkatest.Await(f.t, patience, fmt.Sprintf("%s in the row of %s-%d of %s", what, topic, partition, connector), func() (bool, string) {
		rows := f.page(connector).Partitions
		i := slices.IndexFunc(rows, func(r api.ReplicatedPartition) bool { return r.Topic == topic && r.Partition == partition })
		if i < 0 {
			return false, fmt.Sprintf("no row among %d", len(rows))
		}
		row = rows[i]
		return ok(row), show(row)
	})
	return row
}

func show(row api.ReplicatedPartition) string {
	number := func(n *int64) string {
		if n == nil {
			return "?"
		}
		return strconv.FormatInt(*n, 10)
	}
	return fmt.Sprintf("end %s mirrored %s lag %s stopped %t error %q gaps %+v", number(row.SourceEnd), number(row.MirroredUpTo), number(row.LagRecords), row.Stopped, row.LastError, row.Gaps)
}

// even says that a row shows everything up to end as mirrored.
func even(end int64) func(api.ReplicatedPartition) bool {
	return func(r api.ReplicatedPartition) bool {
		return !r.Stopped && r.SourceEnd != nil && *r.SourceEnd == end && r.MirroredUpTo != nil && *r.MirroredUpTo == end && r.LagRecords != nil && *r.LagRecords == 0
	}
}

// metric is the sum of the source connector's series of that name with the label source=alias, and how many there are.
func (f *faults) metric(name, alias string) (sum float64, series int) {
	f.t.Helper()
	return scrape(f.t, f.w, "kafka_connect_mirror_mirrorsourceconnector_"+name, fmt.Sprintf("source=%q", alias))
}

// scrape sums the series of a worker with that name and that text among their labels.
func scrape(t *testing.T, w *worker, name, label string) (sum float64, series int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.BaseURL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(answer.Body, 64<<20))
	for lines.Scan() {
		labels, found := strings.CutPrefix(lines.Text(), name+"{")
		if !found || !strings.Contains(labels, label) {
			continue
		}
		fields := strings.Fields(labels)
		value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			t.Fatalf("metric line %q: %v", lines.Text(), err)
		}
		sum, series = sum+value, series+1
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return sum, series
}

func (f *faults) awaitMetric(name, alias string, want float64) {
	f.t.Helper()
	kafkatest.Await(f.t, patience, fmt.Sprintf("%s of %s to be %g", name, alias, want), func() (bool, string) {
		got, series := f.metric(name, alias)
		return series > 0 && got == want, fmt.Sprintf("%g of %d series", got, series)
	})
}

// awaitLine waits until the worker's log has a line with all those texts.
func (f *faults) awaitLine(texts ...string) {
	f.t.Helper()
	kafkatest.Await(f.t, patience, fmt.Sprintf("a log line with %q", texts), func() (bool, string) {
		return len(f.lines(texts...)) > 0, "none"
	})
}

// lines are the worker's log lines with all those texts.
func (f *faults) lines(texts ...string) (lines []string) {
	for line := range strings.Lines(f.w.Log()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			lines = append(lines, line)
		}
	}
	return lines
}

// values are the values of a partition of the target, oldest first; none while it is not there.
func (f *faults) values(topic string, partition int32) []string {
	f.t.Helper()
	if listed, err := f.dst.Admin().ListTopics(f.t.Context(), topic); err != nil || len(listed[topic].Partitions) <= int(partition) || listed[topic].Err != nil {
		return nil
	}
	return valuesOf(f.dst.ReadPartition(topic, partition, kafkatest.ReadCommitted))
}

func valuesOf(records []kafkatest.Record) []string {
	values := make([]string, len(records))
	for i, r := range records {
		values[i] = string(r.Value)
	}
	return values
}

// awaitValues waits until a partition of the target holds exactly these values.
func (f *faults) awaitValues(topic string, partition int32, want ...string) {
	f.t.Helper()
	kafkatest.Await(f.t, patience, fmt.Sprintf("%q in %s-%d", want, topic, partition), func() (bool, string) {
		got := f.values(topic, partition)
		return slices.Equal(got, want), fmt.Sprintf("%q", got)
	})
}

// write writes values to a partition of the source, as one batch.
func (f *faults) write(topic string, partition int32, values ...string) {
	f.t.Helper()
	records := make([]kafkatest.Record, len(values))
	for i, v := range values {
		records[i] = kafkatest.Record{Partition: partition, Value: []byte(v)}
	}
	f.src.Produce(topic, records...)
}
