package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tributary/connect"
	"tributary/storage"
)

// OpenConfig makes an empty config topic and returns how to open stores over it. The
// stores are not started.
type OpenConfig func(t *testing.T) (open func() storage.ConfigStore)

// TestConfigStore runs the suite for config stores that need no write privileges.
func TestConfigStore(t *testing.T, newTopic OpenConfig) {
	for _, c := range []struct {
		name string
		test func(*testing.T, func() storage.ConfigStore)
	}{
		{"an empty topic has no state", emptyConfigTopic},
		{"a connector's life", connectorLife},
		{"task configs are committed together", taskConfigs},
		{"any worker's writes reach every worker", writesReachEveryone},
		{"what was read at the start is not told", startIsSilent},
		{"a stopped store refuses writes and is silent", stoppedConfigStore},
		{"concurrent writers and one order of events", concurrentWriters},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newTopic(t)) })
	}
}

func start(t *testing.T, store storage.ConfigStore) *listener {
	t.Helper()
	l := new(listener)
	must(t, store.Start(testContext(t), l))
	t.Cleanup(store.Stop)
	must(t, store.ClaimWritePrivileges(testContext(t)))
	return l
}

func config(pairs ...string) storage.ConnectorConfig {
	c := storage.ConnectorConfig{}
	for i := 0; i < len(pairs); i += 2 {
		c[pairs[i]] = &pairs[i+1]
	}
	return c
}

func emptyConfigTopic(t *testing.T, open func() storage.ConfigStore) {
	store := open()
	l := start(t, store)
	must(t, store.Refresh(testContext(t)))
	s := store.Snapshot()
	same(t, "offset", s.Offset(), int64(-1))
	same(t, "connectors", s.Connectors(), []string{})
	same(t, "events", len(l.heard()), 0)
}

func connectorLife(t *testing.T, open func() storage.ConfigStore) {
	ctx := testContext(t)
	store := open()
	l := start(t, store)

	// Created in a state of its own: nobody sees it STARTED.
	stopped := storage.Stopped
	must(t, store.PutConnectorConfig(ctx, "c", config("name", "c", "k", "1"), &stopped))
	s := store.Snapshot()
	raw, _ := s.RawConnectorConfig("c")
	same(t, "config", raw, config("name", "c", "k", "1"))
	state, _ := s.TargetState("c")
	same(t, "target state", state, storage.Stopped)
	same(t, "events", l.heard(), []string{"config c"})
	created := s.Offset()

	// Changed: the state stays.
	must(t, store.PutConnectorConfig(ctx, "c", config("name", "c", "k", "2"), nil))
	raw, _ = store.Snapshot().RawConnectorConfig("c")
	same(t, "config", raw, config("name", "c", "k", "2"))
	state, _ = store.Snapshot().TargetState("c")
	same(t, "target state", state, storage.Stopped)
	if now := store.Snapshot().Offset(); now <= created {
		t.Errorf("the offset went from %d to %d", created, now)
	}

	// A target state needs no read-back.
	must(t, store.PutTargetState(ctx, "c", storage.Paused))
	must(t, store.Refresh(ctx))
	state, _ = store.Snapshot().TargetState("c")
	same(t, "target state", state, storage.Paused)

	// Removed, and new under the same name: STARTED.
	must(t, store.RemoveConnectorConfig(ctx, "c"))
	same(t, "contained after removal", store.Snapshot().Contains("c"), false)
	must(t, store.PutConnectorConfig(ctx, "c", config("name", "c"), nil))
	state, _ = store.Snapshot().TargetState("c")
	same(t, "target state", state, storage.Started)
	same(t, "events", l.heard(), []string{"config c", "config c", "target c", "removed c", "config c"})

	// The first snapshot has not moved.
	same(t, "first snapshot's offset", s.Offset(), created)
	raw, _ = s.RawConnectorConfig("c")
	same(t, "first snapshot's config", raw, config("name", "c", "k", "1"))
}

func taskConfigs(t *testing.T, open func() storage.ConfigStore) {
	ctx := testContext(t)
	store := open()
	l := start(t, store)
	must(t, store.PutConnectorConfig(ctx, "c", config("k", "1"), nil))

	must(t, store.PutTaskConfigs(ctx, "c", []map[string]string{{"t": "0"}, {"t": "1"}, {"t": "2"}}))
	s := store.Snapshot()
	same(t, "tasks", s.Tasks("c"), []connect.TaskID{{Connector: "c"}, {Connector: "c", Task: 1}, {Connector: "c", Task: 2}})
	same(t, "task configs", s.RawTaskConfigs("c"), []storage.ConnectorConfig{config("t", "0"), config("t", "1"), config("t", "2")})
	applied, _ := s.AppliedConfig("c")
	same(t, "applied config", applied, config("k", "1"))
	same(t, "pending fencing", s.PendingFencing("c"), true)

	must(t, store.PutTaskCountRecord(ctx, "c", 3))
	count, _ := store.Snapshot().TaskCountRecord("c")
	same(t, "task count record", count, 3)
	same(t, "pending fencing", store.Snapshot().PendingFencing("c"), false)

	must(t, store.PutTaskConfigs(ctx, "c", nil))
	same(t, "tasks", store.Snapshot().Tasks("c"), []connect.TaskID{})
	same(t, "pending fencing", store.Snapshot().PendingFencing("c"), true)
	same(t, "events", l.heard(), []string{"config c", "tasks c", "tasks c"})
}

func writesReachEveryone(t *testing.T, open func() storage.ConfigStore) {
	ctx := testContext(t)
	leader, other := open(), open()
	l := start(t, other)
	start(t, leader)
	created := time.UnixMilli(1795387994364)
	must(t, leader.PutSessionKey(ctx, storage.SessionKey{Key: []byte{1, 2, 3}, Algorithm: "HmacSHA256", Created: created}))
	must(t, leader.PutConnectorConfig(ctx, "my conn-", config("é", "😀 \"x\""), nil))
	must(t, leader.PutTaskConfigs(ctx, "my conn-", []map[string]string{{"a": "b"}}))
	must(t, leader.PutRestartRequest(ctx, storage.RestartRequest{Connector: "my conn-", IncludeTasks: true}))
	must(t, leader.PutLoggerLevel(ctx, "org.apache", "DEBUG"))
	must(t, leader.PutTargetState(ctx, "my conn-", storage.Stopped))
	must(t, other.Refresh(ctx))
	must(t, leader.Refresh(ctx))

	a, b := leader.Snapshot(), other.Snapshot()
	same(t, "offset", b.Offset(), a.Offset())
	key, _ := b.SessionKey()
	same(t, "session key", fmt.Sprintf("%x %s %t", key.Key, key.Algorithm, key.Created.Equal(created)), "010203 HmacSHA256 true")
	raw, _ := b.RawConnectorConfig("my conn-")
	same(t, "config", raw, config("é", "😀 \"x\""))
	same(t, "task configs", b.RawTaskConfigs("my conn-"), []storage.ConnectorConfig{config("a", "b")})
	same(t, "events", l.heard(), []string{
		"key 010203", "config my conn-", "tasks my conn-", "restart my conn- true false", "level org.apache DEBUG", "target my conn-",
	})
}

func startIsSilent(t *testing.T, open func() storage.ConfigStore) {
	ctx := testContext(t)
	first := open()
	start(t, first)
	must(t, first.PutConnectorConfig(ctx, "c", config("k", "1"), nil))
	must(t, first.PutTaskConfigs(ctx, "c", []map[string]string{{"t": "0"}}))
	must(t, first.PutRestartRequest(ctx, storage.RestartRequest{Connector: "c"}))
	must(t, first.PutLoggerLevel(ctx, "root", "TRACE"))

	late := open()
	l := start(t, late)
	must(t, first.Refresh(ctx))
	same(t, "offset", late.Snapshot().Offset(), first.Snapshot().Offset())
	same(t, "tasks", late.Snapshot().Tasks("c"), []connect.TaskID{{Connector: "c"}})
	must(t, late.Refresh(ctx))
	same(t, "events", len(l.heard()), 0)
	must(t, late.PutConnectorConfig(ctx, "d", config(), nil))
	same(t, "events", l.heard(), []string{"config d"})
}

func stoppedConfigStore(t *testing.T, open func() storage.ConfigStore) {
	ctx := testContext(t)
	store, other := open(), open()
	l := start(t, store)
	start(t, other)
	must(t, store.PutConnectorConfig(ctx, "c", config("k", "1"), nil))
	store.Stop()
	store.Stop()
	for what, err := range map[string]error{
		"config": store.PutConnectorConfig(ctx, "d", config(), nil), "target state": store.PutTargetState(ctx, "c", storage.Paused), "refresh": store.Refresh(ctx),
	} {
		if !errors.Is(err, storage.ErrStopped) {
			t.Errorf("%s after Stop: %v, want ErrStopped", what, err)
		}
	}
	must(t, other.PutConnectorConfig(ctx, "e", config(), nil))
	same(t, "events", l.heard(), []string{"config c"})
	same(t, "connectors", store.Snapshot().Connectors(), []string{"c"})
	same(t, "connectors of the other", other.Snapshot().Connectors(), []string{"c", "e"})
}

func concurrentWriters(t *testing.T, open func() storage.ConfigStore) {
	ctx := testContext(t)
	stores := []storage.ConfigStore{open(), open(), open()}
	var listeners []*listener
	for _, store := range stores {
		listeners = append(listeners, start(t, store))
	}
	var group sync.WaitGroup
	for i, store := range stores {
		group.Go(func() {
			for n := range 10 {
				name := fmt.Sprintf("c%d-%d", i, n)
				if err := store.PutConnectorConfig(ctx, name, config("name", name), nil); err != nil {
					t.Error(err)
				}
				if !store.Snapshot().Contains(name) {
					t.Errorf("%s is not in the snapshot after its write", name)
				}
				if err := store.PutTargetState(ctx, name, storage.Paused); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for _, store := range stores {
		must(t, store.Refresh(ctx))
		same(t, "connectors", len(store.Snapshot().Connectors()), 30)
		same(t, "offset", store.Snapshot().Offset(), stores[0].Snapshot().Offset())
	}
	first := listeners[0].heard()
	same(t, "number of events", len(first), 60)
	same(t, "calls at once", slices.ContainsFunc(first, func(e string) bool { return strings.HasPrefix(e, "TWO") }), false)
	for _, l := range listeners[1:] {
		same(t, "events of another worker", l.heard(), first)
	}
}

// TestPrivilegedConfigStore runs the suite for stores whose leader writes are fenced.
func TestPrivilegedConfigStore(t *testing.T, newTopic OpenConfig) {
	t.Run("only the last to claim may write as the leader", func(t *testing.T) {
		ctx := testContext(t)
		open := newTopic(t)
		old, young := open(), open()
		must(t, old.Start(ctx, new(listener)))
		t.Cleanup(old.Stop)
		must(t, young.Start(ctx, new(listener)))
		t.Cleanup(young.Stop)

		// Not claimed: nothing goes.
		if err := old.PutConnectorConfig(ctx, "c", config("by", "nobody"), nil); !errors.Is(err, storage.ErrNotPrivileged) {
			t.Errorf("unclaimed write: %v", err)
		}
		must(t, old.ClaimWritePrivileges(ctx))
		must(t, old.PutConnectorConfig(ctx, "c", config("by", "old"), nil))
		must(t, old.PutTaskConfigs(ctx, "c", []map[string]string{{"t": "0"}}))

		// Claimed by another: the old leader is fenced, its writes leave no trace.
		must(t, young.ClaimWritePrivileges(ctx))
		if err := old.PutConnectorConfig(ctx, "c", config("by", "old again"), nil); !errors.Is(err, storage.ErrNotPrivileged) {
			t.Errorf("fenced write: %v", err)
		}
		if err := old.PutTaskConfigs(ctx, "c", []map[string]string{{"t": "lost"}}); !errors.Is(err, storage.ErrNotPrivileged) {
			t.Errorf("fenced write: %v", err)
		}
		must(t, young.PutRestartRequest(ctx, storage.RestartRequest{Connector: "c"}))
		raw, _ := young.Snapshot().RawConnectorConfig("c")
		same(t, "config", raw, config("by", "old"))
		same(t, "task configs", young.Snapshot().RawTaskConfigs("c"), []storage.ConnectorConfig{config("t", "0")})

		// What any worker may write, the fenced one may, too.
		must(t, old.PutTargetState(ctx, "c", storage.Paused))
		must(t, young.Refresh(ctx))
		state, _ := young.Snapshot().TargetState("c")
		same(t, "target state", state, storage.Paused)

		// Claimed back.
		must(t, old.ClaimWritePrivileges(ctx))
		must(t, old.RemoveConnectorConfig(ctx, "c"))
		if err := young.PutTaskCountRecord(ctx, "c", 1); !errors.Is(err, storage.ErrNotPrivileged) {
			t.Errorf("fenced write: %v", err)
		}
		must(t, young.Refresh(ctx))
		must(t, old.Refresh(ctx))
		same(t, "connectors", young.Snapshot().Connectors(), []string{})
		same(t, "offset", young.Snapshot().Offset(), old.Snapshot().Offset())
	})
}
