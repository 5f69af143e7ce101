package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/api"
	"tributary/connect/herder"
)

func TestParseListener(t *testing.T) {
	for text, want := range map[string]Listener{
		"http://localhost:8083": {"http", "localhost", 8083}, "HTTP://:0": {"http", "", 0}, " https://a.b-c_d:443 ": {"https", "a.b-c_d", 443},
		"http://[::1]:80": {"http", "::1", 80}, "http://0.0.0.0:65535": {"http", "0.0.0.0", 65535},
	} {
		if got, err := ParseListener(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"localhost:8083":    `listener "localhost:8083" doesn't have the right format (protocol://hostname:port)`,
		"http://a:8083/":    `listener "http://a:8083/" doesn't have the right format (protocol://hostname:port)`,
		"ftp://a:1":         `listener "ftp://a:1": the protocol must be either http or https`,
		"http://a:65536":    `listener "http://a:65536": the port must be between 0 and 65535`,
		"http://a:-1":       `listener "http://a:-1": the port must be between 0 and 65535`,
		"http://a b:80":     `listener "http://a b:80" doesn't have the right format (protocol://hostname:port)`,
		"http://host:80,80": `listener "http://host:80,80" doesn't have the right format (protocol://hostname:port)`,
	} {
		if _, err := ParseListener(text); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestAdvertisedURL(t *testing.T) {
	web, tls, all := Listener{"http", "a", 1}, Listener{"https", "b", 2}, Listener{"http", "", 3}
	for _, test := range []struct {
		advertised Advertised
		listeners  []Listener
		want       string
	}{
		{Advertised{}, []Listener{web}, "http://a:1/"},
		{Advertised{}, []Listener{tls, web}, "http://a:1/"},
		{Advertised{}, []Listener{tls}, "https://b:2/"},
		{Advertised{}, []Listener{all}, "http://here:3/"},
		{Advertised{}, []Listener{{"http", "0.0.0.0", 4}}, "http://here:4/"},
		{Advertised{}, []Listener{{"http", "::1", 4}}, "http://[::1]:4/"},
		{Advertised{Listener: "HTTPS"}, []Listener{web, tls}, "https://b:2/"},
		{Advertised{Host: "h", Port: 9}, []Listener{web}, "http://h:9/"},
		{Advertised{Host: "h"}, []Listener{all}, "http://h:3/"},
		{Advertised{Listener: "https", Host: "h"}, []Listener{web}, "https://h:1/"},
	} {
		if got := test.advertised.URL(test.listeners, func() string { return "here" }).String(); got != test.want {
			t.Errorf("%+v, %v: got %s, want %s", test.advertised, test.listeners, got, test.want)
		}
	}
	if ip := net.ParseIP(LocalHost()); ip == nil || ip.IsUnspecified() {
		t.Errorf("this machine is %s", LocalHost())
	}
}

func TestFlowPathIsEscapedAsJavaDoes(t *testing.T) {
	if got, want := FlowPath("a b+c/d", "é*~%?&"), "/a%20b%2Bc%2Fd/%C3%A9*%7E%25%3F%26"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestStartServesEveryListenerAndNamesThePortsItTook(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, func(o *Options) {
		o.Listeners = []string{"HTTP://127.0.0.1:0", "http://localhost:0"}
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	s.SetHerder(&fakeHerder{})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for _, url := range s.URLs() {
		client := &api.Client{BaseURL: url, HTTP: &http.Client{}}
		names, err := client.List(t.Context())
		if d := cmp.Diff([]string{"h b/1", "hb"}, names); err != nil || d != "" {
			t.Errorf("%s: %v %s", url, err, d)
		}
		response, err := client.HTTP.Head(url + "/connectors")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != 200 || response.ContentLength != 14 || len(body) != 0 {
			t.Errorf("HEAD: %d, %d, %q", response.StatusCode, response.ContentLength, body)
		}
		client.HTTP.CloseIdleConnections()
	}
	port := s.main.listeners[0].Port
	if got, want := s.AdvertisedURL(), fmt.Sprintf("http://127.0.0.1:%d/", port); port == 0 || got != want {
		t.Errorf("advertises %s, want %s", got, want)
	}
	if got, want := s.WorkerID(), fmt.Sprintf("127.0.0.1:%d", port); got != want {
		t.Errorf("worker id %s, want %s", got, want)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if want := fmt.Sprintf("listener=HTTP://127.0.0.1:0 address=127.0.0.1:%d", port); !strings.Contains(log.String(), want) {
		t.Errorf("no %s in\n%s", want, log.String())
	}
}

func TestAPortThatIsTakenIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s := newServer(t, func(o *Options) { o.Listeners = []string{"http://127.0.0.1:0", "http://" + taken.Addr().String()} })
	want := "listen at http://" + taken.Addr().String() + ": bind: address already in use"
	if err := s.Start(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	free, err := net.Listen("tcp", s.main.listeners[0].String()[len("http://"):])
	if err != nil {
		t.Fatalf("the other listener is still bound: %v", err)
	}
	_ = free.Close()
}

func TestHTTPSListenersNeedTLS(t *testing.T) {
	_, err := New(Options{Listeners: []string{"https://:8443"}, Logger: slog.New(slog.DiscardHandler)})
	if err == nil || err.Error() != "listener https://:8443 needs TLS settings, and there are none" {
		t.Error(err)
	}
}

func TestAWorkerWithoutHerderIsStarting(t *testing.T) {
	s := newServer(t, nil)
	s.made = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	for path, want := range map[string]string{
		"/health":     "< 503\n< Content-Type: application/json\n" + `{"status":"starting","message":"Worker is still starting up. The worker is currently initializing and reading to the end of internal topics, which began at 2024-05-06T07:08:09.000Z."}`,
		"/connectors": "< 503\n< Content-Type: application/json\n" + `{"error_code":503,"message":"Worker is still starting up."}`,
		"/":           "< 200\n< Content-Type: application/json\n" + `{"version":"4.3.1","commit":"26b251a451ce941d","kafka_cluster_id":""}`,
	} {
		if d := cmp.Diff(want, shown(ask(s, "GET", path, ""))); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
}

func TestHealthIsThatOfTheWorstHerder(t *testing.T) {
	hang := func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
	for name, test := range map[string]struct {
		herder *fakeHerder
		status int
		health api.WorkerHealth
	}{
		"healthy":                  {&fakeHerder{}, 200, api.WorkerHealth{Status: "healthy", Message: "Worker has completed startup and is ready to handle requests."}},
		"starting":                 {&fakeHerder{fail: always(&herder.NotReadyError{Message: "Worker is still starting up."})}, 503, api.WorkerHealth{Status: "starting", Message: "Worker is still starting up."}},
		"starting, herder's stage": {&fakeHerder{fail: always(&herder.NotReadyError{Message: "Worker is still starting up."}), stage: "The worker is currently awake."}, 503, api.WorkerHealth{Status: "starting", Message: "Worker is still starting up. The worker is currently awake."}},
		"starting, stage":          {&fakeHerder{fail: always(&herder.NotReadyError{Message: "The worker is reading."})}, 503, api.WorkerHealth{Status: "starting", Message: "Worker is still starting up. The worker is reading."}},
		"hanging":                  {&fakeHerder{fail: hang}, 500, api.WorkerHealth{Status: "unhealthy", Message: "Worker was unable to handle this request and may be unable to handle other requests."}},
		"hanging, stage":           {&fakeHerder{fail: hang, stage: "The worker is currently asleep."}, 500, api.WorkerHealth{Status: "unhealthy", Message: "Worker was unable to handle this request and may be unable to handle other requests. The worker is currently asleep."}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, nil)
				s.AddFlow("a", "b", &fakeHerder{}, false)
				s.AddFlow("b", "a", test.herder, false)
				began := time.Now()
				w := ask(s, "GET", "/health", "")
				var got api.WorkerHealth
				if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != test.status || got != test.health {
					t.Errorf("got %s", shown(w))
				}
				if test.status == 500 && time.Since(began) != 10*time.Second {
					t.Errorf("after %s", time.Since(began))
				}
			})
		})
	}
}

func TestRequestsTimeOutWithTheStage(t *testing.T) {
	for stage, message := range map[string]string{
		"": "Request timed out",
		"The worker is currently flushing updates to the status topic, which began at 2024-01-01T00:00:00Z.": "Request timed out. The worker is currently flushing updates to the status topic, which began at 2024-01-01T00:00:00Z.",
	} {
		for _, request := range [][2]string{{"GET", "/connectors/hb/status"}, {"DELETE", "/connectors/hb"}} {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, nil)
				s.SetHerder(&fakeHerder{stage: stage, fail: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }})
				began := time.Now()
				w := ask(s, request[0], request[1], "")
				want := "< 500\n< Content-Type: application/json\n" + `{"error_code":500,"message":"` + message + `"}`
				if d := cmp.Diff(want, shown(w)); d != "" || time.Since(began) != 90*time.Second {
					t.Errorf("after %s: %s", time.Since(began), d)
				}
			})
		}
	}
}

func TestATimeOutTellsWhatTheRequestItselfWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, nil)
		s.SetHerder(&fakeHerder{stage: "The worker is currently asleep.", fail: func(ctx context.Context, _ string) error {
			herder.EnterStage(ctx, "stopping the connector")()
			herder.EnterStage(ctx, "starting the connector")
			<-ctx.Done()
			return ctx.Err()
		}})
		w := ask(s, "DELETE", "/connectors/hb", "")
		want := "< 500\n< Content-Type: application/json\n" + `{"error_code":500,"message":"Request timed out. The worker is currently starting the connector, which began at 2000-01-01T00:00:00.000Z."}`
		if d := cmp.Diff(want, shown(w)); d != "" {
			t.Error(d)
		}
	})
}

func TestATestMayShortenTheTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var limit time.Duration
		s := newServer(t, func(o *Options) { o.Limit = func() time.Duration { return limit } })
		s.SetHerder(&fakeHerder{fail: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }})
		for _, now := range []struct{ limit, request, health time.Duration }{
			{0, 90 * time.Second, 10 * time.Second},
			{time.Second, time.Second, time.Second},
			{time.Minute, time.Minute, 10 * time.Second},
			{0, 90 * time.Second, 10 * time.Second},
		} {
			limit = now.limit
			for path, want := range map[string]time.Duration{"/connectors/hb/status": now.request, "/health": now.health} {
				began := time.Now()
				w := ask(s, "GET", path, "")
				if took := time.Since(began); w.Code != 500 || took != want {
					t.Errorf("limit %s: GET %s answered %d after %s, want 500 after %s", limit, path, w.Code, took, want)
				}
			}
		}
	})
}

func TestWritesGoOnWhenTheClientHasGoneAndReadsDoNot(t *testing.T) {
	for method, want := range map[string]error{http.MethodGet: context.Canceled, http.MethodDelete: nil} {
		ctx, cancel := context.WithCancel(t.Context())
		var seen error
		s := newServer(t, nil)
		s.SetHerder(&fakeHerder{fail: func(ctx context.Context, _ string) error { cancel(); seen = ctx.Err(); return nil }})
		s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, method, "/connectors/hb", nil))
		if seen != want {
			t.Errorf("%s: got %v", method, seen)
		}
	}
}

func TestLargeBodiesAreRefused(t *testing.T) {
	s := newServer(t, func(o *Options) { o.MaxBody = 100 })
	s.SetHerder(&fakeHerder{})
	long := func(n int) string { return `[{"k":"` + strings.Repeat("x", n) + `"}]` }
	want := "< 413\n< Content-Type: application/json\n" + `{"error_code":413,"message":"HTTP 413 Request Entity Too Large"}`
	for _, path := range []string{"/connectors", "/connectors/hb/tasks"} {
		w := ask(s, "POST", path, long(2000))
		w.Header().Del("Connection")
		if d := cmp.Diff(want, shown(w)); d != "" {
			t.Error(path, d)
		}
	}
	// Requests between workers may be longer: this one fails for its signature.
	if w := ask(s, "POST", "/connectors/hb/tasks", long(1000)); w.Code != 400 {
		t.Error(shown(w))
	}
}

func TestAPanicIsAnErrorOfThatRequestAlone(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	s.SetHerder(&fakeHerder{fail: func(context.Context, string) error { panic("boom") }})
	want := "< 500\n< Content-Type: application/json\n" + `{"error_code":500,"message":"Internal error: boom"}`
	if d := cmp.Diff(want, shown(ask(s, "DELETE", "/connectors/hb", ""))); d != "" {
		t.Error(d)
	}
	if !strings.Contains(log.String(), "panic=boom") {
		t.Error(log.String())
	}
}

func TestUnknownFlowsAreNamed(t *testing.T) {
	s := newServer(t, nil)
	s.AddFlow("a", "b", &fakeHerder{}, false)
	for path, message := range map[string]string{
		"/b/a/connectors/hb": "No replication flow found for source 'b' and target 'a'",
		"/connectors":        "HTTP 404 Not Found",
	} {
		want := "< 404\n< Content-Type: application/json\n" + `{"error_code":404,"message":"` + message + `"}`
		if d := cmp.Diff(want, shown(ask(s, "GET", path, ""))); d != "" {
			t.Error(d)
		}
	}
}

func TestShutdownAwaitsRunningRequestsAndThenCutsThemOff(t *testing.T) {
	for name, patient := range map[string]bool{"patient": true, "impatient": false} {
		t.Run(name, func(t *testing.T) {
			entered, release := make(chan struct{}), make(chan struct{})
			result := make(chan error, 1)
			s := newServer(t, nil)
			s.SetHerder(&fakeHerder{fail: func(ctx context.Context, _ string) error {
				close(entered)
				select {
				case <-release:
				case <-ctx.Done():
				}
				result <- ctx.Err()
				return ctx.Err()
			}})
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			transport := &http.Transport{DisableKeepAlives: true}
			answered := make(chan error, 1)
			go func() {
				answered <- (&api.Client{BaseURL: s.URLs()[0], HTTP: &http.Client{Transport: transport}}).Delete(context.Background(), "hb")
			}()
			<-entered
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if patient {
				close(release)
			} else {
				cancel()
			}
			err := s.Shutdown(ctx)
			if patient && err != nil || !patient && err == nil {
				t.Errorf("shutdown: %v", err)
			}
			if err := <-result; (err == nil) != patient {
				t.Errorf("the herder saw %v", err)
			}
			if err := <-answered; (err == nil) != patient {
				t.Errorf("the client saw %v", err)
			}
			if !patient {
				close(release)
			}
		})
	}
}

func TestAFlowThatIsAddedAgainReplacesWhatItHad(t *testing.T) {
	s := newServer(t, nil)
	s.AddFlow("a", "b", &fakeHerder{fail: always(&herder.NotReadyError{Message: "gone"})}, false)
	s.AddFlow("b", "a", &fakeHerder{}, false)
	s.AddFlow("a", "b", &fakeHerder{}, false)
	for _, path := range []string{"/health", "/a/b/connectors"} {
		if w := ask(s, "GET", path, ""); w.Code != http.StatusOK {
			t.Errorf("GET %s is answered by the herder that was replaced: %s", path, shown(w))
		}
	}
}

func TestAFlowThatIsExpectedIsStarting(t *testing.T) {
	s := newServer(t, nil)
	s.ExpectFlow("a", "b", true)
	s.ExpectFlow("b", "a", false)
	s.AddFlow("b", "a", &fakeHerder{}, false)
	check := func(want map[string]int) {
		t.Helper()
		for path, code := range want {
			if w := ask(s, "GET", path, ""); w.Code != code {
				t.Errorf("GET %s, want %d: %s", path, code, shown(w))
			}
		}
	}
	check(map[string]int{"/a/b/connectors": 503, "/connectors": 503, "/health": 503, "/b/a/connectors": 200, "/a/c/connectors": 404})
	s.AddFlow("a", "b", &fakeHerder{}, true)
	check(map[string]int{"/a/b/connectors": 200, "/connectors": 200, "/health": 200, "/b/a/connectors": 200, "/a/c/connectors": 404})
}

// slowBody gives its bytes, tells that, and then waits.
type slowBody struct {
	io.Reader
	given chan<- struct{}
	more  <-chan struct{}
}

func (b slowBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		select {
		case b.given <- struct{}{}:
		case <-b.more:
		}
		<-b.more
	}
	return n, err
}

func TestRequestsTogetherHoldNoMoreThanALimit(t *testing.T) {
	s := newServer(t, func(o *Options) { o.MaxBody = maxBodies })
	s.SetHerder(&fakeHerder{})
	given, more := make(chan struct{}), make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		r := httptest.NewRequest("POST", "/connectors/hb/tasks", slowBody{strings.NewReader(strings.Repeat(" ", maxBodies)), given, more})
		s.Handler().ServeHTTP(httptest.NewRecorder(), r)
	})
	<-given
	want := "< 503\n< Content-Type: application/json\n< Retry-After: 2\n" + `{"error_code":503,"message":"` + messageBusy + `"}`
	if d := cmp.Diff(want, shown(ask(s, "POST", "/connectors", `{"name":"x","config":{}}`))); d != "" {
		t.Error(d)
	}
	if w := ask(s, "GET", "/connectors", ""); w.Code != 200 {
		t.Errorf("a request without a body: %s", shown(w))
	}
	close(more)
	asking.Wait()
	if w := ask(s, "PUT", "/connectors/hb/config", `{}`); w.Code != 200 {
		t.Errorf("afterwards: %s", shown(w))
	}
	if held := s.bodies.held.Load(); held != 0 {
		t.Errorf("%d bytes are held by nobody", held)
	}
}
