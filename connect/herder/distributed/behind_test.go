package distributed

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect/group/protocol"
	"tributary/storage"
	"tributary/storage/memstore"
)

// laggingConfigs is a config store whose reader is behind: it shows what it had read when
// it fell back until a refresh succeeds.
type laggingConfigs struct {
	storage.ConfigStore

	mu     sync.Mutex
	shown  *storage.ClusterState
	refuse error
}

func (l *laggingConfigs) Snapshot() *storage.ClusterState {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shown != nil {
		return l.shown
	}
	return l.ConfigStore.Snapshot()
}

func (l *laggingConfigs) Refresh(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return l.refuse
	}
	l.shown = nil
	return l.ConfigStore.Refresh(ctx)
}

// A worker that has not read as far as the leader reads on first. While it cannot, it
// leaves the group, so that the others do its share, and comes back when it can.
func TestAWorkerThatIsBehindReadsOnBeforeItTakesWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.start("a", nil)
		for _, name := range []string{"one", "two"} {
			c.put(t.Context(), name, config("n", "2", "v", "1"))
		}
		lagging := &laggingConfigs{shown: new(storage.ClusterState), refuse: errors.New("the topic cannot be read")}
		c.start("b", func(o *Options, _ *runner) { lagging.ConfigStore, o.Configs = o.Configs, lagging })
		time.Sleep(time.Minute)
		synctest.Wait()
		for id, worker := range c.ledger.owners() {
			if worker == "b" {
				t.Errorf("%v runs on the worker that is behind", id)
			}
		}
		if !c.herders["b"].opts.Group.(*hubMember).away {
			t.Error("the worker that is behind is in the group")
		}
		c.hub.members[0].Rejoin("somebody asks")
		time.Sleep(time.Minute)
		c.expectOwners(map[string]int{"a": 6})

		lagging.mu.Lock()
		lagging.refuse = nil
		lagging.mu.Unlock()
		time.Sleep(time.Minute)
		c.expectOwners(map[string]int{"a": 3, "b": 3})
	})
}

// Workers that read different topics can never agree, whichever leads. That is told, and
// the group does not wear itself out over it.
func TestWorkersThatReadDifferentTopicsSayItAndRest(t *testing.T) {
	for _, emptyLeads := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t)
			full := memstoreWith(c.configs)
			for _, connector := range []string{"one", "two"} {
				if err := full.PutConnectorConfig(t.Context(), connector, config("n", "2", "v", "1"), nil); err != nil {
					t.Fatal(err)
				}
			}
			var log strings.Builder
			for i, name := range []string{"a", "b"} {
				c.start(name, func(o *Options, _ *runner) {
					if emptyLeads == (i == 0) {
						o.Configs = memstore.NewConfigStore(nil, false, slog.New(slog.DiscardHandler))
						o.Logger = slog.New(slog.NewTextHandler(&log, nil))
					}
				})
				synctest.Wait()
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			before := c.herders["a"].view.Load().round.Generation
			time.Sleep(time.Minute)
			synctest.Wait()

			// A round every worker.sync.timeout.ms, which is three seconds here, asked for by each.
			if rounds := c.herders["a"].view.Load().round.Generation - before; rounds == 0 || rounds > 2*60/3+2 {
				t.Errorf("empty leads %t: %d rounds in a minute", emptyLeads, rounds)
			}
			if told := strings.Count(log.String(), "do not read the same"); told != 1 {
				t.Errorf("empty leads %t: told %d times:\n%s", emptyLeads, told, log.String())
			}
		})
	}
}

// memstoreWith is a store over a topic, for writing to it behind the workers' backs.
func memstoreWith(topic *memstore.Topic) *memstore.ConfigStore {
	store := memstore.NewConfigStore(topic, false, slog.New(slog.NewTextHandler(io.Discard, nil)))
	_ = store.Start(context.Background(), silentEvents{})
	return store
}

type silentEvents struct{}

func (silentEvents) ConnectorConfigUpdated(string)           {}
func (silentEvents) ConnectorConfigRemoved(string)           {}
func (silentEvents) TaskConfigsUpdated(string)               {}
func (silentEvents) TargetStateChanged(string)               {}
func (silentEvents) SessionKeyUpdated(storage.SessionKey)    {}
func (silentEvents) RestartRequested(storage.RestartRequest) {}
func (silentEvents) LoggerLevelChanged(_, _ string)          {}

// Java's signatures have no nonce: a request can be replayed for as long as its key is in
// force, and not a moment longer, on any worker.
func TestAReplayedRequestIsRefusedOnceTheKeyWasRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.startTwo()
		leader := c.leader()
		key, _ := leader.snapshot().SessionKey()
		body := []byte(`[{"v":"2"},{"v":"2"}]`)
		signature, err := protocol.Sign(key.Key, protocol.DefaultAlgorithm, body)
		if err != nil {
			t.Fatal(err)
		}
		request := protocol.SignedRequest{Signature: signature, Algorithm: protocol.DefaultAlgorithm, Body: body}
		configs := []map[string]string{{"v": "2"}, {"v": "2"}}
		for range 2 {
			if err := leader.PutTaskConfigs(t.Context(), "one", configs, request); err != nil {
				t.Fatalf("with the key in force: %v", err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		}

		renewed, err := leader.newSessionKey()
		if err != nil {
			t.Fatal(err)
		}
		if err := leader.opts.Configs.PutSessionKey(t.Context(), renewed); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for name, h := range c.herders {
			var refused *protocol.SignatureError
			if err := h.PutTaskConfigs(t.Context(), "one", configs, request); !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
				t.Errorf("worker %s with the key renewed: %v", name, err)
			}
		}
	})
}
