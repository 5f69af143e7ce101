package rest

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"tributary/connect/converter"
	"tributary/connect/plugin"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata/answers.txt")

// exchange is one entry of testdata/answers.txt:
//
//	=== name
//	> METHOD path
//	> Header: value
//	body
//	< status
//	< Header: value
//	body
type exchange struct {
	name, method, path string
	headers            [][2]string
	body               string
	answer             string
}

func readExchanges(t *testing.T) []exchange {
	t.Helper()
	content, err := os.ReadFile("testdata/answers.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	for block := range strings.SplitSeq(string(content), "=== ") {
		if strings.TrimSpace(block) == "" {
			continue
		}
		e := exchange{}
		lines := strings.Split(strings.TrimRight(block, "\n"), "\n")
		e.name = lines[0]
		body := []string{}
		for i, line := range lines[1:] {
			if rest, ok := strings.CutPrefix(line, "> "); ok {
				if e.method == "" {
					e.method, e.path, _ = strings.Cut(rest, " ")
					continue
				}
				name, value, _ := strings.Cut(rest, ": ")
				e.headers = append(e.headers, [2]string{name, value})
				continue
			}
			if strings.HasPrefix(line, "< ") {
				e.answer = strings.Join(lines[i+1:], "\n")
				break
			}
			body = append(body, line)
		}
		e.body = strings.Join(body, "\n")
		all = append(all, e)
	}
	if len(all) == 0 {
		t.Fatal("no exchanges")
	}
	return all
}

func (e exchange) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "=== %s\n> %s %s\n", e.name, e.method, e.path)
	for _, h := range e.headers {
		fmt.Fprintf(&b, "> %s: %s\n", h[0], h[1])
	}
	if e.body != "" {
		b.WriteString(e.body + "\n")
	}
	return b.String() + e.answer + "\n\n"
}

func (e exchange) request(prefix string) *http.Request {
	r := httptest.NewRequest(e.method, "http://worker:8083"+prefix+e.path, strings.NewReader(e.body))
	for _, h := range e.headers {
		r.Header.Set(h[0], h[1])
	}
	return r
}

// shown is a response as the file has it.
func shown(w *httptest.ResponseRecorder) string {
	lines := []string{fmt.Sprintf("< %d", w.Code)}
	for name, values := range w.Header() {
		if name != "Content-Length" && !slices.Contains(browserHeaders, name) {
			lines = append(lines, fmt.Sprintf("< %s: %s", name, strings.Join(values, ", ")))
		}
	}
	slices.Sort(lines[1:])
	if body := w.Body.String(); body != "" {
		lines = append(lines, strings.TrimSuffix(body, "\n"))
	}
	return strings.Join(lines, "\n")
}

// browserHeaders are in every answer; a test of their own sees to that.
var browserHeaders = []string{"X-Content-Type-Options", "Content-Security-Policy"}

func testPlugins(t *testing.T) *plugin.Registry {
	t.Helper()
	r, err := plugin.NewRegistry(
		plugin.Plugin{Class: "org.apache.kafka.connect.mirror.MirrorSourceConnector", Kind: plugin.Source, Version: "4.3.1"},
		plugin.Plugin{Class: "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector", Kind: plugin.Source, Version: "4.3.1", New: func() any { return heartbeats{} }},
		plugin.Plugin{Class: "org.apache.kafka.connect.file.FileStreamSinkConnector", Kind: plugin.Sink, Version: "undefined"},
		plugin.Plugin{Class: "org.apache.kafka.connect.json.JsonConverter", Kind: plugin.HeaderConverter, Version: "4.3.1", New: func() any { return new(converter.Boolean) }},
		plugin.Plugin{Class: "org.apache.kafka.connect.json.JsonConverter", Kind: plugin.Converter, Version: "4.3.1", New: func() any { return new(converter.Boolean) }},
		plugin.Plugin{Class: "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone", Kind: plugin.Predicate, Version: "4.3.1"},
		plugin.Plugin{Class: "org.apache.kafka.connect.transforms.Cast$Key", Kind: plugin.Transformation},
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newServer is a server that has not started; adjust may change its options.
func newServer(t *testing.T, adjust func(*Options)) *Server {
	t.Helper()
	opts := Options{
		Listeners: []string{"http://127.0.0.1:0"}, Version: "4.3.1", Commit: "26b251a451ce941d", Plugins: testPlugins(t),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
		Loggers: fakeLoggers{},
		Logger:  slog.New(slog.DiscardHandler),
	}
	if adjust != nil {
		adjust(&opts)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestAnswersAreThoseOfTheFile(t *testing.T) {
	all := readExchanges(t)
	for i, e := range all {
		t.Run(e.name, func(t *testing.T) {
			s := newServer(t, nil)
			s.SetHerder(&fakeHerder{plugins: testPlugins(t)})
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, e.request(""))
			got := shown(w)
			if *update {
				all[i].answer = got
			} else if d := cmp.Diff(e.answer, got); d != "" {
				t.Error(d)
			}
		})
	}
	if *update {
		var b strings.Builder
		for _, e := range all {
			b.WriteString(e.String())
		}
		if err := os.WriteFile("testdata/answers.txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A flow of a dedicated MirrorMaker answers under /source/target as a worker does at
// its root.
func TestFlowsAnswerAsTheRootDoes(t *testing.T) {
	const prefix = "/a%20b/c%2Fd"
	for _, e := range readExchanges(t) {
		if !strings.HasPrefix(e.path, "/connectors") {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			s := newServer(t, nil)
			s.AddFlow("a b", "c/d", &fakeHerder{plugins: testPlugins(t)}, false)
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, e.request(prefix))
			want := strings.ReplaceAll(e.answer, "http://worker:8083/", "http://worker:8083"+prefix+"/")
			if d := cmp.Diff(want, shown(w)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEveryRouteHasAGoldenAnswer(t *testing.T) {
	s := newServer(t, nil)
	// The document that describes the API has tests of its own.
	answered := map[string]bool{"GET /openapi.json": true}
	for _, e := range readExchanges(t) {
		path, _, _ := strings.Cut(e.path, "?")
		for _, prefix := range []string{"", "/a/b"} {
			rctx := chi.NewRouteContext()
			if s.router.Match(rctx, e.method, prefix+strings.TrimSuffix(path, "/")) || path == "/" && s.router.Match(rctx, e.method, "/") {
				if strings.HasPrefix(e.answer, "< 2") {
					answered[e.method+" "+rctx.RoutePattern()] = true
				}
			}
		}
	}
	routes := 0
	err := chi.Walk(s.router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes++
		if !answered[method+" "+route] {
			t.Errorf("%s %s has no successful answer in testdata/answers.txt", method, route)
		}
		return nil
	})
	if err != nil || routes < 40 {
		t.Errorf("%d routes, %v", routes, err)
	}
}
