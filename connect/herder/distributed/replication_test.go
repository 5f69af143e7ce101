package distributed

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/storage"
)

func taskID(connector string, task int) connect.TaskID {
	return connect.TaskID{Connector: connector, Task: task}
}

// shown is a page without what all of the fakes' rows have in common.
func shown(t *testing.T, page api.Replication) string {
	t.Helper()
	out := page.Name + " " + page.Mode
	for _, p := range page.Partitions {
		row, err := json.Marshal([]any{p.Topic, p.Partition, p.Task, p.WorkerID, p.SourceEnd, p.MirroredUpTo, p.LagRecords, p.LagSeconds})
		if err != nil {
			t.Fatal(err)
		}
		out += " " + string(row)
	}
	return out
}

func TestReplicationHasTheRowsOfAllWorkersAndNamesThoseThatAreSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.start("a", nil)
		synctest.Wait()
		b := c.start("b", nil)
		synctest.Wait()
		c.put(t.Context(), "m", config("n", "3", "v", "1"))
		c.expectTasks("m", 3, "1")
		if owners := c.ledger.owners(); owners[connectorID("m")] != "a" || owners[connectorID("m")] == owners[taskID("m", 0)] && owners[taskID("m", 0)] == owners[taskID("m", 1)] {
			t.Fatalf("the work is not shared: %v", owners)
		}
		row := func(task string, worker string) string {
			return ` ["m",` + task + `,` + task + `,"` + worker + `",9,null,null,null]`
		}
		owners := c.ledger.owners()
		want := "m batch" + row("0", owners[taskID("m", 0)]) + row("1", owners[taskID("m", 1)]) + row("2", owners[taskID("m", 2)])

		for name, h := range c.herders {
			page, err := h.Replication(t.Context(), "m")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, shown(t, page)); diff != "" {
				t.Errorf("asked of %s: %s", name, diff)
			}
			facts := api.Replication{Name: "m", Mode: "batch", Batch: &api.ReplicationBatch{Copied: 1, Left: 2}, Topics: []string{"m"}, Troubles: []string{"slow"},
				UnmovableGroups: []api.UnmovableGroup{}, Restarts: []api.AutoRestarts{}, Unanswered: []api.UnansweredWorker{}, Partitions: page.Partitions}
			if diff := cmp.Diff(facts, page); diff != "" {
				t.Errorf("asked of %s: %s", name, diff)
			}
		}

		// A status that was left by a worker that is no more, and one of work that nobody has.
		b.opts.Statuses.PutTask(taskID("m", 3), storage.Status{State: storage.StateRunning, WorkerID: "gone:8083/a->b", Generation: 99})
		b.opts.Statuses.PutTask(taskID("m", 4), storage.Status{State: storage.StateUnassigned, WorkerID: "left:8083", Generation: 99})
		synctest.Wait()
		page, err := b.Replication(t.Context(), "m")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]api.UnansweredWorker{{WorkerID: "gone:8083/a->b", Reason: errUnreachable.Error()}}, page.Unanswered); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, shown(t, page)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAWorkersShareIsToldToSignedRequestsThatNameTheConnector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", nil)
		c.put(t.Context(), "m", config("n", "1", "v", "1"))
		ask := func(connector, body string, signedBody string) (api.Replication, error) {
			request, err := h.SignRequest("POST /connectors/"+connector+"/replication", []byte(signedBody))
			if err != nil {
				t.Fatal(err)
			}
			request.Body = []byte(body)
			return h.LocalReplication(t.Context(), connector, request)
		}
		const body = `{"replication":"m"}`
		share, err := ask("m", body, body)
		if err != nil || shown(t, share) != `m batch ["m",0,0,"a",9,null,null,null]` {
			t.Errorf("got %s, %v", shown(t, share), err)
		}
		var forged *protocol.SignatureError
		if _, err := ask("m", body, "{}"); !errors.As(err, &forged) {
			t.Errorf("a wrong signature: %v", err)
		}
		var wrong *herder.BadRequestError
		for _, other := range []string{"", "[]", `{"replication":"x"}`} {
			if _, err := ask("m", other, other); !errors.As(err, &wrong) {
				t.Errorf("a request with the body %q: %v", other, err)
			}
		}
		var missing *herder.NotFoundError
		if _, err := h.Replication(t.Context(), "none"); !errors.As(err, &missing) {
			t.Errorf("an unknown connector: %v", err)
		}
	})
}
