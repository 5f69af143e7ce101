package compat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/connectors/mirror/replica"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// Java's MirrorMaker mirrors a source that is written and read all the while; it is stopped; Tributary goes on with
// the same file; then Java again. A consumer group is carried along.
func TestJavaAndTributaryTakeOverFromEachOtherUnderLoad(t *testing.T) {
	realkafka.Require(t)
	p := startPair(t, realkafka.DefaultVersion)
	t.Run("", func(t *testing.T) { // the brokers end after both
		for name, signal := range map[string]syscall.Signal{"term": syscall.SIGTERM, "kill": syscall.SIGKILL} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				takeOverUnderLoad(t, p, name, signal)
			})
		}
	})
}

// takeover is one run. Its source is called name, and so begin its topics.
type takeover struct {
	t        *testing.T
	src, dst *kafkatest.Client
	name     string
	group    string
	topics   []string
	// uncommitted counts, by topic and partition, the records that were on the target behind the last commit of
	// offsets at one of the kills: only these may be there twice.
	uncommitted map[string]map[int32]int
}

func takeOverUnderLoad(t *testing.T, p *pair, name string, signal syscall.Signal) {
	src, dst := p.clients(t)
	o := &takeover{t: t, src: src, dst: dst, name: name, group: name + "-readers", topics: []string{name + "-plain", name + "-tx"}, uncommitted: map[string]map[int32]int{}}
	file := p.fill(strings.NewReplacer("NAME", name).Replace(`
clusters = NAME, NAMEhome
NAME.bootstrap.servers = SOURCE
NAMEhome.bootstrap.servers = TARGET
NAMEhome.offset.flush.interval.ms = 2000
NAMEhome.session.timeout.ms = 6000
NAMEhome.heartbeat.interval.ms = 2000
emit.heartbeats.enabled = false
NAME->NAMEhome.enabled = true
NAME->NAMEhome.topics = NAME-.*
NAME->NAMEhome.groups = NAME-readers
NAME->NAMEhome.tasks.max = 2
NAME->NAMEhome.sync.group.offsets.enabled = true
NAME->NAMEhome.sync.group.offsets.interval.seconds = 1
NAME->NAMEhome.emit.checkpoints.interval.seconds = 1
NAME->NAMEhome.refresh.groups.interval.seconds = 1
NAME->NAMEhome.refresh.topics.interval.seconds = 1
`)) + singleReplicas
	src.CreateTopic(o.topics[0], 3, anyTime)
	src.CreateTopic(o.topics[1], 1, anyTime)
	load := startLoad(t, p.source.Bootstrap(), o.topics[0], o.topics[1])
	reader := startReader(t, p.source.Bootstrap(), o.group, o.topics)

	// Java mirrors and translates.
	java := realkafka.StartJavaMirrorMaker(t, file, realkafka.WithJVM(quickJVM), realkafka.WithName(name+"-first"))
	at := o.awaitProgress(nil)
	o.end(java.Process, signal)
	// So does Tributary.
	tributary := startMaker(t, file)
	o.checkNotBack(at)
	at = o.awaitProgress(at)
	o.end(tributary.Process, signal)
	// So does Java again. The load ends, and all is mirrored and translated to its end.
	java = realkafka.StartJavaMirrorMaker(t, file, realkafka.WithJVM(quickJVM), realkafka.WithName(name+"-last"))
	at = o.awaitProgress(at)
	load.stop()
	for _, topic := range o.topics {
		awaitLast(t, src, dst, topic, o.remote(topic))
	}
	reader.stopAtEnd()
	o.awaitGroupAtEnd()
	terminate(java)
	o.checkNotBack(at)

	if signal == syscall.SIGTERM {
		for _, topic := range o.topics {
			if difference := kafkatest.Diff(src.ReadTopic(topic, kafkatest.ReadCommitted), dst.ReadTopic(o.remote(topic), kafkatest.ReadCommitted)); difference != "" {
				t.Errorf("topic %s is not a mirror of %s: %s", o.remote(topic), topic, difference)
			}
		}
	} else {
		o.checkDoubles(p)
	}
	o.checkSyncs()
	o.checkCheckpoints()
}

func (o *takeover) remote(topic string) string { return o.name + "." + topic }

// progress is where the mirror and the group on the target stand, by remote topic and partition.
type progress struct{ mirrored, group map[string]map[int32]int64 }

// awaitProgress waits until every partition has been mirrored further than before, and the group on the target has
// been taken forward in each.
func (o *takeover) awaitProgress(before *progress) *progress {
	o.t.Helper()
	now := &progress{}
	const much = 200 // records of each partition
	kafkatest.Await(o.t, patience, "mirror "+o.name+" to get on", func() (bool, string) {
		*now = progress{map[string]map[int32]int64{}, o.dst.CommittedOffsets(o.group)}
		on := true
		for _, topic := range o.topics {
			remote := o.remote(topic)
			now.mirrored[remote], _ = ends(o.dst, remote)
			on = on && len(now.mirrored[remote]) > 0
			for partition, end := range now.mirrored[remote] {
				least, leastGroup := int64(much), int64(1)
				if before != nil {
					least += before.mirrored[remote][partition]
					leastGroup += before.group[remote][partition]
				}
				on = on && end >= least && now.group[remote][partition] >= leastGroup
			}
		}
		return on, fmt.Sprintf("%+v", *now)
	})
	return now
}

// checkNotBack wants the group not to have been taken back.
func (o *takeover) checkNotBack(before *progress) {
	o.t.Helper()
	now := o.dst.CommittedOffsets(o.group)
	for topic, partitions := range before.group {
		for partition, offset := range partitions {
			if now[topic][partition] < offset {
				o.t.Errorf("the group was at %d of %s-%d and is at %d now", offset, topic, partition, now[topic][partition])
			}
		}
	}
}

// end stops a mirror maker in the middle of its work. After a kill it notes what was not committed.
func (o *takeover) end(p *realkafka.Process, signal syscall.Signal) {
	o.t.Helper()
	if signal == syscall.SIGTERM {
		if err := p.Terminate(patience); err != nil {
			o.t.Errorf("%v", err)
		}
		return
	}
	p.Kill()
	for _, topic := range o.topics {
		// What the broker has received it may still be writing.
		var mirrored map[int32][]kafkatest.Record
		kafkatest.Await(o.t, patience, "the end of what "+p.Name()+" has sent", func() (bool, string) {
			before := total(mirrored)
			mirrored = o.dst.ReadTopic(o.remote(topic), kafkatest.ReadCommitted)
			return before == total(mirrored), fmt.Sprint(before)
		})
		committed := committedOffsets(o.t, o.dst, o.name, topic)
		source := o.src.ReadTopic(topic, kafkatest.ReadCommitted)
		if o.uncommitted[topic] == nil {
			o.uncommitted[topic] = map[int32]int{}
		}
		for partition, records := range mirrored {
			behind := len(records)
			if offset, found := committed[partition]; found {
				// The stored offset may be that of a marker, which has no record.
				n, exact := slices.BinarySearchFunc(source[partition], offset, func(r kafkatest.Record, at int64) int { return int(r.Offset - at) })
				if !exact {
					n--
				}
				last := source[partition][n].Key
				for i := len(records) - 1; i >= 0; i-- {
					if string(records[i].Key) == string(last) {
						behind = len(records) - 1 - i
						break
					}
				}
			}
			o.uncommitted[topic][partition] += behind
			o.t.Logf("%s was killed with %d of %d records of %s-%d not committed", p.Name(), behind, len(records), topic, partition)
		}
	}
}

// checkDoubles wants nothing to be missing, the order kept, and only what was not committed to be there twice.
func (o *takeover) checkDoubles(p *pair) {
	o.t.Helper()
	for _, topic := range o.topics {
		doubles := kafkatest.CompareTopicAtLeastOnce(o.t, p.source.Bootstrap(), topic, p.target.Bootstrap(), o.remote(topic))
		o.t.Logf("topic %s: mirrored twice %v, not committed at the kills %v", topic, doubles, o.uncommitted[topic])
		for partition, count := range doubles {
			if count > o.uncommitted[topic][partition] {
				o.t.Errorf("%s-%d: %d records were mirrored twice, but only %d followed the last commits before the kills", topic, partition, count, o.uncommitted[topic][partition])
			}
		}
	}
}

// awaitGroupAtEnd waits until the group has been taken to the end of every partition of the target: so the last syncs
// were written, too.
func (o *takeover) awaitGroupAtEnd() {
	o.t.Helper()
	kafkatest.Await(o.t, patience, "group "+o.group+" to be at the end of the target", func() (bool, string) {
		want := map[string]map[int32]int64{}
		for _, topic := range o.topics {
			want[o.remote(topic)], _ = ends(o.dst, o.remote(topic))
		}
		got := o.dst.CommittedOffsets(o.group)
		return cmp.Equal(want, got), cmp.Diff(want, got)
	})
}

// checkSyncs wants each offset sync to name one record, by its offset on both sides.
func (o *takeover) checkSyncs() {
	o.t.Helper()
	source, target := map[string]map[int32][]kafkatest.Record{}, map[string]map[int32][]kafkatest.Record{}
	for _, topic := range o.topics {
		source[topic] = o.src.ReadTopic(topic, kafkatest.ReadCommitted)
		target[topic] = o.dst.ReadTopic(o.remote(topic), kafkatest.ReadCommitted)
	}
	wrong, syncs := 0, o.src.ReadPartition("mm2-offset-syncs."+o.name+"home.internal", 0, kafkatest.ReadCommitted)
	for _, record := range syncs {
		s, err := replica.DecodeOffsetSync(record.Key, record.Value)
		if err != nil {
			o.t.Fatalf("offset sync at %d: %v", record.Offset, err)
		}
		up, upFound := atOffset(source[s.TopicPartition.Topic][s.TopicPartition.Partition], s.Upstream)
		down, downFound := atOffset(target[s.TopicPartition.Topic][s.TopicPartition.Partition], s.Downstream)
		if (!upFound || !downFound || string(up.Key) != string(down.Key)) && wrong < 5 {
			wrong++
			o.t.Errorf("offset sync %v: the record on the source is %s, on the target %s", s, up, down)
		}
	}
	if len(syncs) == 0 {
		o.t.Error("there are no offset syncs")
	}
}

func atOffset(records []kafkatest.Record, offset int64) (kafkatest.Record, bool) {
	i, found := slices.BinarySearchFunc(records, offset, func(r kafkatest.Record, at int64) int { return int(r.Offset - at) })
	if !found {
		return kafkatest.Record{}, false
	}
	return records[i], true
}

// checkCheckpoints wants every checkpoint to leave nothing out: what the group has not read on the source lies at or
// behind it on the target. A group that only goes forward is never taken back.
func (o *takeover) checkCheckpoints() {
	o.t.Helper()
	type partition struct {
		topic string
		id    int32
	}
	last := map[partition]replica.Checkpoint{}
	sources := map[string]map[int32][]kafkatest.Record{}
	lastAt := map[partition]map[string]int64{} // of each key on the target
	for _, topic := range o.topics {
		sources[o.remote(topic)] = o.src.ReadTopic(topic, kafkatest.ReadCommitted)
		for id, records := range o.dst.ReadTopic(o.remote(topic), kafkatest.ReadCommitted) {
			at := map[string]int64{}
			for _, r := range records {
				at[string(r.Key)] = r.Offset
			}
			lastAt[partition{o.remote(topic), id}] = at
		}
	}
	for _, record := range o.dst.ReadPartition(o.name+".checkpoints.internal", 0, kafkatest.ReadCommitted) {
		c, err := replica.DecodeCheckpoint(record.Key, record.Value)
		if err != nil {
			o.t.Fatalf("checkpoint at %d: %v", record.Offset, err)
		}
		p := partition{c.TopicPartition.Topic, c.TopicPartition.Partition}
		if before, found := last[p]; found && (c.Upstream < before.Upstream || c.Downstream < before.Downstream) {
			o.t.Errorf("the checkpoint %+v follows %+v", c, before)
		}
		last[p] = c
		for _, unread := range sources[p.topic][p.id] {
			if unread.Offset >= c.Upstream && lastAt[p][string(unread.Key)] < c.Downstream {
				o.t.Errorf("the checkpoint %+v leaves out %s, which is at %d on the target", c, unread, lastAt[p][string(unread.Key)])
				break
			}
		}
	}
	if want := 4; len(last) != want {
		o.t.Errorf("there are checkpoints of %d partitions, want %d: %v", len(last), want, slices.Collect(maps.Keys(last)))
	}
}

// load writes without pause: plain records to one topic, transactions to another.
type load struct {
	t      *testing.T
	cancel context.CancelFunc
	ended  sync.WaitGroup
	mu     sync.Mutex
	err    error
}

func startLoad(t *testing.T, bootstrap, plain, transactional string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{t: t, cancel: cancel}
	for _, part := range []struct {
		topic string
		write func(ctx context.Context, client *kgo.Client, records []*kgo.Record) error
		opts  []kgo.Opt
	}{
		{plain, func(ctx context.Context, client *kgo.Client, records []*kgo.Record) error {
			return client.ProduceSync(ctx, records...).FirstErr()
		}, nil},
		{transactional, func(ctx context.Context, client *kgo.Client, records []*kgo.Record) error {
			for _, r := range records {
				r.Partition = 0
			}
			if err := client.BeginTransaction(); err != nil {
				return err
			}
			if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
				return err
			}
			return client.EndTransaction(ctx, kgo.TryCommit)
		}, []kgo.Opt{kgo.TransactionalID(transactional)}},
	} {
		client, err := kgo.NewClient(append(part.opts, kgo.SeedBrokers(bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		if err != nil {
			t.Fatal(err)
		}
		l.ended.Go(func() {
			defer client.Close()
			if err := writeUntil(ctx, func(records []*kgo.Record) error { return part.write(context.WithoutCancel(ctx), client, records) }, part.topic); err != nil {
				l.mu.Lock()
				l.err = errors.Join(l.err, fmt.Errorf("write to topic %s: %w", part.topic, err))
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { cancel(); l.ended.Wait() })
	return l
}

// writeUntil writes 30 records each 50 ms, whole portions, until ctx ends.
func writeUntil(ctx context.Context, write func([]*kgo.Record) error, topic string) error {
	const portion = 30
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ; n += portion {
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
		records := make([]*kgo.Record, portion)
		for i, r := range keyed(topic, 3, n, portion) {
			records[i] = &kgo.Record{Topic: topic, Partition: r.Partition, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value, Headers: []kgo.RecordHeader{{Key: "n", Value: r.Headers[0].Value}, {Key: "n"}}}
			if i%7 == 0 {
				records[i].Value = nil
			}
		}
		if err := write(records); err != nil {
			return err
		}
	}
}

func (l *load) stop() {
	l.t.Helper()
	l.cancel()
	l.ended.Wait()
	if l.err != nil {
		l.t.Fatal(l.err)
	}
}

// reader is a consumer group of one member that commits what it has read.
type reader struct {
	t      *testing.T
	client *kgo.Client
	admin  *kafkatest.Client
	group  string
	topics []string
	ended  sync.WaitGroup
	cancel context.CancelFunc
	read   atomic.Int64
}

func startReader(t *testing.T, bootstrap, group string, topics []string) *reader {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitInterval(300*time.Millisecond), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &reader{t: t, client: client, admin: kafkatest.Dial(t, bootstrap), group: group, topics: topics, cancel: cancel}
	r.ended.Go(func() {
		for ctx.Err() == nil {
			r.read.Add(int64(client.PollFetches(ctx).NumRecords()))
		}
	})
	t.Cleanup(func() { cancel(); r.ended.Wait(); client.Close() })
	return r
}

// stopAtEnd waits until the group has read and committed everything, and ends it.
func (r *reader) stopAtEnd() {
	r.t.Helper()
	kafkatest.Await(r.t, patience, "group "+r.group+" to have read everything", func() (bool, string) {
		committed, done := r.admin.CommittedOffsets(r.group), true
		for _, topic := range r.topics {
			for partition, records := range r.admin.ReadTopic(topic, kafkatest.ReadCommitted) {
				done = done && committed[topic][partition] > records[len(records)-1].Offset
			}
		}
		return done, fmt.Sprint(r.read.Load(), " records read, committed ", committed)
	})
	r.cancel()
	r.ended.Wait()
	if err := r.client.CommitUncommittedOffsets(r.t.Context()); err != nil {
		r.t.Errorf("commit of group %s: %v", r.group, err)
	}
	r.client.Close()
}
