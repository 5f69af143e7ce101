package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/api"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
)

// received is what a worker that stands for the leader got.
type received struct {
	Method, URI, Body                                 string
	Accept, Agent, Authorization, ContentType, Secret string
}

// leader answers every request in the same way and keeps the last one.
func leader(t *testing.T, status int, header http.Header, body string) (url string, last *atomic.Pointer[received]) {
	t.Helper()
	last = &atomic.Pointer[received]{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		last.Store(&received{r.Method, r.RequestURI, string(content), r.Header.Get("Accept"), r.Header.Get("User-Agent"),
			r.Header.Get("Authorization"), r.Header.Get("Content-Type"), r.Header.Get("X-Secret")})
		for k, v := range header {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/", last
}

func always(err error) func(context.Context, string) error {
	return func(context.Context, string) error { return err }
}

func ask(s *Server, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://worker:8083"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestRequestsAreForwardedToTheLeaderAsJavaDoes(t *testing.T) {
	info := `{"name":"hb","config":{"z":"1","a":"2"},"tasks":[],"type":"source","later":1}`
	status := `{"name":"hb","connector":{"state":"RESTARTING","worker_id":"w:1"},"tasks":[],"type":"source"}`
	for name, test := range map[string]struct {
		method, path, body string
		leaderStatus       int
		leaderBody         string
		wantURI, wantBody  string
		answer             string
	}{
		"create": {"POST", "/connectors", `{"name":" h b/1 ","config":{"a":1,"z":null},"initial_state":"stopped"}`, 201, info,
			"/connectors?forward=true", `{"name":" h b/1 ","config":{"a":"1","name":"h b/1","z":null},"initial_state":"STOPPED"}`,
			"< 201\n< Content-Type: application/json\n< Location: http://worker:8083/connectors/h%20b%2F1\n" + info},
		"put creates": {"PUT", "/connectors/h%20b%2F1/config", `{"a":"<"}`, 201, info,
			"/connectors/h%20b%2F1/config?forward=true", `{"a":"<","name":"h b/1"}`,
			"< 201\n< Content-Type: application/json\n< Location: http://worker:8083/connectors/h%20b%2F1\n" + info},
		"put updates": {"PUT", "/connectors/hb/config", `{"a":"b"}`, 200, info,
			"/connectors/hb/config?forward=true", `{"a":"b","name":"hb"}`, "< 200\n< Content-Type: application/json\n" + info},
		"patch": {"PATCH", "/connectors/h%20b%2F1/config", `{"z":null,"a":1}`, 200, info,
			"/connectors/h%20b%2F1/config?forward=true", `{"a":"1","z":null}`, "< 200\n< Content-Type: application/json\n" + info},
		"alter offsets": {"PATCH", "/connectors/hb/offsets", `{"offsets":[{"partition":{"b":1.0,"a":9007199254740993},"offset":null}]}`, 200, `{"message":"m"}`,
			"/connectors/hb/offsets?forward=true", `{"offsets":[{"partition":{"b":1.0,"a":9007199254740993},"offset":null}]}`,
			"< 200\n< Content-Type: application/json\n" + `{"message":"m"}`},
		"reset offsets": {"DELETE", "/connectors/hb/offsets?forward=true", "", 200, `{"message":"m"}`,
			"/connectors/hb/offsets?forward=false", "", "< 200\n< Content-Type: application/json\n" + `{"message":"m"}`},
		"delete":       {"DELETE", "/connectors/hb", "", 204, "", "/connectors/hb?forward=true", "", "< 204"},
		"stop":         {"PUT", "/connectors/hb/stop", "", 204, "", "/connectors/hb/stop?forward=true", "", "< 204"},
		"restart":      {"POST", "/connectors/hb/restart", "", 204, "", "/connectors/hb/restart?forward=true", "", "< 204"},
		"restart task": {"POST", "/connectors/hb/tasks/3/restart/", "", 204, "", "/connectors/hb/tasks/3/restart?forward=true", "", "< 204"},
		"restart all": {"POST", "/connectors/hb/restart?onlyFailed=TRUE", "", 202, status,
			"/connectors/hb/restart?forward=true&includeTasks=false&onlyFailed=true", "", "< 202\n< Content-Type: application/json\n" + status},
		"second hop":      {"DELETE", "/connectors/hb?forward=true", "", 204, "", "/connectors/hb?forward=false", "", "< 204"},
		"refusal":         {"DELETE", "/connectors/hb", "", 404, `{"error_code":404,"message":"gone"}`, "/connectors/hb?forward=true", "", "< 404\n< Content-Type: application/json\n" + `{"error_code":404,"message":"gone"}`},
		"foreign status":  {"DELETE", "/connectors/hb", "", 307, "", "/connectors/hb?forward=true", "", "< 500\n< Content-Type: application/json\n" + `{"error_code":500,"message":"Unexpected status code when handling forwarded request: 307"}`},
		"foreign success": {"POST", "/connectors", `{"name":"x","config":{}}`, 200, "<html>", "/connectors?forward=true", `{"name":"x","config":{"name":"x"}}`, ""},
		"foreign refusal": {"DELETE", "/connectors/hb", "", 502, "<html>", "/connectors/hb?forward=true", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			url, last := leader(t, test.leaderStatus, http.Header{"Location": {"http://elsewhere/"}}, test.leaderBody)
			s := newServer(t, nil)
			s.SetHerder(&fakeHerder{fail: always(&herder.NotLeaderError{LeaderURL: url})})
			w := ask(s, test.method, test.path, test.body, "Authorization", "Basic eA==", "X-Secret", "s")
			want := received{Method: test.method, URI: test.wantURI, Body: test.wantBody, Accept: "application/json", Agent: "kafka-connect", Authorization: "Basic eA=="}
			if test.wantBody != "" {
				want.ContentType = "application/json"
			}
			if d := cmp.Diff(&want, last.Load()); d != "" {
				t.Error("the leader got:", d)
			}
			if test.answer == "" {
				if w.Code != 500 || !strings.Contains(w.Body.String(), `"message":"IO Error trying to forward REST request: `) {
					t.Errorf("got %s", shown(w))
				}
			} else if d := cmp.Diff(test.answer, shown(w)); d != "" {
				t.Error("the client got:", d)
			}
		})
	}
}

func TestRestartsAreForwardedToTheOwner(t *testing.T) {
	url, last := leader(t, 204, nil, "")
	s := newServer(t, nil)
	s.SetHerder(&fakeHerder{fail: always(fmt.Errorf("restart: %w", &herder.NotAssignedError{OwnerURL: url}))})
	if w := ask(s, "POST", "/connectors/hb/tasks/0/restart?forward=true", ""); w.Code != 204 {
		t.Error(shown(w))
	}
	if got := last.Load(); got == nil || got.URI != "/connectors/hb/tasks/0/restart?forward=false" {
		t.Errorf("got %+v", got)
	}
}

// Flows have a path of their own on every worker, also when they are asked for at the
// root.
func TestFlowsForwardUnderTheirPath(t *testing.T) {
	for _, path := range []string{"/connectors/hb/stop", "/a%20b/c%2Fd/connectors/hb/stop"} {
		url, last := leader(t, 204, nil, "")
		s := newServer(t, nil)
		s.AddFlow("a b", "c/d", &fakeHerder{fail: always(&herder.NotLeaderError{LeaderURL: url})}, true)
		if w := ask(s, "PUT", path, ""); w.Code != 204 {
			t.Error(shown(w))
		}
		if got := last.Load(); got == nil || got.URI != "/a%20b/c%2Fd/connectors/hb/stop?forward=true" {
			t.Errorf("got %+v", got)
		}
	}
}

func TestInternalRequestsAreForwardedWithSignatureAndExactBody(t *testing.T) {
	leading := newServer(t, nil)
	fake := &fakeHerder{}
	leading.SetHerder(fake)
	remote := httptest.NewServer(leading.Handler())
	defer remote.Close()
	s := newServer(t, nil)
	s.SetHerder(&fakeHerder{fail: always(&herder.NotLeaderError{LeaderURL: remote.URL})})

	body := `[ {"b":"<1>", "a":2} ]`
	signature, err := protocol.Sign([]byte("key"), protocol.DefaultAlgorithm, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	w := ask(s, "POST", "/connectors/hb/tasks", body, protocol.SignatureHeader, signature, protocol.SignatureAlgorithmHeader, protocol.DefaultAlgorithm)
	if w.Code != 204 {
		t.Fatal(shown(w))
	}
	want := []string{"PutTaskConfigshb[map[a:2 b:<1>]] " + signature + protocol.DefaultAlgorithm + body}
	got := fake.asked()
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], " ", "")
	}
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], " ", "")
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestALeaderThatCannotBeReachedIsAnIOError(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	s := newServer(t, nil)
	s.SetHerder(&fakeHerder{fail: always(&herder.NotLeaderError{LeaderURL: gone.URL})})
	w := ask(s, "DELETE", "/connectors/hb", "")
	var message api.ErrorMessage
	if err := json.Unmarshal(w.Body.Bytes(), &message); err != nil {
		t.Fatal(err)
	}
	if w.Code != 500 || !strings.HasPrefix(message.Message, "IO Error trying to forward REST request: dial tcp ") || !strings.HasSuffix(message.Message, "connection refused") {
		t.Error(shown(w))
	}
}

// settling answers with err until some time has passed since its creation.
func settling(after time.Duration, err error) *fakeHerder {
	began := time.Now()
	return &fakeHerder{fail: func(context.Context, string) error {
		if time.Since(began) < after {
			return err
		}
		return nil
	}}
}

func TestWritesWaitForShortRebalances(t *testing.T) {
	writes := [][3]string{
		{"POST", "/connectors", `{"name":"new","config":{}}`}, {"PUT", "/connectors/hb/config", `{}`}, {"DELETE", "/connectors/hb"}, {"PUT", "/connectors/hb/stop"},
		{"POST", "/connectors/hb/restart"}, {"POST", "/connectors/hb/restart?includeTasks=true"}, {"POST", "/connectors/hb/tasks/0/restart"},
		{"DELETE", "/connectors/hb?forward=false"},
	}
	for name, err := range map[string]error{
		"rebalance": &herder.RebalanceError{Message: "x"}, "no leader": &herder.NotLeaderError{}, "no owner": &herder.NotAssignedError{},
	} {
		for _, write := range writes {
			t.Run(name+" "+write[0]+write[1], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newServer(t, nil)
					s.SetHerder(settling(7*time.Second, err))
					began := time.Now()
					if w := ask(s, write[0], write[1], write[2]); w.Code/100 != 2 {
						t.Error(shown(w))
					}
					if waited := time.Since(began); waited < 7*time.Second || waited > 8*time.Second {
						t.Errorf("answered after %s", waited)
					}
				})
			})
		}
	}
}

func TestWritesAreRefusedWhenTheRebalanceLasts(t *testing.T) {
	for name, test := range map[string]struct {
		err           error
		path, message string
	}{
		"rebalance":            {&herder.RebalanceError{Message: "x"}, "/connectors/hb", "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)"},
		"no leader":            {&herder.NotLeaderError{}, "/connectors/hb", "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway."},
		"no leader, last hop":  {&herder.NotLeaderError{}, "/connectors/hb?forward=false", "Cannot complete request because of a conflicting operation (e.g. worker rebalance)"},
		"wrong hop, no matter": {&herder.NotLeaderError{}, "/connectors/hb?forward=maybe", "Cannot complete request because of a conflicting operation (e.g. worker rebalance)"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, nil)
				s.SetHerder(&fakeHerder{fail: always(test.err)})
				began := time.Now()
				w := ask(s, "DELETE", test.path, "")
				want := "< 409\n< Content-Type: application/json\n< Retry-After: 2\n" + `{"error_code":409,"message":"` + test.message + `"}`
				if d := cmp.Diff(want, shown(w)); d != "" {
					t.Error(d)
				}
				if waited := time.Since(began); waited < 6*time.Second || waited > 8*time.Second {
					t.Errorf("refused after %s", waited)
				}
			})
		})
	}
}

func TestTheLastHopDoesNotForward(t *testing.T) {
	s := newServer(t, nil)
	s.SetHerder(&fakeHerder{fail: always(&herder.NotLeaderError{LeaderURL: "http://192.0.2.1:1/"})})
	w := ask(s, "DELETE", "/connectors/hb?forward=false", "")
	want := "< 409\n< Content-Type: application/json\n< Retry-After: 2\n" + `{"error_code":409,"message":"Cannot complete request because of a conflicting operation (e.g. worker rebalance)"}`
	if d := cmp.Diff(want, shown(w)); d != "" {
		t.Error(d)
	}
}

func TestReadsAndOtherErrorsAreNotTriedAgain(t *testing.T) {
	for _, test := range []struct {
		method, path string
		err          error
		status       int
	}{
		{"GET", "/connectors/hb", &herder.RebalanceError{Message: "x"}, 500},
		{"PUT", "/connectors/hb/pause", errors.New("disk"), 500},
		{"DELETE", "/connectors/hb", &herder.ConflictError{Message: "x"}, 409},
		{"DELETE", "/connectors/hb", &herder.NotReadyError{Message: "x"}, 503},
	} {
		fake := &fakeHerder{fail: always(test.err)}
		s := newServer(t, nil)
		s.SetHerder(fake)
		if w := ask(s, test.method, test.path, ""); w.Code != test.status || w.Header().Get("Retry-After") != "" {
			t.Error(test.path, shown(w))
		}
		if calls := fake.asked(); len(calls) != 1 {
			t.Errorf("%s: calls %v", test.path, calls)
		}
	}
}
