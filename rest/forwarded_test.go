package rest

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tributary/connect/group/protocol"
	"tributary/connect/herder"
)

// signingHerder is a member of a group whose session key is key.
type signingHerder struct {
	*fakeHerder
	key string
}

func (h signingHerder) SignRequest(target string, body []byte) (protocol.SignedRequest, error) {
	seal, err := protocol.NewSeal(rand.Reader, time.Now())
	if err != nil {
		return protocol.SignedRequest{}, err
	}
	return protocol.SignedRequest{Seal: seal, Target: target, Body: body}.Signed([]byte(h.key), protocol.DefaultAlgorithm)
}

func (h signingHerder) VerifyRequest(request protocol.SignedRequest) error {
	return protocol.Verify(protocol.Sessioned, []byte(h.key), []string{protocol.DefaultAlgorithm}, request)
}

func (h signingHerder) VerifyInternal(request protocol.SignedRequest) error {
	return h.VerifyRequest(request)
}

// startNode starts a node of a dedicated MirrorMaker with the flow a->b, whose peers
// have a listener of their own.
func startNode(t *testing.T, h herder.Herder) *Server {
	t.Helper()
	s := newServer(t, func(o *Options) { o.PeerListeners = []string{"http://127.0.0.1:0"} })
	s.AddFlow("a", "b", h, true)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return s
}

// do sends a request and returns status and body of the answer.
func do(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

func TestPeerListenersAreAdvertisedAndServeSignedRequestsAlone(t *testing.T) {
	h := &fakeHerder{}
	s := startNode(t, signingHerder{h, "key"})
	if got := s.PeerURLs(); len(got) != 1 || s.AdvertisedURL() != got[0]+"/" || s.AdvertisedURL() == s.URLs()[0]+"/" {
		t.Errorf("advertised %s, peers %v, public %v", s.AdvertisedURL(), got, s.URLs())
	}
	for _, path := range []string{"/", "/health", "/metrics", "/openapi.json", "/connector-plugins", "/admin/loggers", "/a/c/connectors"} {
		if status, _ := do(t, http.MethodGet, s.PeerURLs()[0]+path, ""); status != 404 {
			t.Errorf("GET %s: %d, want 404", path, status)
		}
	}
	for _, request := range []string{"GET /connectors", "GET /a/b/connectors/hb/status", "DELETE /a/b/connectors/hb", "PUT /a/b/connectors/hb/pause",
		"PUT /a/b/connectors/hb/fence", "POST /a/b/connectors/hb/replication"} {
		method, path, _ := strings.Cut(request, " ")
		if status, answer := do(t, method, s.PeerURLs()[0]+path, ""); status != 400 || !strings.Contains(answer, "missing required signature") {
			t.Errorf("%s without a signature: %d %s", request, status, answer)
		}
	}
	for _, call := range h.asked() {
		if !strings.HasPrefix(call, "FenceZombies") && !strings.HasPrefix(call, "LocalReplication") { // which look at the signature themselves
			t.Errorf("the herder was asked: %s", call)
		}
	}
}

func TestRequestsOfClientsReachTheLeaderOverItsPeerListener(t *testing.T) {
	leaders := &fakeHerder{}
	leader := startNode(t, signingHerder{leaders, "key"})
	elsewhere := always(&herder.NotLeaderError{LeaderURL: leader.AdvertisedURL()})
	node := startNode(t, signingHerder{&fakeHerder{fail: elsewhere}, "key"})

	for _, test := range []struct {
		method, path, body string
		status             int
		call               string
	}{
		{"PUT", "/a/b/connectors/h%20b%2F1/config", `{"a":"<b>"}`, 200, "PutConnectorConfigh b/1 nonetrue"},
		{"POST", "/connectors/hb/restart?includeTasks=true", "", 202, "RestartConnectorAndTasks{hb true false}"},
		{"DELETE", "/connectors/hb", "", 204, "DeleteConnectorhb"},
	} {
		if status, answer := do(t, test.method, node.URLs()[0]+test.path, test.body); status != test.status {
			t.Errorf("%s %s: %d %s", test.method, test.path, status, answer)
		}
		calls := leaders.asked()
		if got := strings.ReplaceAll(calls[len(calls)-1], "{{hb", "{hb"); got != test.call {
			t.Errorf("%s %s: the leader was asked %s, want %s", test.method, test.path, got, test.call)
		}
	}

	stranger := startNode(t, signingHerder{&fakeHerder{fail: elsewhere}, "another"})
	status, answer := do(t, http.MethodDelete, stranger.URLs()[0]+"/connectors/hb", "")
	if status != 403 || answer != `{"error_code":403,"message":"Sealed internal request contained invalid signature."}` {
		t.Errorf("signed with another key: %d %s", status, answer)
	}
}

func TestASignatureFitsOneRequestAlone(t *testing.T) {
	s := startNode(t, signingHerder{&fakeHerder{}, "key"})
	signed, err := signingHerder{key: "key"}.SignRequest("PUT /a/b/connectors/hb/pause?x=1", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{"PUT", "/a/b/connectors/hb/pause?x=1", "{}", 202},
		{"PUT", "/a/b/connectors/hb/pause?x=2", "{}", 403},
		{"PUT", "/a/b/connectors/hb/pause?x=1", "{ }", 403},
		{"PUT", "/a/b/connectors/hb/stop?x=1", "{}", 403},
		{"GET", "/a/b/connectors/hb/pause?x=1", "{}", 405},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, s.PeerURLs()[0]+test.path, bytes.NewReader([]byte(test.body)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		signed.SetHeaders(request.Header)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != test.status {
			t.Errorf("%s %s %s: %d, want %d", test.method, test.path, test.body, response.StatusCode, test.status)
		}
	}
}
