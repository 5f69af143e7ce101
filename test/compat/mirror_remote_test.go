package compat

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/connectors/mirror/remote"
	"tributary/connectors/mirror/replica"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// remoteLagMax is the offset.lag.max of the mirrors below.
const remoteLagMax = 20

// Groups move to the target by Tributary's checkpoints: Java's client reads the same positions as Tributary's, and a
// consumer that goes on there leaves nothing out and reads no more than offset.lag.max records twice.
func TestConsumersMoveToTheTargetByTheCheckpoints(t *testing.T) {
	realkafka.Require(t)
	p := startPair(t, realkafka.DefaultVersion)
	t.Run("", func(t *testing.T) { // the brokers end after both
		for name, more := range map[string]string{"raw": "", "rec": "rec->rechome.raw.batches = false\n"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				moveConsumers(t, p, name, more)
			})
		}
	})
}

// tp is a partition of a source topic.
type tp = replica.TopicPartition

func moveConsumers(t *testing.T, p *pair, name, more string) {
	src, dst := p.clients(t)
	plain, cut, small := name+"-plain", name+"-cut", name+"-small"
	src.CreateTopic(plain, 2, anyTime)
	src.CreateTopic(cut, 1, anyTime)
	src.CreateTopic(small, 1, anyTime)
	// A topic whose beginning is gone: offsets differ from the first record on.
	src.Produce(cut, keyed(cut, 1, 0, 70)...)
	deleteRecords(t, src, cut, 0, 33)
	w := startMaker(t, p.fill(strings.ReplaceAll(`
clusters = NAME, NAMEhome
NAME.bootstrap.servers = SOURCE
NAMEhome.bootstrap.servers = TARGET
NAMEhome.offset.flush.interval.ms = 1000
NAME->NAMEhome.enabled = true
NAME->NAMEhome.topics = NAME-.*
NAME->NAMEhome.groups = NAME-.*
NAME->NAMEhome.offset.lag.max = 20
NAME->NAMEhome.emit.checkpoints.interval.seconds = 1
NAME->NAMEhome.refresh.groups.interval.seconds = 1
`+more, "NAME", name)))

	// The mirror follows while the topics grow. At each stage a group stands near their ends, as groups do that keep
	// up, and one has stopped where the first stage ended.
	groups := map[string]map[tp]int64{}
	written := 0
	for stage, behind := range []int64{0, 1, 7, 18} {
		src.Produce(plain, keyed(plain, 2, written, 600)...)
		src.Produce(cut, keyed(cut, 1, 70+written, 300)...)
		smallTransactions(t, p, small, written, 150)
		written += 600
		for _, topic := range []string{plain, cut, small} {
			awaitLast(t, src, dst, topic, name+"."+topic)
		}
		at := map[tp]int64{}
		for _, topic := range []string{plain, cut, small} {
			for partition, limits := range src.Offsets(topic) {
				at[tp{Topic: topic, Partition: partition}] = limits.End - behind
			}
		}
		groups[fmt.Sprintf("%s-group-%d", name, stage)] = at
		commitWithMetadata(t, src, fmt.Sprintf("%s-group-%d", name, stage), at)
		awaitCheckpoints(t, src, dst, name, fmt.Sprintf("%s-group-%d", name, stage), at)
	}
	checkSyncCount(t, src, name, small)
	w.stop()

	// Both clients give the same answers.
	names := slices.Sorted(maps.Keys(groups))
	java := javaRemote(t, p, name, names)
	if diff := cmp.Diff(java, goRemote(t, p, name, names)); diff != "" {
		t.Errorf("what Java's client finds and Tributary's (-Java +Tributary):\n%s", diff)
	}
	if !slices.Contains(java, "hops 1") || !slices.Contains(java, "checkpoints "+strings.Join(checkpointTopics(dst), ",")) {
		t.Errorf("Java's client does not see the source one hop away, with its checkpoints:\n%s", strings.Join(java, "\n"))
	}

	// Each group goes on by Java's answers.
	moved := javaPositions(t, java)
	for group, at := range groups {
		checkMoved(t, p, src, dst, name, group, at, moved[group])
	}
}

// smallTransactions writes transactions of one record each.
func smallTransactions(t *testing.T, p *pair, topic string, from, count int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(p.source.Bootstrap()), kgo.TransactionalID(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, r := range keyed(topic, 1, from, count) {
		err := client.BeginTransaction()
		if err == nil {
			err = client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value}).FirstErr()
		}
		if err == nil {
			err = client.EndTransaction(t.Context(), kgo.TryCommit)
		}
		if err != nil {
			t.Fatalf("transaction on topic %s: %v", topic, err)
		}
	}
}

func deleteRecords(t *testing.T, client *kafkatest.Client, topic string, partition int32, before int64) {
	t.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, partition, before, -1)
	deleted, err := client.Admin().DeleteRecords(t.Context(), offsets)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		t.Fatalf("delete records of topic %s: %v", topic, err)
	}
}

func commitWithMetadata(t *testing.T, client *kafkatest.Client, group string, at map[tp]int64) {
	t.Helper()
	offsets := kadm.Offsets{}
	for p, offset := range at {
		offsets.Add(kadm.Offset{Topic: p.Topic, Partition: p.Partition, At: offset, LeaderEpoch: -1, Metadata: fmt.Sprintf("von-%d-ß", offset)})
	}
	if err := client.Admin().CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatalf("commit for group %s: %v", group, err)
	}
}

// awaitCheckpoints waits until a group has a checkpoint of each position no further than remoteLagMax before its place
// on the target. None may lie behind it.
func awaitCheckpoints(t *testing.T, src, dst *kafkatest.Client, name, group string, at map[tp]int64) {
	t.Helper()
	places := map[tp]int64{}
	for p, offset := range at {
		for _, r := range src.ReadPartition(p.Topic, p.Partition, kafkatest.ReadCommitted) {
			if r.Offset < offset {
				places[p]++
			}
		}
	}
	dst.AwaitTopic(name+".checkpoints.internal", patience)
	kafkatest.Await(t, patience, "checkpoints of group "+group, func() (bool, string) {
		missing := maps.Clone(places)
		for _, record := range dst.ReadPartition(name+".checkpoints.internal", 0, kafkatest.ReadUncommitted) {
			c, err := replica.DecodeCheckpoint(record.Key, record.Value)
			if err != nil {
				t.Fatal(err)
			}
			source := tp{Topic: strings.TrimPrefix(c.TopicPartition.Topic, name+"."), Partition: c.TopicPartition.Partition}
			if c.Group != group || at[source] != c.Upstream {
				continue
			}
			if c.Downstream > places[source] {
				t.Fatalf("the checkpoint %+v lies behind the place %d of the group", c, places[source])
			}
			if c.Downstream >= places[source]-remoteLagMax {
				delete(missing, source)
			}
		}
		return len(missing) == 0, fmt.Sprint("missing ", missing)
	})
}

// checkSyncCount wants the syncs of a topic of small transactions to be bounded by offset.lag.max and the commits.
func checkSyncCount(t *testing.T, src *kafkatest.Client, name, topic string) {
	t.Helper()
	syncs := 0
	for _, record := range src.ReadPartition("mm2-offset-syncs."+name+"home.internal", 0, kafkatest.ReadUncommitted) {
		s, err := replica.DecodeOffsetSync(record.Key, record.Value)
		if err != nil {
			t.Fatal(err)
		}
		if s.TopicPartition.Topic == topic {
			syncs++
		}
	}
	records := len(src.ReadPartition(topic, 0, kafkatest.ReadCommitted))
	t.Logf("%d offset syncs for %d transactions of one record", syncs, records)
	if syncs == 0 || syncs > records/5 { // Java's rule makes one for each
		t.Errorf("there are %d offset syncs for %d small transactions", syncs, records)
	}
}

func javaRemote(t *testing.T, p *pair, name string, groups []string) []string {
	t.Helper()
	program, err := filepath.Abs(filepath.Join("testdata", "RemoteOffsets.java"))
	if err != nil {
		t.Fatal(err)
	}
	output := realkafka.RunJava(t, program, append([]string{p.target.Bootstrap(), name}, groups...), patience, realkafka.WithName("remote-"+name))
	var lines []string
	for line := range strings.Lines(output) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "RESULT "); ok {
			lines = append(lines, rest)
		}
	}
	slices.Sort(lines)
	return lines
}

// goRemote is what RemoteOffsets.java prints, asked by Tributary's client.
func goRemote(t *testing.T, p *pair, name string, groups []string) []string {
	t.Helper()
	client, err := remote.New(map[string]string{"bootstrap.servers": p.target.Bootstrap()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	hops, err := client.Hops(ctx, name)
	must(err)
	lines := []string{fmt.Sprint("hops ", hops)}
	for what, ask := range map[string]func(context.Context) ([]string, error){
		"upstream": client.UpstreamClusters, "heartbeats": client.HeartbeatTopics, "checkpoints": client.CheckpointTopics,
		"remote": func(ctx context.Context) ([]string, error) { return client.RemoteTopicsOf(ctx, name) },
	} {
		names, err := ask(ctx)
		must(err)
		lines = append(lines, what+" "+strings.Join(names, ","))
	}
	add := func(how, group string, positions remote.Positions) {
		for p, o := range positions {
			lines = append(lines, fmt.Sprintf("%s %s %s %d %s", how, group, p, o.Offset, o.Metadata))
		}
	}
	for _, group := range groups {
		positions, err := client.TranslatedOffsets(ctx, group, name)
		must(err)
		add("one", group, positions)
	}
	all, err := client.TranslatedGroups(ctx, name, func(group string) bool { return strings.HasPrefix(group, name+"-") })
	must(err)
	for group, positions := range all {
		add("all", group, positions)
	}
	slices.Sort(lines)
	return lines
}

func checkpointTopics(dst *kafkatest.Client) []string {
	return slices.DeleteFunc(dst.Topics(), func(topic string) bool { return !strings.HasSuffix(topic, ".checkpoints.internal") })
}

// javaPositions are the positions of each group, by partition of the target.
func javaPositions(t *testing.T, lines []string) map[string]map[tp]int64 {
	t.Helper()
	positions := map[string]map[tp]int64{}
	for _, line := range lines {
		rest, ok := strings.CutPrefix(line, "one ")
		if !ok {
			continue
		}
		var group, partition, metadata string
		var offset int64
		if _, err := fmt.Sscan(rest, &group, &partition, &offset, &metadata); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		at, err := replica.ParseTopicPartition(partition)
		if err != nil {
			t.Fatal(err)
		}
		if positions[group] == nil {
			positions[group] = map[tp]int64{}
		}
		positions[group][at] = offset
	}
	return positions
}

// checkMoved has a consumer of the group go on at the target, and compares what it reads with what the group had left
// on the source.
func checkMoved(t *testing.T, p *pair, src, dst *kafkatest.Client, name, group string, left, moved map[tp]int64) {
	t.Helper()
	for at := range left {
		if _, found := moved[tp{Topic: name + "." + at.Topic, Partition: at.Partition}]; !found {
			t.Errorf("group %s is not translated on %s", group, at)
		}
	}
	topics := map[string]bool{}
	for at, offset := range moved {
		topics[at.Topic] = true
		dst.CommitOffset(group, at.Topic, at.Partition, offset)
	}
	read := consumeToEnd(t, p.target.Bootstrap(), dst, group, slices.Sorted(maps.Keys(topics)))
	for at, offset := range left {
		var want []string
		for _, r := range src.ReadPartition(at.Topic, at.Partition, kafkatest.ReadCommitted) {
			if r.Offset >= offset {
				want = append(want, string(r.Key))
			}
		}
		got := read[tp{Topic: name + "." + at.Topic, Partition: at.Partition}]
		again := len(got) - len(want)
		if again < 0 || again > remoteLagMax || !slices.Equal(got[max(again, 0):], want) {
			t.Errorf("group %s had %d records of %s left behind offset %d; at the target it reads %d, want these and at most %d before them",
				group, len(want), at, offset, len(got), remoteLagMax)
		}
	}
}

// consumeToEnd reads as a member of a group from where it stands to the ends of its topics, and gives the keys.
func consumeToEnd(t *testing.T, bootstrap string, dst *kafkatest.Client, group string, topics []string) map[tp][]string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topics...),
		kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	committed := dst.CommittedOffsets(group)
	left := map[tp]int64{}
	for _, topic := range topics {
		for partition, limits := range dst.Offsets(topic) {
			if at := committed[topic][partition]; at < limits.End {
				left[tp{Topic: topic, Partition: partition}] = limits.End
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	read := map[tp][]string{}
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("group %s: %v; still to read up to %v", group, err, left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at := tp{Topic: r.Topic, Partition: r.Partition}
			read[at] = append(read[at], string(r.Key))
			if r.Offset+1 >= left[at] {
				delete(left, at)
			}
		})
	}
	return read
}
