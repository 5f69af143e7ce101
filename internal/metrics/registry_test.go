package metrics

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// page returns a Registry, what its page shows now, and the log.
func page(t *testing.T) (r *Registry, show func() string, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	reg := prometheus.NewPedanticRegistry()
	r = New(reg, slog.New(slog.NewTextHandler(log, nil)))
	return r, func() string {
		w := httptest.NewRecorder()
		Handler(reg).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if w.Code != 200 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		return w.Body.String()
	}, log
}

func expect(t *testing.T, got string, want ...string) {
	t.Helper()
	if len(want) > 0 {
		want = append(want, "")
	}
	if d := cmp.Diff(strings.Join(want, "\n"), got); d != "" {
		t.Error(d)
	}
}

func TestMetricsAreShownUntilTheirScopeIsRemoved(t *testing.T) {
	r, show, _ := page(t)
	first := r.Scope(map[string]string{"connector": "c", "task": "0"})
	second := r.Scope(map[string]string{"connector": "c", "task": "1"})
	name := Name("source-task-metrics", "source-record-poll-total")
	first.Counter(name, "Records.", nil).Add(2.5)
	second.Counter(name, "Other words.", nil).Add(1)
	second.Gauge("kafka_connect_lag", "Lag.", map[string]string{"topic": `a"b`, "connector": "mine"}).Set(-3)

	expect(t, show(),
		`# HELP kafka_connect_lag Lag.`,
		`# TYPE kafka_connect_lag gauge`,
		`kafka_connect_lag{connector="c",task="1",topic="a\"b"} -3`,
		`# HELP kafka_connect_source_task_metrics_source_record_poll_total Records.`,
		`# TYPE kafka_connect_source_task_metrics_source_record_poll_total counter`,
		`kafka_connect_source_task_metrics_source_record_poll_total{connector="c",task="0"} 2.5`,
		`kafka_connect_source_task_metrics_source_record_poll_total{connector="c",task="1"} 1`)

	second.Remove()
	second.Counter(name, "Records.", nil).Add(9)
	second.Gauge("kafka_connect_lag", "", nil).Set(9)
	second.GaugeFunc("kafka_connect_lag", "", nil, func() float64 { return 9 })
	expect(t, show(),
		`# HELP kafka_connect_source_task_metrics_source_record_poll_total Records.`,
		`# TYPE kafka_connect_source_task_metrics_source_record_poll_total counter`,
		`kafka_connect_source_task_metrics_source_record_poll_total{connector="c",task="0"} 2.5`)

	first.Remove()
	first.Remove()
	expect(t, show())
}

func TestSeriesShareTheirLabelsAndLeaveNothing(t *testing.T) {
	r, show, _ := page(t)
	scope := r.Scope(map[string]string{"task": "0"})
	for _, name := range []string{"a", "b", "c"} {
		for _, partition := range []string{"0", "1"} {
			scope.Gauge(name, "Letter.", map[string]string{"partition": partition}).Set(1)
		}
	}
	if n := len(r.sets); n != 2 {
		t.Errorf("%d sets of labels for 6 series of 2 partitions", n)
	}
	expect(t, show(), `# HELP a Letter.`, `# TYPE a gauge`, `a{partition="0",task="0"} 1`, `a{partition="1",task="0"} 1`,
		`# HELP b Letter.`, `# TYPE b gauge`, `b{partition="0",task="0"} 1`, `b{partition="1",task="0"} 1`,
		`# HELP c Letter.`, `# TYPE c gauge`, `c{partition="0",task="0"} 1`, `c{partition="1",task="0"} 1`)

	scope.Remove()
	if len(r.sets)+len(r.families) != 0 {
		t.Errorf("%d sets of labels and %d names are left", len(r.sets), len(r.families))
	}
	expect(t, show())
}

func TestTheSameNameAndLabelsAreTheSameMetricUntilTheLastRemoval(t *testing.T) {
	r, show, _ := page(t)
	labels := map[string]string{"connector": "c"}
	r.Counter("a_total", "A.", labels).Add(1)
	r.Counter("a_total", "A.", map[string]string{"connector": "c"}).Add(2)
	want := []string{"# HELP a_total A.", "# TYPE a_total counter", `a_total{connector="c"} 3`}
	expect(t, show(), want...)
	r.Remove("a_total", labels)
	expect(t, show(), want...)
	r.Remove("a_total", map[string]string{"connector": "d"})
	expect(t, show(), want...)
	r.Remove("a_total", labels)
	expect(t, show())
	r.Remove("a_total", labels)

	r.Counter("a_total", "A.", labels)
	expect(t, show(), "# HELP a_total A.", "# TYPE a_total counter", `a_total{connector="c"} 0`)
}

func TestTwoWorkersOfAProcessAreToldApartByALabel(t *testing.T) {
	r, show, _ := page(t)
	there, back := r.With(map[string]string{"flow": "a->b"}), r.With(map[string]string{"flow": "b->a"})
	there.Counter("n_total", "N.", map[string]string{"flow": "mine"}).Add(1)
	back.Counter("n_total", "N.", nil).Add(2)
	back.Gauge("g", "G.", map[string]string{"task": "0"}).Set(3)
	back.GaugeFunc("f", "F.", nil, func() float64 { return 4 })
	expect(t, show(), "# HELP f F.", "# TYPE f gauge", `f{flow="b->a"} 4`, "# HELP g G.", "# TYPE g gauge", `g{flow="b->a",task="0"} 3`,
		"# HELP n_total N.", "# TYPE n_total counter", `n_total{flow="a->b"} 1`, `n_total{flow="b->a"} 2`)
	back.Remove("n_total", nil)
	back.Remove("g", map[string]string{"task": "0"})
	back.Remove("f", nil)
	expect(t, show(), "# HELP n_total N.", "# TYPE n_total counter", `n_total{flow="a->b"} 1`)
}

func TestGaugeFuncsAreAskedWhenCollected(t *testing.T) {
	r, show, _ := page(t)
	value := 1.0
	r.GaugeFunc("g", "G.", nil, func() float64 { return value })
	expect(t, show(), "# HELP g G.", "# TYPE g gauge", "g 1")
	value = 2
	expect(t, show(), "# HELP g G.", "# TYPE g gauge", "g 2")
}

func TestWhatCannotBeShownSpoilsNothing(t *testing.T) {
	r, show, log := page(t)
	r.Gauge("x", "X.", nil).Set(1)
	r.Counter("x", "X.", nil).Add(5)
	r.Counter("x", "X.", map[string]string{"l": "v"}).Add(5)
	r.Gauge("no-name", "", nil).Set(1)
	r.Gauge("y", "", map[string]string{"no-label": ""}).Set(1)
	r.Gauge("z", "", map[string]string{"__reserved": ""}).Set(1)
	r.Gauge("x", "X.", map[string]string{"other": "labels\xff"}).Set(2)
	got := show()
	for _, line := range []string{"# TYPE x gauge\n", "\nx 1\n", "x{other=\"labels\uFFFD\"} 2\n"} {
		if !strings.Contains("\n"+got, line) {
			t.Errorf("no %q in %s", line, got)
		}
	}
	if strings.Contains(got, "5") || strings.Contains(got, "no-") {
		t.Error(got)
	}
	for _, reason := range []string{`metric=x reason="the name is that of a counter and of a gauge"`, `metric=no-name reason="the name is not valid`, "no-label", "__reserved"} {
		if strings.Count(log.String(), reason) != 1 {
			t.Errorf("%s is not said once in %s", reason, log)
		}
	}
}

func TestARefusedRequestTakesNothingAwayFromOthers(t *testing.T) {
	r, show, _ := page(t)
	other := r.Scope(map[string]string{"connector": "c"})
	other.Gauge("x", "X.", map[string]string{"l": "1"}) // sets the kind
	refused := r.Scope(map[string]string{"connector": "c"})
	refused.Counter("x", "X.", nil).Add(7)
	other.Gauge("x", "X.", nil).Set(1)
	refused.Remove()
	expect(t, show(), "# HELP x X.", "# TYPE x gauge", `x{connector="c"} 1`, `x{connector="c",l="1"} 0`)
	other.Remove()
	expect(t, show())
}

func TestLabelSetsAreToldApart(t *testing.T) {
	sets := []map[string]string{
		nil, {"a": "1"}, {"a": "1", "b": ""}, {"a": "1\x00;b="}, {"a": "1\x00", "b": ""}, {"a": "", "b": "1"}, {"b": "1"}, {"a": "\x00;b=1"},
	}
	seen := map[string]int{}
	for i, set := range sets {
		if j, twice := seen[key(set)]; twice {
			t.Errorf("%q and %q are the same", set, sets[j])
		}
		seen[key(set)] = i
	}
}

func TestCountersOnlyGrowAndLoseNothing(t *testing.T) {
	r, show, _ := page(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			c := r.Counter("n_total", "N.", nil)
			for range 1000 {
				c.Add(1)
				c.Add(-5)
			}
			s := r.Scope(map[string]string{"t": "0"})
			s.Gauge("g", "G.", nil).Set(1)
			show()
			s.Remove()
		})
	}
	all.Wait()
	expect(t, show(), "# HELP n_total N.", "# TYPE n_total counter", "n_total 8000")
}

func TestWhatIsAskedForWhileItsScopeIsRemovedIsNotLeftBehind(t *testing.T) {
	r, show, _ := page(t)
	s := r.Scope(map[string]string{"t": "0"})
	var both sync.WaitGroup
	r.mu.Lock()
	both.Go(func() { s.Counter("c_total", "C.", nil).Add(1) })
	for s.mu.TryLock() {
		asked := len(s.asked)
		s.mu.Unlock()
		if asked > 0 {
			t.Error("the scope can be removed before there is what was asked for")
			break
		}
		runtime.Gosched()
	}
	both.Go(s.Remove)
	r.mu.Unlock()
	both.Wait()
	expect(t, show())
}

func BenchmarkCounterAdd(b *testing.B) {
	r := New(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	c := r.Counter("n_total", "N.", map[string]string{"connector": "c", "task": "0"})
	for b.Loop() {
		c.Add(1)
	}
}
