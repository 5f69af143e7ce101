package integration

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"tributary/connect/group/protocol"
	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// overheard is a request between workers as it was on the wire.
type overheard struct {
	path   string
	header http.Header
	body   []byte
}

// Between the leader and another worker sits somebody who reads along, and then sends again what was read.
func TestARecordedRequestBetweenWorkersIsOfNoUse(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, map[string]int32{"orders": 4})
	source.Produce("orders", cluster.Numbered(0, 100, 4)...)

	var mu sync.Mutex
	var leaderURL *url.URL
	var heard []overheard
	wire := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		to := leaderURL
		mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil || to == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/tasks") {
			mu.Lock()
			heard = append(heard, overheard{r.URL.Path, r.Header.Clone(), body})
			mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		httputil.NewSingleHostReverseProxy(to).ServeHTTP(w, r)
	}))
	t.Cleanup(wire.Close)
	_, port, _ := strings.Cut(wire.Listener.Addr().String(), ":")
	leader := cluster.Start(t, cluster.Distributed, workerFile(target, "rest.advertised.host.name=127.0.0.1", "rest.advertised.port="+port))
	awaitHealthy(t, leader)
	parsed, err := url.Parse(leader.URL())
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	leaderURL = parsed
	mu.Unlock()
	other := cluster.Start(t, cluster.Distributed, workerFile(target))
	awaitHealthy(t, other)
	for _, name := range []string{"one", "two"} {
		config := mirrorConfig(source, target, 2)
		config["source.cluster.alias"] = name
		leader.API().Create(name, config)
	}
	for _, name := range []string{"one", "two"} {
		leader.API().AwaitState(name, "RUNNING", 2)
		target.AwaitRecords(name+".orders", 100, cluster.Patience)
	}
	kafkatest.Await(t, cluster.Patience, "a request between the workers", func() (bool, string) {
		mu.Lock()
		defer mu.Unlock()
		return len(heard) > 0, ""
	})
	mu.Lock()
	request := heard[len(heard)-1]
	mu.Unlock()
	elsewhere := map[string]string{"/connectors/one/tasks": "/connectors/two/tasks", "/connectors/two/tasks": "/connectors/one/tasks"}[request.path]
	before := ask(t, http.MethodGet, leader.URL()+elsewhere, "")
	for _, c := range []struct {
		what, path string
		change     func(header http.Header, body []byte) []byte
		status     int
		says       string
	}{
		{"as it was", request.path, func(_ http.Header, body []byte) []byte { return body }, 403, "sent before"},
		{"to another connector", elsewhere, func(_ http.Header, body []byte) []byte { return body }, 403, "invalid signature"},
		{"with another body", request.path, func(http.Header, []byte) []byte { return []byte("[]") }, 403, "invalid signature"},
		{"without its seal", request.path, func(h http.Header, body []byte) []byte { h.Del(protocol.SealHeader); return body }, 403, "invalid signature"},
		{"with a seal of another time", request.path, func(h http.Header, body []byte) []byte {
			h.Set(protocol.SealHeader, "1;1000000000000;AAAAAAAAAAAAAAAAAAAAAA")
			return body
		}, 403, "invalid signature"},
		{"without a signature", request.path, func(h http.Header, body []byte) []byte { h.Del(protocol.SignatureHeader); return body }, 400, "missing required signature"},
	} {
		header := request.header.Clone()
		body := c.change(header, request.body)
		again, err := http.NewRequestWithContext(t.Context(), http.MethodPost, leader.URL()+c.path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		again.Header = header
		response, err := http.DefaultClient.Do(again)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != c.status || !strings.Contains(string(answer), c.says) {
			t.Errorf("%s: %d %s, %v; want %d with %q", c.what, response.StatusCode, answer, err, c.status, c.says)
		}
	}
	if after := ask(t, http.MethodGet, leader.URL()+elsewhere, ""); after != before {
		t.Errorf("the tasks of %s changed from %s to %s", elsewhere, before, after)
	}
}
