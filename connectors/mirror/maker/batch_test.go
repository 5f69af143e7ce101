package maker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/api"
	"tributary/connect/herder"
)

func TestOnlyFilesWhoseFlowsAreAllBatchesEndByThemselves(t *testing.T) {
	const both = "a->b.replication.mode=batch\nb->a.replication.mode=Batch\n"
	for file, want := range map[string]bool{
		"":                                      false,
		both:                                    true,
		"a->b.replication.mode=batch\n":         false,
		both + "a->b.batch.interval.seconds=60": false,
		both + "b->a.replication.mode=simple":   false,
		"b->a.enabled=false\na->b.replication.mode=batch\n":        true,
		"b->a.enabled=false\nb->a.replication.mode=batch\n":        false,
		"a->b.enabled=false\n" + both + "b->a.replication.mode=\n": false,
	} {
		m := &mirrorMaker{config: parse(t, "clusters=a,b\na.bootstrap.servers=a:1\nb.bootstrap.servers=b:1\na->b.enabled=true\nb->a.enabled=true\n"+file)}
		m.flows = m.config.flows(nil)
		if got := m.allBatches(); got != want {
			t.Errorf("%q: %v, want %v", file, got, want)
		}
	}
}

// batchGroup is a herder whose source connector has come as far as it says.
type batchGroup struct {
	herder.Herder

	mu    sync.Mutex
	state string
	batch *api.ReplicationBatch
}

func (g *batchGroup) is(state string, batch api.ReplicationBatch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state, g.batch = state, &batch
}

func (g *batchGroup) ConnectorStatus(_ context.Context, name string) (api.ConnectorStatus, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == "" {
		return api.ConnectorStatus{}, &herder.NotFoundError{Message: name}
	}
	return api.ConnectorStatus{Connector: api.InstanceStatus{State: g.state}}, nil
}

func (g *batchGroup) Replication(context.Context, string) (api.Replication, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return api.Replication{Batch: g.batch}, nil
}

func TestTheProcessEndsWhenAllBatchesAreDoneAndSaysWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &mirrorMaker{config: parse(t, "clusters=a,b\na.bootstrap.servers=a:1\nb.bootstrap.servers=b:1\na->b.enabled=true\nb->a.enabled=true\na->b.replication.mode=batch\n")}
		groups := map[Flow]*batchGroup{}
		for _, f := range m.config.flows(nil) {
			run := &flowRun{Flow: f, log: slog.New(slog.DiscardHandler)}
			groups[f] = &batchGroup{}
			var h herder.Herder = groups[f]
			run.herder.Store(&h)
			m.runs = append(m.runs, run)
		}
		there, back := groups[Flow{"a", "b"}], groups[Flow{"b", "a"}]
		failures := map[Flow]error{}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			m.awaitBatches(t.Context(), func(f Flow, err error) { failures[f] = err })
		}()
		goesOn := func(why string) {
			t.Helper()
			time.Sleep(time.Minute)
			select {
			case <-ended:
				t.Fatalf("ended although %s", why)
			default:
			}
		}
		goesOn("nothing has begun")
		there.is("RUNNING", api.ReplicationBatch{Copied: 5, Left: 2})
		back.is("STOPPED", api.ReplicationBatch{Done: true, Copied: 3})
		goesOn("one flow is at work")
		there.is("STOPPED", api.ReplicationBatch{Copied: 5, Left: 2})
		goesOn("somebody stopped a flow that is not done")
		there.is("STOPPED", api.ReplicationBatch{Done: true, Copied: 5, Left: 2, StoppedPartitions: 1})
		<-ended
		if len(failures) != 1 || failures[Flow{"a", "b"}].Error() != "the batch is done, but it left 2 records behind; 1 partitions were stopped" {
			t.Errorf("failures %v", errors.Join(failures[Flow{"a", "b"}], failures[Flow{"b", "a"}]))
		}
	})
}
