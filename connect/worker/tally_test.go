package worker

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTallyIsACounterWithARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meter{}
		s := &scope{metrics: m, labels: map[string]string{}}
		n := s.tally("n", "N.", "")
		n.Add(10)
		n.Add(20)
		if got := m.read("kafka_connect_n_rate"); got != 1 {
			t.Errorf("rate %v, want 30 in 30 s", got)
		}
		if got := m.read("kafka_connect_n_total"); got != 30 {
			t.Errorf("total %v, want 30", got)
		}
		// What was counted long ago and never looked at does not count as of now.
		n.Add(600)
		n.tick()
		time.Sleep(2 * time.Minute)
		if got := m.read("kafka_connect_n_rate"); got != 0 {
			t.Errorf("rate %v after two quiet minutes, want 0", got)
		}
	})
}
