package compat

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
)

// sourceLosesAndDamagesRecords: each way in which a source can lose records is a gap with its kind and its range, and
// the partition goes on as on.data.loss says; a batch whose bytes are wrong holds up its partition and no other.
func sourceLosesAndDamagesRecords(t *testing.T, f *faults) {
	began := time.Now()
	policies := []string{"continue", "stop.partition", "restart.from.earliest"}
	var mirrors []string
	policyOf := map[string]string{}
	topics := []string{"deleted", "expired", "rolled", "shorter", "longer"}
	for _, topic := range topics {
		f.src.CreateTopic(topic, 1, anyTime)
		f.write(topic, 0, "0")
		f.write(topic, 0, "1")
	}
	f.src.CreateTopic("damaged", 2, anyTime)
	f.write("damaged", 0, "a0")
	f.write("damaged", 1, "b0")
	for lane, keys := range lanes {
		for _, policy := range policies {
			name := lane + "-" + policy
			f.mirror(name, strings.Join(topics, ",")+",damaged", keys, map[string]string{"on.data.loss": policy})
			mirrors, policyOf[name] = append(mirrors, name), policy
		}
	}
	slices.Sort(mirrors)
	for _, name := range mirrors {
		for _, topic := range topics {
			f.awaitValues(name+"."+topic, 0, "0", "1")
		}
		f.awaitValues(name+".damaged", 0, "a0")
		f.awaitValues(name+".damaged", 1, "b0")
		lane, _, _ := strings.Cut(name, "-")
		f.awaitRow(name, "rolled", 0, "the lane", func(r api.ReplicatedPartition) bool { return r.Lane == lane && even(2)(r) })
	}

	// Records that are deleted while a mirror runs may have been read by it before: none runs.
	f.stop(mirrors...)
	f.write("deleted", 0, "2", "3", "4", "5")
	upTo := kadm.Offsets{}
	upTo.AddOffset("deleted", 0, 4, -1)
	if _, err := f.src.Admin().DeleteRecords(t.Context(), upTo); err != nil {
		t.Fatal(err)
	}
	f.write("expired", 0, "2", "3")
	f.retain("expired", "1")
	kafkatest.Await(t, patience, "retention to delete the records of expired", func() (bool, string) {
		at := f.src.Offsets("expired")[0]
		return at.Start == 4, fmt.Sprint(at)
	})
	f.retain("expired", "-1")
	f.write("expired", 0, "4", "5")
	f.write("damaged", 0, "a1")
	f.write("damaged", 0, "a2")
	f.write("damaged", 0, "a3")
	f.write("damaged", 1, "b1")
	broker := f.p.source.Brokers()[0]
	broker.Stop(syscall.SIGTERM)
	changeLog(t, broker.PartitionDir("rolled", 0), func(log []byte, batches []int) []byte { return log[:batches[1]] })
	changeLog(t, broker.PartitionDir("damaged", 0), func(log []byte, batches []int) []byte {
		log[batches[3]-1] ^= 0xff // the last byte of the third batch, among its records
		return log
	})
	broker.Start()
	if at := f.src.Offsets("rolled")[0]; at.End != 1 {
		t.Fatalf("the log of rolled ends at %d after it was rolled back, want 1", at.End)
	}
	f.resume(mirrors...)

	type loss struct {
		topic, kind string
		from, to    int64
		// after are the values that follow, with stop.partition none.
		after []string
		end   int64
	}
	check := func(losses []loss) {
		t.Helper()
		for _, name := range mirrors {
			for _, want := range losses {
				row := f.awaitRow(name, want.topic, 0, "the gap", func(r api.ReplicatedPartition) bool { return len(r.Gaps) > 0 })
				gap := row.Gaps[0]
				if len(row.Gaps) != 1 || gap.Kind != want.kind || gap.From != want.from || gap.To != want.to || gap.Time.Before(began) || gap.Time.After(time.Now()) {
					t.Errorf("%s: the gaps of %s are %+v, want one of kind %s from %d to %d", name, want.topic, row.Gaps, want.kind, want.from, want.to)
				}
				f.awaitLine("WARN", "["+name+"|task-0]", "Records of a source partition are lost", "topic="+want.topic, "kind="+want.kind)
				if policyOf[name] == "stop.partition" {
					f.awaitRow(name, want.topic, 0, "the stop and its reason", func(r api.ReplicatedPartition) bool {
						return r.Stopped && r.LastError != "" && r.LastErrorTime != nil && *r.SourceEnd == want.end
					})
					f.awaitValues(name+"."+want.topic, 0, "0", "1")
					continue
				}
				f.awaitValues(name+"."+want.topic, 0, append([]string{"0", "1"}, want.after...)...)
				f.awaitRow(name, want.topic, 0, "no lag", even(want.end))
			}
		}
	}
	check([]loss{
		{"deleted", "deleted", 2, 4, []string{"4", "5"}, 6},
		{"expired", "deleted", 2, 4, []string{"4", "5"}, 6},
		{"rolled", "rolled-back", 1, 2, []string{"0"}, 1},
	})

	for _, name := range mirrors {
		f.awaitValues(name+".damaged", 0, "a0", "a1")
		f.awaitRow(name, "damaged", 0, "the damage", func(r api.ReplicatedPartition) bool {
			return r.Stopped && strings.Contains(r.LastError, "the record batch at offset 2 of damaged-0 is damaged") && *r.MirroredUpTo == 2 && *r.LagRecords == 2
		})
		f.awaitLine("WARN", "["+name+"|task-0]", "partition cannot be read, trying on", "topic=damaged partition=0", "is damaged")
	}
	// The others go on meanwhile.
	f.write("damaged", 1, "b2")
	f.write("rolled", 0, "new")
	for _, name := range mirrors {
		f.awaitValues(name+".damaged", 1, "b0", "b1", "b2")
		if policyOf[name] != "stop.partition" {
			f.awaitValues(name+".rolled", 0, "0", "1", "0", "new")
		}
	}

	// A topic is made anew under the eyes of running tasks. They must not see it before all is written.
	if err := f.w.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := func() {
		t.Helper()
		if err := f.w.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	defer goOn()
	f.src.DeleteTopic("shorter")
	f.src.DeleteTopic("longer")
	f.src = kafkatest.Dial(t, f.p.source.Bootstrap()) // the other one remembers the ids of topics
	for topic, values := range map[string][]string{"shorter": {"n0"}, "longer": {"n0", "n1", "n2", "n3"}} {
		f.src.CreateTopic(topic, 1, anyTime)
		f.write(topic, 0, values...)
	}
	goOn()
	check([]loss{{"shorter", "recreated", 2, 2, []string{"n0"}, 1}})
	for _, name := range mirrors {
		row := f.awaitRow(name, "longer", 0, "the gap", func(r api.ReplicatedPartition) bool { return len(r.Gaps) > 0 })
		// Until the new id was noticed, what lies behind the old position may have been read.
		at := row.Gaps[0].To
		from := at
		if policyOf[name] == "continue" {
			from = 0 // the new topic's first records
		}
		if gap := row.Gaps[0]; len(row.Gaps) != 1 || gap.Kind != "recreated" || gap.From != from || at != 2 && at != 4 {
			t.Errorf("%s: the gaps of longer are %+v, want one of kind recreated from %d to 2 or 4", name, row.Gaps, from)
		}
		kafkatest.Await(t, patience, "the records of longer in "+name, func() (bool, string) {
			got := f.values(name+".longer", 0)
			rest := strings.TrimPrefix(strings.Join(got, " "), "0 1")
			rest = strings.TrimSpace(rest)
			ok := map[string]bool{
				"continue": rest == "n2 n3", "stop.partition": rest == "" || rest == "n2 n3",
				"restart.from.earliest": rest == "n0 n1 n2 n3" || rest == "n2 n3 n0 n1 n2 n3",
			}[policyOf[name]]
			return ok, fmt.Sprintf("%q", got)
		})
	}
	for _, name := range mirrors {
		f.awaitMetric("gap_count", name, 5)
		stopped := 1 // the damaged one
		if policyOf[name] == "stop.partition" {
			stopped += 5
		}
		f.awaitMetric("stopped_partitions", name, float64(stopped))
	}

	// Who can do without the damaged batch sets the offset behind it.
	for lane := range lanes {
		name := lane + "-continue"
		f.stop(name)
		partition, err := json.Marshal(map[string]any{"cluster": name, "topic": "damaged", "partition": 0})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.w.AlterOffsets(t.Context(), name, api.ConnectorOffsets{Offsets: []api.ConnectorOffset{{Partition: partition, Offset: json.RawMessage(`{"offset":2}`)}}}); err != nil {
			t.Fatal(err)
		}
		f.resume(name)
		f.awaitValues(name+".damaged", 0, "a0", "a1", "a3")
		f.awaitRow(name, "damaged", 0, "no lag", even(4))
		f.awaitMetric("stopped_partitions", name, 0)
	}
}

// retain sets retention.ms of a topic of the source.
func (f *faults) retain(topic, millis string) {
	f.t.Helper()
	alter(f.t, f.src, topic, "retention.ms", millis)
}

// alter sets one property of a topic.
func alter(t *testing.T, client *kafkatest.Client, topic, key, value string) {
	t.Helper()
	altered, err := client.Admin().AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	if err == nil {
		err = altered[0].Err
	}
	if err != nil {
		t.Fatalf("set %s=%s on topic %s: %v", key, value, topic, err)
	}
}

// changeLog changes the first segment of a partition of a broker that is not running. change gets its bytes, and where
// each batch begins and the last one ends.
func changeLog(t *testing.T, dir string, change func(log []byte, batches []int) []byte) {
	t.Helper()
	path := filepath.Join(dir, "00000000000000000000.log")
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var batches []int
	at := 0
	for at < len(log) {
		batches = append(batches, at)
		at += 12 + int(binary.BigEndian.Uint32(log[at+8:]))
	}
	if err := os.WriteFile(path, change(log, append(batches, at)), 0o600); err != nil {
		t.Fatal(err)
	}
}
