package kafka

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/localkafka"
)

func TestTopicsAreCreatedDescribedGrownAndDeleted(t *testing.T) {
	c := startCluster(t, localkafka.Options{Brokers: 3, ClusterID: "the-cluster"})
	a, ctx := newTestAdmin(t, c.Bootstrap()), testContext(t)
	spec := TopicSpec{Name: "a", Partitions: 2, ReplicationFactor: 3, Configs: map[string]string{"retention.ms": "1234"}}

	if err := a.CreateTopic(ctx, spec); err != nil {
		t.Fatal(err)
	}
	if err := a.CreateTopic(ctx, spec); !errors.Is(err, ErrTopicExists) {
		t.Errorf("second creation: %v", err)
	}
	if err := a.CreatePartitions(ctx, "a", 5); err != nil {
		t.Fatal(err)
	}
	if err := a.CreatePartitions(ctx, "a", 4); !errors.Is(err, ErrInvalidPartitions) {
		t.Errorf("fewer partitions: %v", err)
	}
	if err := a.CreatePartitions(ctx, "absent", 4); !errors.Is(err, ErrUnknownTopicOrPartition) {
		t.Errorf("partitions of an absent topic: %v", err)
	}
	topics, err := a.DescribeTopics(ctx, "a", "absent")
	if err != nil {
		t.Fatal(err)
	}
	got := topics["a"]
	if got.ID == [16]byte{} || len(topics) != 1 {
		t.Errorf("described %+v", topics)
	}
	got.ID = [16]byte{}
	if diff := cmp.Diff(TopicInfo{Partitions: 5, ReplicationFactor: 3}, got); diff != "" {
		t.Error(diff)
	}
	listed, err := a.ListTopics(ctx, false)
	if err != nil || listed["a"].Partitions != 5 {
		t.Errorf("listed %+v %v", listed, err)
	}
	if n, err := a.BrokerCount(ctx); n != 3 || err != nil {
		t.Errorf("%d brokers, %v", n, err)
	}
	if id, err := a.ClusterID(ctx); id != "the-cluster" || err != nil {
		t.Errorf("cluster id %q, %v", id, err)
	}
	failed, err := a.DeleteTopics(ctx, "a", "absent")
	if err != nil || failed["a"] != nil || !errors.Is(failed["absent"], ErrUnknownTopicOrPartition) {
		t.Errorf("deleting: %v %v", failed, err)
	}
	if topics, err := a.DescribeTopics(ctx, "a"); err != nil || len(topics) != 0 {
		t.Errorf("after deletion: %v %v", topics, err)
	}
}

func TestTopicConfigsAreAlteredOneByOne(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	a, ctx := newTestAdmin(t, c.Bootstrap()), testContext(t)
	if err := a.CreateTopic(ctx, TopicSpec{Name: "a", Partitions: 1, ReplicationFactor: 1, Configs: map[string]string{"retention.ms": "1", "segment.bytes": "2000"}}); err != nil {
		t.Fatal(err)
	}
	err := a.IncrementalAlterConfigs(ctx, "a", []ConfigAlteration{{"retention.ms", ConfigSet, "99"}, {"segment.bytes", ConfigDelete, ""}})
	if err != nil {
		t.Fatal(err)
	}

	configs, failed, err := a.DescribeTopicConfigs(ctx, "a", "absent")

	if err != nil || !errors.Is(failed["absent"], ErrUnknownTopicOrPartition) {
		t.Fatal(failed, err)
	}
	got := make(map[string]ConfigEntry)
	for _, e := range configs["a"] {
		got[e.Name] = e
	}
	if e := got["retention.ms"]; e.Value != "99" || e.Source != SourceTopic || e.IsDefault {
		t.Errorf("retention.ms: %+v", e)
	}
	if e := got["segment.bytes"]; e.Source == SourceTopic {
		t.Errorf("segment.bytes: %+v", e)
	}
}

func TestReplicasFitTheBrokersThereAreAndThatIsSaidOnceACluster(t *testing.T) {
	c := startCluster(t, localkafka.Options{Brokers: 2})
	var logs bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&logs, nil))
	clients, ctx := []*Client{newTestClient(t, c.Bootstrap()), newTestClient(t, c.Bootstrap())}, testContext(t)

	for wanted, fits := range map[int16]int16{DefaultByBroker: DefaultByBroker, 1: 1, 2: 2, 3: 2, 5: 2} {
		for _, client := range clients {
			if got, err := NewAdmin(client, client.cfg, logger).FitReplicas(ctx, wanted); got != fits || err != nil {
				t.Errorf("%d wanted: %d, %v", wanted, got, err)
			}
		}
	}

	if text := logs.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "brokers=2") || !strings.Contains(text, "cluster="+c.Bootstrap()) {
		t.Errorf("logged %s", text)
	}
}

func TestACompactedTopicIsCreatedOnce(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	a, ctx := newTestAdmin(t, c.Bootstrap()), testContext(t)

	created, err := a.CreateCompactedTopic(ctx, "log", 1, 1, map[string]string{"segment.bytes": "5000"})

	if !created || err != nil {
		t.Errorf("created %v, %v", created, err)
	}
	configs, _, err := a.DescribeTopicConfigs(ctx, "log")
	if err != nil {
		t.Fatal(err)
	}
	policy := ""
	for _, e := range configs["log"] {
		if e.Name == "cleanup.policy" {
			policy = e.Value
		}
	}
	if policy != "compact" {
		t.Errorf("cleanup.policy = %q", policy)
	}
	if created, err = a.CreateCompactedTopic(ctx, "log", 1, 1, nil); created || err != nil {
		t.Errorf("second time: created %v, %v", created, err)
	}
}

func TestOffsetsAreLookedUpAtBothEndsAndByTime(t *testing.T) {
	c := startCluster(t, localkafka.Options{Brokers: 2, Topics: map[string]int32{"a": 2}})
	sendNumbered(t, newTestProducer(t, c.Bootstrap()), "a", 2, 10) // timestamps 0..9
	a, ctx := newTestAdmin(t, c.Bootstrap()), testContext(t)
	tps := []TopicPartition{{"a", 0}, {"a", 1}}
	for _, want := range []struct {
		spec int64
		at   []int64
	}{{Earliest, []int64{0, 0}}, {Latest, []int64{5, 5}}, {5, []int64{3, 2}}, {1000, []int64{5, 5}}} {
		got, failed, err := a.ListOffsets(ctx, tps, want.spec, ReadUncommitted)
		if err != nil || len(failed) > 0 {
			t.Fatal(failed, err)
		}
		if diff := cmp.Diff(map[TopicPartition]int64{tps[0]: want.at[0], tps[1]: want.at[1]}, got); diff != "" {
			t.Errorf("spec %d: %s", want.spec, diff)
		}
	}
	c.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: 6, Times: 2})
	got, failed, err := a.ListOffsets(ctx, []TopicPartition{{"a", 0}, {"absent", 0}, {"a", 7}}, Latest, ReadUncommitted)
	if err != nil {
		t.Fatal(err)
	}
	if got[tps[0]] != 5 || !errors.Is(failed[TopicPartition{"absent", 0}], ErrUnknownTopicOrPartition) || !errors.Is(failed[TopicPartition{"a", 7}], ErrUnknownTopicOrPartition) {
		t.Errorf("got %v, failed %v", got, failed)
	}
}

func TestOffsetsThatCannotBeToldNowAreNotWaitedFor(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 1, "b": 1}})
	sendNumbered(t, newTestProducer(t, c.Bootstrap()), "a", 1, 10)
	a, ctx := newTestAdmin(t, c.Bootstrap()), testContext(t)
	leaderless := c.Fail(localkafka.Fault{API: localkafka.ListOffsets, Code: 5, Topic: "b", Times: -1})
	told, b, absent := TopicPartition{"a", 0}, TopicPartition{"b", 0}, TopicPartition{"absent", 0}
	for i, want := range []struct{ spec, at int64 }{{Earliest, 0}, {Latest, 10}, {5, 5}, {1000, 10}} {
		got, failed, err := a.CurrentOffsets(ctx, []TopicPartition{told, b, absent}, want.spec, ReadUncommitted)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[TopicPartition]int64{told: want.at}, got); diff != "" {
			t.Errorf("spec %d: %s", want.spec, diff)
		}
		if !errors.Is(failed[b], &ServerError{Code: 5}) || !errors.Is(failed[absent], ErrUnknownTopicOrPartition) || leaderless.Hits() != i+1 {
			t.Errorf("spec %d: failed %v, after %d requests", want.spec, failed, leaderless.Hits())
		}
	}
}

func TestGroupOffsetsAreAlteredListedAndDeleted(t *testing.T) {
	c := startCluster(t, localkafka.Options{Topics: map[string]int32{"a": 2}})
	a, ctx := newTestAdmin(t, c.Bootstrap()), testContext(t)
	offsets := map[TopicPartition]OffsetAndMetadata{
		{"a", 0}: {Offset: 7, LeaderEpoch: -1, Metadata: "m"},
		{"a", 1}: {Offset: 0, LeaderEpoch: -1},
	}
	failed, err := a.AlterGroupOffsets(ctx, "group", offsets)
	if err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
	got, err := a.ListGroupOffsets(ctx, "group")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(offsets, got); diff != "" {
		t.Error(diff)
	}
	groups, err := a.ListGroups(ctx)
	if err != nil || len(groups) != 1 || groups[0].ID != "group" || groups[0].State != "Empty" {
		t.Errorf("groups %+v %v", groups, err)
	}
	described, failedGroups, err := a.DescribeGroups(ctx, "group", "absent")
	if err != nil || len(failedGroups) > 0 || described["group"].State != "Empty" || described["absent"].State != "Dead" {
		t.Errorf("described %+v %v %v", described, failedGroups, err)
	}
	if failed, err := a.DeleteGroupOffsets(ctx, "group", TopicPartition{"a", 0}); err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
	if got, err = a.ListGroupOffsets(ctx, "group"); err != nil || len(got) != 1 {
		t.Errorf("after deletion: %v %v", got, err)
	}
	gone, err := a.DeleteGroups(ctx, "group", "absent")
	if err != nil || gone["group"] != nil || !errors.Is(gone["absent"], ErrGroupNotFound) {
		t.Errorf("deleting groups: %v %v", gone, err)
	}
	if got, err := a.ListGroupOffsets(ctx, "group"); err != nil || len(got) != 0 {
		t.Errorf("offsets of a deleted group: %v %v", got, err)
	}
}

func TestACLsAreCreatedAndFound(t *testing.T) {
	c := startCluster(t, localkafka.Options{ACLs: true, Users: []localkafka.User{
		{Mechanism: "PLAIN", Name: "root", Password: "p", Super: true}, {Mechanism: "PLAIN", Name: "u", Password: "p"},
	}, Topics: map[string]int32{"secret": 1}})
	as := func(user string) []string {
		return []string{"security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "PLAIN", "sasl.jaas.config",
			`org.apache.kafka.common.security.plain.PlainLoginModule required username="` + user + `" password="p";`}
	}
	a, ctx := newTestAdmin(t, c.Bootstrap(), as("root")...), testContext(t)
	acl := ACL{ACLResourceTopic, "t", ACLPatternPrefixed, "User:x", "*", ACLOperationRead, ACLPermissionAllow}
	failed, err := a.CreateACLs(ctx, acl)
	if err != nil || len(failed) > 0 {
		t.Fatal(failed, err)
	}
	got, err := a.DescribeACLs(ctx, ACL{ResourceType: ACLResourceTopic, PatternType: ACLPatternAny, Operation: ACLOperationAny, Permission: ACLPermissionAny})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]ACL{acl}, got); diff != "" {
		t.Error(diff)
	}

	err = newTestAdmin(t, c.Bootstrap(), as("u")...).CreateTopic(ctx, TopicSpec{Name: "new", Partitions: 1, ReplicationFactor: 1})
	denied, ok := errors.AsType[*AuthorizationError](err)
	if !ok || denied.Operation != "create" || IsRetriable(err) {
		t.Errorf("creating without rights: %v", err)
	}
	p, err := NewProducer(newTestClient(t, c.Bootstrap(), as("u")...), testConfig(t, RoleProducer, c.Bootstrap(), append(as("u"), "enable.idempotence", "false")...), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(ctx)
	err = p.SendSync(ctx, &Record{Topic: "secret", Value: []byte("v")})
	if denied, ok = errors.AsType[*AuthorizationError](err); !ok || denied.Resource != "secret" {
		t.Errorf("writing without rights: %v", err)
	}
}

func TestACLsOfAClusterWithoutAuthorizer(t *testing.T) {
	c := startCluster(t, localkafka.Options{})
	a := newTestAdmin(t, c.Bootstrap())
	_, err := a.DescribeACLs(testContext(t), ACL{ResourceType: ACLResourceAny, PatternType: ACLPatternAny, Operation: ACLOperationAny, Permission: ACLPermissionAny})
	if err != nil && !errors.Is(err, ErrSecurityDisabled) {
		t.Errorf("error %v", err)
	}
}
