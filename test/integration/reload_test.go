package integration

import (
	"os"
	"path/filepath"
	"testing"

	"tributary/internal/localkafka"
	"tributary/test/cluster"
)

// What a configuration provider says changes while a connector runs: the connector and its task go on with the new
// value by themselves, and neither value is shown.
func TestAConnectorGoesOnWithNewValuesOfAProvider(t *testing.T) {
	t.Parallel()
	k := cluster.StartKafka(t, localkafka.Options{Topics: map[string]int32{"lines": 1}})
	w := cluster.Start(t, cluster.Distributed, workerFile(k, text, "config.providers=file", "config.providers.file.class=FileConfigProvider", "config.providers.file.param.ttl.ms=200"))
	awaitHealthy(t, w)
	folder := t.TempDir()
	first, second, values := filepath.Join(folder, "first-s3cret.txt"), filepath.Join(folder, "second-s3cret.txt"), filepath.Join(folder, "values.properties")
	write := func(in string) { replaceFile(t, values, "in="+in+"\n") }
	appendLines(t, first, "one")
	appendLines(t, second, "two")
	write(first)
	a := w.API()
	a.Create("in", map[string]string{"connector.class": fileSource, "file": "${file:" + values + ":in}", "topic": "lines"})
	k.AwaitRecords("lines", 1, cluster.Patience)
	write(second)
	got := k.AwaitRecords("lines", 2, cluster.Patience)
	var lines []string
	for _, records := range got {
		for _, r := range records {
			lines = append(lines, string(r.Value))
		}
	}
	requireEqual(t, "lines", []string{"one", "two"}, lines)
	a.AwaitState("in", "RUNNING", 1)
	w.Log.Await("What a configuration provider says has changed; the connector is restarted", "[in]")
	if shown := w.Log.Lines("s3cret"); len(shown) > 0 {
		t.Errorf("values were shown: %q", shown)
	}
}

// The file of the dedicated mode may refer to a provider as well: its connectors go on with the new value by themselves.
func TestAMirrorOfTheDedicatedModeGoesOnWithNewValuesOfAProvider(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 1, "bills": 1})
	source.Produce("orders", cluster.Numbered(0, 10, 1)...)
	source.Produce("bills", cluster.Numbered(0, 10, 1)...)
	values := filepath.Join(t.TempDir(), "values.properties")
	replaceFile(t, values, "topics=orders\n")
	w := cluster.Start(t, cluster.MirrorMaker, twoLines(source, target)+anyPort+"topics=${file:"+values+":topics}\n"+
		"config.providers=file\nconfig.providers.file.class=FileConfigProvider\nconfig.providers.file.param.ttl.ms=200\n")
	awaitMirror(t, source, target, "orders")

	replaceFile(t, values, "topics=bills\n")

	awaitMirror(t, source, target, "bills")
	w.Log.Await("What a configuration provider says has changed; the connector is restarted", "MirrorSourceConnector")
}

// replaceFile writes a file as those do who have readers: half of it is never read.
func replaceFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}
