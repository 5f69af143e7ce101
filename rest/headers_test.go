package rest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// seen are the headers of an answer that the worker's properties ask for.
func seen(s *Server, method, path string, headers ...string) map[string]string {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	out := map[string]string{}
	for name, values := range w.Header() {
		if !slices.Contains([]string{"Content-Type", "Content-Length", "Allow"}, name) && !slices.Contains(browserHeaders, name) {
			out[name] = strings.Join(values, "|")
		}
	}
	return out
}

func TestPagesOfAllowedOriginsMayUseTheAPI(t *testing.T) {
	s := newServer(t, func(o *Options) {
		o.AllowedOrigins, o.AllowedMethods = []string{"http://a.example", `http://.*\.b\.example`}, []string{"GET", "PUT"}
	})
	s.SetHerder(&fakeHerder{})
	preflight := func(origin string) map[string]string {
		return map[string]string{"Vary": "Origin", "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Methods": "GET,PUT",
			"Access-Control-Allow-Headers": "Content-Type", "Access-Control-Max-Age": "60"}
	}
	simple := func(origin string) map[string]string {
		return map[string]string{"Vary": "Origin", "Access-Control-Allow-Origin": origin}
	}
	none := map[string]string{"Vary": "Origin"}
	for name, test := range map[string]struct{ got, want map[string]string }{
		"no origin":             {seen(s, "GET", "/connectors"), none},
		"an allowed one":        {seen(s, "GET", "/connectors", "Origin", "http://a.example"), simple("http://a.example")},
		"an error":              {seen(s, "DELETE", "/connectors/nosuch", "Origin", "http://a.example"), simple("http://a.example")},
		"an unknown path":       {seen(s, "GET", "/nosuch", "Origin", "http://a.example"), simple("http://a.example")},
		"one by its pattern":    {seen(s, "GET", "/connectors", "Origin", "http://x.b.example"), simple("http://x.b.example")},
		"one that only begins":  {seen(s, "GET", "/connectors", "Origin", "http://a.example.evil"), none},
		"a preflight":           {seen(s, "OPTIONS", "/connectors", "Origin", "http://a.example", "Access-Control-Request-Method", "PUT"), preflight("http://a.example")},
		"options, no preflight": {seen(s, "OPTIONS", "/connectors", "Origin", "http://a.example"), simple("http://a.example")},
		"a preflight of others": {seen(s, "OPTIONS", "/connectors", "Origin", "http://evil", "Access-Control-Request-Method", "PUT"), none},
	} {
		if d := cmp.Diff(test.want, test.got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	everybody := newServer(t, func(o *Options) { o.AllowedOrigins = []string{"*"} })
	if got := seen(everybody, "OPTIONS", "/", "Origin", "http://x", "Access-Control-Request-Method", "GET"); got["Access-Control-Allow-Origin"] != "http://x" || got["Access-Control-Allow-Methods"] != "GET,POST,HEAD" {
		t.Errorf("with *: %v", got)
	}
	if _, err := New(Options{AllowedOrigins: []string{"http://("}}); err == nil || !strings.Contains(err.Error(), `access.control.allow.origin has "http://("`) {
		t.Errorf("a pattern that is none: %v", err)
	}
}

func TestHeadersOfThePropertiesAreInEveryAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // for its clock, which begins with the year 2000
		s := newServer(t, func(o *Options) {
			o.ResponseHeaders = `set X-Frame-Options:DENY, "add Cache-Control: no-cache, no-store",setDate X-D: 1000,addDate X-E:-60000, add X-Frame-Options:SAMEORIGIN`
		})
		for _, path := range []string{"/", "/nosuch"} {
			got := seen(s, "GET", path)
			want := map[string]string{"X-Frame-Options": "DENY|SAMEORIGIN", "Cache-Control": "no-cache, no-store",
				"X-D": "Sat, 01 Jan 2000 00:00:01 GMT", "X-E": "Fri, 31 Dec 1999 23:59:00 GMT"}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s: %s", path, d)
			}
		}
	})
	for text, want := range map[string]string{
		"set X":         "it must have the form",
		"set X Y:z":     "it must have the form",
		"set :z":        "it must have the form",
		"drop X:y":      "the action must be set, add, setDate or addDate",
		"setDate X:now": "a number of milliseconds",
	} {
		if _, err := New(Options{ResponseHeaders: text}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "response.http.headers.config") {
			t.Errorf("%q: %v, want …%s…", text, err, want)
		}
	}
}

func TestAdminListenersServeLoggersAndNothingElse(t *testing.T) {
	status := func(base, path string) int {
		t.Helper()
		response, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	for name, test := range map[string]struct {
		listeners       []string
		onMain, onAdmin int
	}{
		"not set": {nil, 200, 0},
		"empty":   {[]string{}, 404, 0},
		"set":     {[]string{"http://127.0.0.1:0"}, 404, 200},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(o *Options) { o.AdminListeners, o.ResponseHeaders = test.listeners, "set X-Frame-Options:DENY" })
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			defer http.DefaultClient.CloseIdleConnections()
			if got := status(s.URLs()[0], "/admin/loggers"); got != test.onMain {
				t.Errorf("main listener: %d, want %d", got, test.onMain)
			}
			admin := s.AdminURLs()
			if len(admin) != len(test.listeners) {
				t.Fatalf("admin listeners %v", admin)
			}
			if len(admin) == 0 {
				return
			}
			if got := status(admin[0], "/admin/loggers/root"); got != test.onAdmin {
				t.Errorf("admin listener: %d, want %d", got, test.onAdmin)
			}
			for _, path := range []string{"/", "/connectors", "/health", "/metrics"} {
				if got := status(admin[0], path); got != 404 {
					t.Errorf("%s at the admin listener: %d, want 404", path, got)
				}
			}
			response, err := http.Get(admin[0] + "/admin/loggers")
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if got := response.Header.Get("X-Frame-Options"); got != "" {
				t.Errorf("the admin listener has X-Frame-Options %q", got)
			}
		})
	}
}

func TestAdminListenerThatCannotBeBoundLeavesNoneBound(t *testing.T) {
	taken := newServer(t, nil)
	if err := taken.Start(); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, func(o *Options) { o.AdminListeners = taken.URLs() })
	if err := s.Start(); err == nil || !strings.Contains(err.Error(), "listen at "+taken.URLs()[0]) {
		t.Fatalf("start: %v", err)
	}
	again := newServer(t, func(o *Options) { o.Listeners = s.URLs() })
	if err := again.Start(); err != nil {
		t.Errorf("the main listener is still bound: %v", err)
	}
	if err := again.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
