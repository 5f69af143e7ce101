// Package metricstest holds a program's metrics against the page that documents them.
package metricstest

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"tributary/connect"
)

var update = flag.Bool("update-metrics", false, "rewrite the tables in docs/metrics.md")

// Catalogue is a worker.Metrics that notes what is asked for. Safe for concurrent use.
type Catalogue struct {
	mu sync.Mutex
	// rows are the lines of the tables, by name.
	rows map[string]string
	// present counts what has not been removed, by name and labels.
	present map[string]int
}

type ignored struct{}

func (ignored) Add(float64) {}
func (ignored) Set(float64) {}

func (c *Catalogue) note(name, kind, help string, labels map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rows == nil {
		c.rows, c.present = map[string]string{}, map[string]int{}
	}
	c.rows[name] = fmt.Sprintf("| `%s` | %s | %s | %s |", name, kind, strings.Join(slices.Sorted(maps.Keys(labels)), ", "), help)
	c.present[fmt.Sprint(name, labels)]++
}

// Counter implements connect.Metrics.
func (c *Catalogue) Counter(name, help string, labels map[string]string) connect.Counter {
	c.note(name, "counter", help, labels)
	return ignored{}
}

// Gauge implements connect.Metrics.
func (c *Catalogue) Gauge(name, help string, labels map[string]string) connect.Gauge {
	c.note(name, "gauge", help, labels)
	return ignored{}
}

// GaugeFunc implements worker.Metrics.
func (c *Catalogue) GaugeFunc(name, help string, labels map[string]string, _ func() float64) {
	c.note(name, "gauge", help, labels)
}

// Remove implements worker.Metrics.
func (c *Catalogue) Remove(name string, labels map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.present[fmt.Sprint(name, labels)]--
}

// Left are the metrics that were not removed as often as they were asked for.
func (c *Catalogue) Left() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var left []string
	for key, n := range c.present {
		if n != 0 {
			left = append(left, fmt.Sprintf("%s: %d", key, n))
		}
	}
	slices.Sort(left)
	return left
}

// Check fails the test unless the page has a table of exactly these metrics under the
// heading "## group". With -update-metrics it writes it.
func (c *Catalogue) Check(t *testing.T, page, group string) {
	t.Helper()
	beginning := "kafka_connect_" + strings.ReplaceAll(group, "-", "_") + "_"
	var rows []string
	c.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(c.rows)) {
		if strings.HasPrefix(name, beginning) {
			rows = append(rows, c.rows[name])
		}
	}
	c.mu.Unlock()
	if len(rows) == 0 {
		t.Fatalf("nothing is registered as %s…", beginning)
	}
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(content), "\n## "+group+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", page, "## "+group)
	}
	const head = "| name | kind | labels | meaning |\n|---|---|---|---|\n"
	section, after, last := strings.Cut(rest, "\n## ")
	words, table, found := strings.Cut(section, head)
	want := strings.Join(rows, "\n") + "\n"
	if *update {
		if last {
			after = "\n## " + after
		}
		if err := os.WriteFile(page, []byte(before+"\n## "+group+"\n"+strings.TrimRight(words, "\n")+"\n\n"+head+want+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !found || strings.TrimSpace(table) != strings.TrimSpace(want) {
		t.Errorf("the table of %s in %s is not what is registered; go test -update-metrics writes it", group, page)
	}
}
