package maker

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect/herder"
	"tributary/internal/logging"
	"tributary/storage"
)

func TestANodeWhoseFileIsNotTheGroupsSaysSoOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clusters = "source.bootstrap.servers=s:1\ntarget.bootstrap.servers=t:2\n"
		flow := Flow{"source", "target"}
		g := &group{configs: map[string]storage.ConnectorConfig{}}
		lead := func(file string) {
			m := &mirrorMaker{config: parse(t, clusters+file), log: slog.New(slog.DiscardHandler)}
			m.post(t.Context(), flow, g, m.log)
		}
		var out bytes.Buffer
		log, _ := logging.New(&out, logging.Options{})
		run := &flowRun{Flow: flow, log: log}
		m := &mirrorMaker{config: parse(t, clusters+"tasks.max=2\ntopics=new\ntarget.sasl.jaas.config=secret"), log: log}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); m.compareFiles(ctx, run) }()
		wait := func() string {
			time.Sleep(4 * compareInterval)
			synctest.Wait()
			said := out.String()
			out.Reset()
			return said
		}

		if said := wait(); said != "" {
			t.Errorf("without a herder: %s", said)
		}
		var h herder.Herder = g
		run.herder.Store(&h)
		if said := wait(); said != "" {
			t.Errorf("before the connectors were written: %s", said)
		}
		lead("tasks.max=2\ntopics=old\ngroups=g")
		said := wait()
		if strings.Count(said, "\n") != 1 || !strings.Contains(said, "WARN This node's file differs from what the group runs") || strings.Contains(said, "secret") ||
			!strings.Contains(said, "MirrorSourceConnector:topics, ") || !strings.Contains(said, "MirrorCheckpointConnector:groups, ") || strings.Contains(said, "tasks.max") {
			t.Errorf("an older file: %s", said)
		}
		if said := wait(); said != "" {
			t.Errorf("the same once more: %s", said)
		}
		m.post(t.Context(), flow, g, slog.New(slog.DiscardHandler))
		if said := wait(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "INFO The group runs the connectors as this node's file says") {
			t.Errorf("the same file: %s", said)
		}
		cancel()
		<-ended
	})
}
