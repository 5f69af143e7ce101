package group_test

import (
	"cmp"
	"log/slog"
	"slices"
	"testing"
	"time"

	"tributary/connect/group"
	"tributary/internal/kafka"
	"tributary/internal/localkafka"
)

// TestMembershipOverTheWire plays the main scenario against an embedded broker: three
// workers share the work, one leaves for good, the coordinator moves, one comes back.
func TestMembershipOverTheWire(t *testing.T) {
	local, err := localkafka.Start(localkafka.Options{Brokers: 2, MinSession: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(local.Close)
	c := newCluster(t, twelve())
	overTheWire := func(o *group.Options) {
		cfg, err := kafka.ParseConfig(kafka.RoleGroup, kafka.Props{"bootstrap.servers": local.Bootstrap(), "group.id": o.GroupID})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := kafka.NewGroupConn(cfg, o.GroupID, slog.New(slog.NewTextHandler(c.log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		o.Coordinator = conn
		o.SessionTimeout, o.HeartbeatInterval, o.RebalanceTimeout = 3*time.Second, 100*time.Millisecond, 10*time.Second
		o.MaxDelay = time.Second
	}
	shared := func(want ...int) {
		t.Helper()
		await(t, "the work to be shared", 30*time.Second, func() bool {
			var load []int
			for _, n := range c.load() {
				load = append(load, n)
			}
			slices.SortFunc(load, func(a, b int) int { return cmp.Compare(b, a) })
			return slices.Equal(load, want)
		})
	}

	c.start("w1", overTheWire)
	shared(12)
	c.start("w2", overTheWire)
	w3, m3 := c.start("w3", overTheWire)
	shared(4, 4, 4)

	w3.die()
	stop(m3)
	shared(6, 6)

	generation := w3.round().Generation
	local.MoveCoordinators()
	w4, _ := c.start("w4", overTheWire)
	shared(4, 4, 4)
	if got := w4.round().Generation; got <= generation {
		t.Errorf("generation %d does not follow %d", got, generation)
	}
	if len(c.log.with("level=ERROR")) > 0 {
		t.Errorf("errors: %q", c.log.with("level=ERROR"))
	}
}
