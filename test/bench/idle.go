package main

import (
	"fmt"
	"time"

	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

func idleScenario() scenario {
	return scenario{
		name: "idle", tools: mirrors, byDefault: true, measure: (*bench).measureIdle,
		describe: func(o options) string { return fmt.Sprintf("nothing to mirror for %d s", o.Seconds) },
		goals:    map[string]goal{"CPU, % of a core": atMost(0.3)},
	}
}

// measureIdle looks at a mirror that has caught up and gets nothing more.
func (b *bench) measureIdle(s *scope, tool string, run int) measurement {
	topic := fmt.Sprintf("idle-%s-%d", tool, run)
	b.sourceKafka.CreateTopic(topic, partitions, nil)
	b.sourceKafka.Produce(topic, kafkatest.Record{Value: []byte("the mirror is up when this arrives")})
	m := b.startMirror(s, plan{scenario: "idle", tool: tool, run: run, topics: topic})
	b.targetKafka.AwaitRecords(m.remote, 1, firstPatience)
	figures := b.idleFigures(s, m.Process)
	m.stop(s)
	return measurement{Scenario: "idle", Tool: tool, Run: run, Figures: figures}
}

// idleFigures watches a program that has nothing to do, once it has settled.
func (b *bench) idleFigures(s *scope, p *realkafka.Process) []figure {
	s.pause(b.opts.Settle)
	begun, before := time.Now(), usageOf(s, p)
	s.pause(time.Duration(b.opts.Seconds) * time.Second)
	after, passed := usageOf(s, p), time.Since(begun)
	return []figure{
		{"CPU", "% of a core", 100 * (after.CPU() - before.CPU()).Seconds() / passed.Seconds()},
		{"memory", "MB", float64(after.RSS) / megabyte},
		{"peak memory", "MB", float64(after.PeakRSS) / megabyte},
	}
}

// await looks until a condition holds, and ends the scope when it does not in time or fails.
func (s *scope) await(patience time.Duration, what string, condition func() (bool, error)) {
	for begun := time.Now(); ; s.pause(pollArrivals) {
		ok, err := condition()
		switch {
		case err != nil:
			s.Fatalf("waiting for %s: %v", what, err)
		case ok:
			return
		case time.Since(begun) > patience:
			s.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// pause lets time pass unless the benchmark is interrupted.
func (s *scope) pause(duration time.Duration) {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
		s.Fatalf("interrupted: %v", s.ctx.Err())
	}
}
