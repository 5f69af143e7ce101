package distributed

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"tributary/connect/group/protocol"
)

// javaWorker answers internal requests as Java's worker does, which knows the signature of a body alone.
func javaWorker(t *testing.T, key []byte, seen *[]http.Header) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		*seen = append(*seen, req.Header.Clone())
		var body []byte
		if req.Body != nil {
			body = make([]byte, req.ContentLength)
			_, _ = req.Body.Read(body)
		}
		answer := httptest.NewRecorder()
		plain := protocol.SignedRequest{Signature: req.Header.Get(protocol.SignatureHeader), Algorithm: req.Header.Get(protocol.SignatureAlgorithmHeader), Body: body}
		if err := protocol.Verify(protocol.Sessioned, key, []string{protocol.DefaultAlgorithm}, plain); err != nil {
			answer.WriteHeader(http.StatusForbidden)
			_, _ = answer.WriteString(`{"error_code":403,"message":"Internal request contained invalid signature."}`)
		} else {
			answer.WriteHeader(http.StatusNoContent)
		}
		return answer.Result(), nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return r(req) }

func TestAJavaLeaderGetsRequestsAsJavaSignsThemOnceItHasRefusedASeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", nil)
		c.put(t.Context(), "m", config("n", "1", "v", "1")) // by then there is a key
		key, _ := h.snapshot().SessionKey()
		var seen []http.Header
		h.opts.HTTP = &http.Client{Transport: javaWorker(t, key.Key, &seen)}
		round := h.view.Load().round
		for range 2 {
			if _, err := h.ask(t.Context(), round, "http://java:8083/", http.MethodPost, "/connectors/m/tasks", []byte(`[{"a":"b"}]`)); err != nil {
				t.Fatal(err)
			}
		}
		var seals []string
		for _, header := range seen {
			seals = append(seals, map[bool]string{true: "sealed", false: "plain"}[header.Get(protocol.SealHeader) != ""])
		}
		if got := strings.Join(seals, " "); got != "sealed plain plain" {
			t.Errorf("sent %s", got)
		}
		// What Java does not have never goes without a seal, whatever the answer.
		seen = nil
		if _, err := h.ask(t.Context(), roundView{Generation: round.Generation + 1, Protocol: round.Protocol}, "http://java:8083/", http.MethodPost, "/internal/departures", []byte(`{"member":"m"}`)); err == nil || len(seen) != 1 {
			t.Errorf("%d requests, %v", len(seen), err)
		}
	})
}

func TestAnInternalRequestThatCameBeforeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		h := c.start("a", exactlyOnceWorker(t, c, nil))
		c.put(t.Context(), "m", config("name", "m", "connector.class", "Plain", "n", "1", "v", "1"))
		request := func(target, body string) http.Header {
			t.Helper()
			method, uri, _ := strings.Cut(target, " ")
			parsed, err := url.Parse("http://leader" + uri)
			if err != nil {
				t.Fatal(err)
			}
			req := &http.Request{Method: method, URL: parsed, Header: http.Header{}}
			if err := h.sign(h.view.Load().round, req, []byte(body), true); err != nil {
				t.Fatal(err)
			}
			return req.Header
		}
		for name, call := range map[string]func(header http.Header) error{
			"tasks": func(header http.Header) error {
				return h.PutTaskConfigs(t.Context(), "m", []map[string]string{{"n": "1"}}, protocol.Received(header, "POST /connectors/m/tasks", []byte(`[{"n":"1"}]`)))
			},
			"fence": func(header http.Header) error {
				return h.FenceZombies(t.Context(), "m", protocol.Received(header, "PUT /connectors/m/fence", nil))
			},
		} {
			header := request(map[string]string{"tasks": "POST /connectors/m/tasks", "fence": "PUT /connectors/m/fence"}[name], map[string]string{"tasks": `[{"n":"1"}]`, "fence": ""}[name])
			if err := call(header); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			var refused *protocol.SignatureError
			if err := call(header); !errors.As(err, &refused) || refused.Status != http.StatusForbidden || !strings.Contains(err.Error(), "sent before") {
				t.Errorf("%s once more: %v", name, err)
			}
		}
	})
}
