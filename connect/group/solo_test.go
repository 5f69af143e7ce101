package group_test

import (
	"log/slog"
	"testing"
	"testing/synctest"

	"tributary/connect"
	"tributary/connect/group"
)

func TestSoloHoldsEverythingConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, six())
		s := group.NewSolo("http://w1:8083/", slog.New(slog.NewTextHandler(c.log, nil)))
		w := &worker{cluster: c, name: "w1", member: s}
		s.Start(t.Context(), w)
		synctest.Wait()
		diff(t, "events", []string{"join", "round 0: a a-0 a-1 b b-0 b-1"}, w.takeEvents())
		round := w.round()
		if !round.Leader() || round.MemberID != "standalone" || round.Snapshot.LeaderURL != "http://w1:8083/" || round.Protocol.Signed() {
			t.Errorf("round: %+v", round)
		}
		diff(t, "config offset", int64(1), round.Snapshot.ConfigOffset)

		c.configure(map[string]int{"b": 1, "c": 0})
		s.Rejoin("connector a was deleted")
		synctest.Wait()
		diff(t, "events", []string{"join", "revoke a a-0 a-1 b-1", "round 0: b b-0 c"}, w.takeEvents())
		diff(t, "config offset", int64(2), w.round().Snapshot.ConfigOffset)

		s.Rejoin("asked twice")
		s.Suspend("cannot read")
		synctest.Wait()
		s.Rejoin("can read again")
		synctest.Wait()
		events := w.takeEvents()
		diff(t, "the last event", "round 0: b b-0 c", events[len(events)-1])
		s.Settled()
		synctest.Wait()
		diff(t, "events after the round was settled", []string(nil), w.takeEvents())
		diff(t, "owner of what this worker does not hold", "", s.OwnerURL(connect.TaskID{Connector: "gone"}))
		stop(s)
		s.Rejoin("after the end")
		synctest.Wait()
		diff(t, "events after the end", []string(nil), w.takeEvents())
	})
}
