package kafka

import (
	"io"
	"log/slog"
	"testing"
)

func TestAClientThatIsClosedLeavesNoOutageBehind(t *testing.T) {
	cfg := mustParse(t, RoleAdmin, "bootstrap.servers", "outage.invalid:1")
	c, err := NewClient(cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	c.report("refuses")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c.report("closed the connection") // an Await that was cut by Close
	if got := outages.enter(c.Bootstrap(), t); got != slog.LevelWarn {
		t.Errorf("the next outage of the cluster is logged at %v: the closed client still speaks for it", got)
	}
	outages.leave(c.Bootstrap(), t)
}

func TestAnOutageIsToldByOneAndItsEndByTheLast(t *testing.T) {
	b := outageBoard{clusters: map[string]*outage{}}
	first, second, third := new(int), new(int), new(int)
	steps := []struct {
		name string
		do   func() slog.Level
		want slog.Level
	}{
		{"the first warns", func() slog.Level { return b.enter("a", first) }, slog.LevelWarn},
		{"others do not", func() slog.Level { return b.enter("a", second) }, slog.LevelDebug},
		{"another reason is for the first to tell", func() slog.Level { return b.enter("a", first) }, slog.LevelWarn},
		{"another cluster is another matter", func() slog.Level { return b.enter("b", second) }, slog.LevelWarn},
		{"the first recovers while another has not", func() slog.Level { return b.leave("a", first) }, slog.LevelDebug},
		{"another reason of one that has not is told, for nobody speaks", func() slog.Level { return b.enter("a", second) }, slog.LevelWarn},
		{"a third joins the same outage", func() slog.Level { return b.enter("a", third) }, slog.LevelDebug},
		{"who was not in trouble has no end to tell", func() slog.Level { return b.leave("a", first) }, slog.LevelDebug},
		{"not yet", func() slog.Level { return b.leave("a", third) }, slog.LevelDebug},
		{"the last tells the end", func() slog.Level { return b.leave("a", second) }, slog.LevelInfo},
		{"the next outage is told again", func() slog.Level { return b.enter("a", third) }, slog.LevelWarn},
		{"the other cluster's end", func() slog.Level { return b.leave("b", second) }, slog.LevelInfo},
	}
	for _, s := range steps {
		if got := s.do(); got != s.want {
			t.Errorf("%s: level %v, want %v", s.name, got, s.want)
		}
	}
}
