package worker

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
	"tributary/storage"
)

func TestTopicGroupsAreReadAsInJava(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		listed string
		topics map[string]string // name → group
		wrong  string
	}{
		"nothing asked for": {config: "name=c"},
		"the default group alone": {
			config: "topic.creation.default.replication.factor=3 topic.creation.default.partitions=10 topic.creation.default.include=x topic.creation.default.cleanup.policy=compact",
			topics: map[string]string{"any": "default 10 3 map[cleanup.policy:compact]"},
		},
		"groups in their order, with what the default group says": {
			config: "topic.creation.default.replication.factor=-1 topic.creation.default.partitions=-1 " +
				"topic.creation.a.include=log.*,trace topic.creation.a.exclude=.*secret topic.creation.a.partitions=5 topic.creation.a.retention.ms=9 " +
				"topic.creation.b.include=log.* topic.creation.b.replication.factor=2",
			listed: "a,default,b",
			topics: map[string]string{
				"log.x": "a 5 -1 map[retention.ms:9]", "trace": "a 5 -1 map[retention.ms:9]", "log.secret": "b -1 2 map[]",
				"xlog": "default -1 -1 map[]", "trace2": "default -1 -1 map[]",
			},
		},
		"a group without patterns has no topics": {
			config: "topic.creation.default.replication.factor=1 topic.creation.default.partitions=1", listed: "a",
			topics: map[string]string{"a": "default 1 1 map[]"},
		},
		"what is missing or wrong, all at once": {
			config: "topic.creation.groups=a topic.creation.default.partitions=0 topic.creation.a.include=( topic.creation.a.replication.factor=-2", listed: "a",
			wrong: `Missing required configuration "topic.creation.default.replication.factor" which has no default value.` +
				"\nInvalid value 0 for configuration topic.creation.default.partitions: Number of partitions must be positive, or -1 to use the broker's default" +
				"\nInvalid value [(] for configuration topic.creation.a.include: Syntax error in regular expression: " +
				"\nInvalid value -2 for configuration topic.creation.a.replication.factor: Replication factor must be positive",
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := map[string]string{}
			for _, pair := range strings.Fields(c.config) {
				k, v, _ := strings.Cut(pair, "=")
				config[k] = v
			}
			groups, err := parseTopicGroups(config, strings.FieldsFunc(c.listed, func(r rune) bool { return r == ',' }))
			if c.wrong != "" {
				got := strings.Split(err.Error(), "\n")
				for i, want := range strings.Split(c.wrong, "\n") {
					if i >= len(got) || !strings.HasPrefix(got[i], want) {
						t.Errorf("got %q, want %q", got, want)
					}
				}
				return
			}
			if err != nil || (groups == nil) != (c.topics == nil) {
				t.Fatalf("%v, %v", groups, err)
			}
			events := &events{}
			creation := &topicCreation{
				groups: groups, logger: newSinkBench(t).options.Logger, known: map[string]struct{}{},
				open: func() (Admin, error) {
					return &topics{events: events, exist: map[string]kafka.TopicInfo{}}, nil
				},
			}
			for topic, want := range c.topics {
				f := strings.SplitN(want, " ", 4)
				if err := creation.ensure(t.Context(), topic); err != nil {
					t.Error(err)
				}
				expect(t, topic, events.take(), "create "+topic+" partitions="+f[1]+" replicas="+f[2]+" "+f[3])
			}
		})
	}
}

func TestATaskCreatesItsTopicsBeforeTheirFirstRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		b.options.Config.TopicCreation = true
		var spec AdminSpec
		b.options.Admins = func(s AdminSpec) (Admin, error) { spec = s; return b.topics, nil }
		away := 2
		b.topics.judge = func() error {
			if away--; away >= 0 {
				return connect.Retriable(errors.New("no controller"))
			}
			return nil
		}
		b.beginTask(t, "topic.creation.default.replication.factor", "1", "topic.creation.default.partitions", "4", "admin.override.retries", "5")
		b.source.batches <- batchOf("a", 0, 1, 2)
		b.source.batches <- batchOf("a", 0, 3, 3)
		synctest.Wait()
		expect(t, "while the cluster is away", b.events.take(), "c-0 RUNNING")
		time.Sleep(firstReopenPause + 2*firstReopenPause)
		synctest.Wait()
		expect(t, "events", b.events.take(), "create t partitions=4 replicas=1 map[], c-0 uses t")
		expect(t, "records", b.cluster.log("t-0"), "a1 a2 a3")
		if spec.ClientID != "connector-adminclient-c-0" || spec.Overrides["retries"] != "5" {
			t.Errorf("the admin client was made for %+v", spec)
		}
		b.settle(t)
	})
}

func TestATopicThatCannotBeCreatedFailsTheTask(t *testing.T) {
	for want, err := range map[string]error{
		"Task failed to create new topic t. Ensure that the task is authorized to create topics or that the topic exists and restart the task: ": &kafka.AuthorizationError{},
		"Unable to create topic(s) 't': wrong": errors.New("wrong"),
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newSinkBench(t)
			b.options.Config.TopicCreation = true
			b.topics.fail = err
			b.beginTask(t, "topic.creation.default.replication.factor", "1", "topic.creation.default.partitions", "4")
			b.source.batches <- batchOf("a", 0, 1, 1)
			synctest.Wait()
			if got := b.events.lastTrace(); !strings.HasPrefix(got, want) {
				t.Errorf("failed with %q, want %q", got, want)
			}
			expect(t, "records", b.cluster.log("t-0"), "")
			b.settle(t)
		})
	}
}

func TestWithoutTopicCreationTheBrokersDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		b.options.Admins = func(AdminSpec) (Admin, error) { t.Error("an admin client was opened"); return b.topics, nil }
		b.options.Config.TopicCreation = false
		b.beginTask(t, "topic.creation.default.replication.factor", "none at all")
		b.source.batches <- batchOf("a", 0, 1, 1)
		synctest.Wait()
		expect(t, "records", b.cluster.log("t-0"), "a1")
		b.settle(t)
	})
}

func TestAConnectorWithWrongTopicGroupsFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench(t)
		if err := b.StartConnector("c", b.configWith("topic.creation.default.partitions", "4"), storage.Started); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		expect(t, "trace", b.events.lastTrace(), `Missing required configuration "topic.creation.default.replication.factor" which has no default value.`)
		b.settle(t)
	})
}
