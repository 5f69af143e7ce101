package main

import (
	"fmt"
	"time"

	"tributary/test/cluster/kafkatest"
)

// settle is how long a mirror has to calm down before it counts as idle.
const settle = 10 * time.Second

// measureIdle looks at a mirror that has caught up and gets nothing more.
func (b *bench) measureIdle(s *scope, scenario, tool string, run int) measurement {
	topic := fmt.Sprintf("idle-%s-%d", tool, run)
	b.sourceKafka.CreateTopic(topic, partitions, nil)
	b.sourceKafka.Produce(topic, kafkatest.Record{Value: []byte("the mirror is up when this arrives")})
	m := b.startMirror(s, scenario, tool, run, topic)
	b.targetKafka.AwaitRecords(m.remote, 1, firstPatience)
	s.pause(settle)
	begun, before := time.Now(), m.usage(s)
	s.pause(time.Duration(b.opts.Seconds) * time.Second)
	after, passed := m.usage(s), time.Since(begun)
	m.stop(s)
	return measurement{
		Scenario: scenario, Tool: tool, Run: run,
		Figures: []figure{
			{"CPU", "% of a core", 100 * (after.CPU() - before.CPU()).Seconds() / passed.Seconds()},
			{"peak memory", "MB", float64(after.PeakRSS) / megabyte},
		},
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
