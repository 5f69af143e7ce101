package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/api"
	"tributary/test/cluster/kafkatest"
	"tributary/test/cluster/realkafka"
)

// TestAGroupIsTakenOverWithStatesAndOffsets: a Java group with a paused, a stopped and a running connector, and one
// whose offsets were altered over REST, is stopped. Tributary starts on the same properties and topics, and finds the
// same connectors, configurations, states and offsets; each goes on exactly where it was, the altered one where it was
// put. Then Java takes over in the same way.
func TestAGroupIsTakenOverWithStatesAndOffsets(t *testing.T) {
	realkafka.Require(t)
	t.Parallel()
	cluster := realkafka.StartCluster(t, realkafka.Options{JVM: []string{quickJVM}})
	properties := (&pair{source: cluster, target: cluster}).group("taken-over")
	properties["value.converter"] = "org.apache.kafka.connect.storage.StringConverter"
	g := &takenOver{
		t: t, client: kafkatest.Dial(t, cluster.Bootstrap()), properties: properties, folder: t.TempDir(),
		lines: map[string][]string{}, want: map[string][]string{},
	}

	g.run(true)
	for _, name := range []string{"paused", "stopped", "altered", "running"} {
		g.feed(name)
		g.put(name, map[string]string{"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "file": g.file(name), "topic": name})
		g.carries(name, g.lines[name])
	}
	// Offsets are committed every second.
	kafkatest.Await(t, patience, "the first commit", func() (bool, string) {
		shown, err := g.worker.Offsets(t.Context(), "running")
		return err == nil && len(shown.Offsets) == 1, fmt.Sprintf("%s, %v", shown.Offsets, err)
	})
	g.pause()
	g.change("stopped", "STOPPED", 0, g.worker.Stop)
	g.change("altered", "STOPPED", 0, g.worker.Stop)
	g.alter("altered")
	g.handOver(true)
	g.goesOn()
	g.handOver(false)
	g.goesOn()

	// The stopped one was at rest all the time, and has not forgotten its place.
	g.change("stopped", "RUNNING", 1, g.worker.Resume)
	g.carries("stopped", g.lines["stopped"][len(g.want["stopped"]):])
	g.end()
}

type takenOver struct {
	t          *testing.T
	client     *kafkatest.Client
	properties map[string]string
	folder     string

	worker *api.Client
	end    func()
	// lines are what each connector's file holds, and want what its topic must hold.
	lines, want map[string][]string
	java        int
}

func (g *takenOver) file(name string) string { return filepath.Join(g.folder, name) }

// run starts the group's one worker.
func (g *takenOver) run(java bool) {
	g.t.Helper()
	if java {
		g.java++
		w := realkafka.StartJavaConnect(g.t, g.properties, realkafka.WithJVM(quickJVM), realkafka.WithName(fmt.Sprintf("java-%d", g.java)))
		g.worker, g.end = &api.Client{BaseURL: w.URL()}, func() { terminate(w) }
		return
	}
	w := startDistributed(g.t, g.properties)
	g.worker, g.end = w.Client, w.stop
}

// feed appends ten lines to a connector's file.
func (g *takenOver) feed(name string) []string {
	g.t.Helper()
	var more []string
	for range 10 {
		more = append(more, fmt.Sprintf("%s line %d", name, len(g.lines[name])+len(more)+1))
	}
	g.lines[name] = append(g.lines[name], more...)
	appendLines(g.t, g.file(name), more)
	return more
}

// positionBehind is the offset of a file source that has read these lines.
func positionBehind(lines []string) string {
	return fmt.Sprintf(`{"position":%d}`, len(strings.Join(lines, "\n")+"\n"))
}

func (g *takenOver) put(name string, config map[string]string) {
	g.t.Helper()
	kafkatest.Await(g.t, patience, "creating "+name, func() (bool, string) {
		_, _, err := g.worker.PutConfig(g.t.Context(), name, config)
		return err == nil, fmt.Sprint(err)
	})
	g.awaitState(name, "RUNNING", 1)
}

func (g *takenOver) awaitState(name, state string, tasks int) {
	g.t.Helper()
	kafkatest.Await(g.t, patience, fmt.Sprintf("%s to be %s with %d tasks", name, state, tasks), func() (bool, string) {
		status, err := g.worker.Status(g.t.Context(), name)
		there := err == nil && status.Connector.State == state && len(status.Tasks) == tasks && status.Connector.WorkerID == strings.TrimPrefix(g.worker.BaseURL, "http://")
		for _, task := range status.Tasks {
			there = there && task.State == state
		}
		return there, fmt.Sprintf("%+v, %v", status, err)
	})
}

// carries wants these lines to arrive next in a connector's topic, and no other line ever.
func (g *takenOver) carries(name string, lines []string) {
	g.t.Helper()
	g.want[name] = append(g.want[name], lines...)
	got := values(g.client.AwaitRecords(name, len(g.want[name]), patience)[0])
	if diff := cmp.Diff(g.want[name], got); diff != "" {
		g.t.Fatalf("topic of %s (-want +got):\n%s", name, diff)
	}
}

func values(records []kafkatest.Record) (values []string) {
	for _, record := range records {
		values = append(values, string(record.Value))
	}
	return values
}

// pause pauses the connector of that name and gives it lines that it must leave alone.
func (g *takenOver) pause() {
	g.t.Helper()
	g.change("paused", "PAUSED", 1, g.worker.Pause)
	g.feed("paused")
}

// alter puts the offset of a connector back to the end of the line before its last five.
func (g *takenOver) alter(name string) {
	g.t.Helper()
	position := positionBehind(g.lines[name][:len(g.lines[name])-5])
	kafkatest.Await(g.t, patience, "altering the offsets of "+name, func() (bool, string) {
		_, err := g.worker.AlterOffsets(g.t.Context(), name, api.ConnectorOffsets{Offsets: []api.ConnectorOffset{{
			Partition: json.RawMessage(fmt.Sprintf(`{"filename":%q}`, g.file(name))), Offset: json.RawMessage(position),
		}}})
		return err == nil, fmt.Sprint(err)
	})
	if got := g.offset(name); got != position {
		g.t.Fatalf("the offset of %s was altered to %s, and is %s", name, position, got)
	}
}

// offset is the offset of a connector's file, as the worker shows it.
func (g *takenOver) offset(name string) string {
	g.t.Helper()
	shown, err := g.worker.Offsets(g.t.Context(), name)
	if err != nil || len(shown.Offsets) != 1 || string(shown.Offsets[0].Partition) != fmt.Sprintf(`{"filename":%q}`, g.file(name)) {
		g.t.Fatalf("offsets of %s: %s, %v", name, shown.Offsets, err)
	}
	return string(shown.Offsets[0].Offset)
}

// handOver ends the worker and starts one of the other kind, which must find everything as it was.
func (g *takenOver) handOver(toTributary bool) {
	g.t.Helper()
	before := g.picture()
	// Their last lines may not have been committed; the end of the worker does it.
	before["offset of running"], before["offset of paused"] = positionBehind(g.want["running"]), positionBehind(g.want["paused"])
	g.end()
	g.run(!toTributary)
	g.awaitState("paused", "PAUSED", 1)
	g.awaitState("stopped", "STOPPED", 0)
	g.awaitState("altered", "STOPPED", 0)
	g.awaitState("running", "RUNNING", 1)
	if diff := cmp.Diff(before, g.picture()); diff != "" {
		g.t.Errorf("the group after the takeover, toTributary=%t (-before +after):\n%s", toTributary, diff)
	}
}

// picture is what the worker says of the connectors, but for who runs what.
func (g *takenOver) picture() map[string]string {
	g.t.Helper()
	said := map[string]string{"/connectors": sorted(g.t, get(g.t, g.worker.BaseURL+"/connectors"))}
	for _, name := range slices.Sorted(maps.Keys(g.lines)) {
		for _, path := range []string{"", "/config", "/tasks", "/topics"} {
			said[name+path] = normal(g.t, get(g.t, g.worker.BaseURL+"/connectors/"+name+path))
		}
		said["offset of "+name] = g.offset(name)
	}
	return said
}

// goesOn has each connector carry on: the running one, the altered one from where it was put, and the paused one, which
// has lines to catch up with. The last two are as before afterwards.
func (g *takenOver) goesOn() {
	g.t.Helper()
	g.carries("running", g.feed("running"))

	again := g.lines["altered"][len(g.lines["altered"])-5:]
	g.change("altered", "RUNNING", 1, g.worker.Resume)
	g.carries("altered", again)
	g.carries("altered", g.feed("altered"))
	g.change("altered", "STOPPED", 0, g.worker.Stop)
	g.alter("altered")

	g.carries("paused", nil)
	waiting := g.lines["paused"][len(g.want["paused"]):]
	g.change("paused", "RUNNING", 1, g.worker.Resume)
	g.carries("paused", waiting)
	g.pause()

	g.feed("stopped")
	g.carries("stopped", nil)
}

func (g *takenOver) change(name, state string, tasks int, change func(ctx context.Context, name string) error) {
	g.t.Helper()
	kafkatest.Await(g.t, patience, fmt.Sprintf("%s to be asked to be %s", name, state), func() (bool, string) {
		err := change(g.t.Context(), name)
		return err == nil, fmt.Sprint(err)
	})
	g.awaitState(name, state, tasks)
}
