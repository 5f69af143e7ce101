package rest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
)

// openapiDoc is what the tests need of an OpenAPI document.
type openapiDoc struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]struct {
		Servers []struct {
			URL string `json:"url"`
		} `json:"servers"`
		Parameters []openapiParameter `json:"parameters"`
		Get        *openapiOperation  `json:"get"`
		Put        *openapiOperation  `json:"put"`
		Post       *openapiOperation  `json:"post"`
		Patch      *openapiOperation  `json:"patch"`
		Delete     *openapiOperation  `json:"delete"`
	} `json:"paths"`
}

type openapiParameter struct {
	Name string `json:"name"`
	In   string `json:"in"`
}

type openapiOperation struct {
	ID        string                     `json:"operationId"`
	Responses map[string]json.RawMessage `json:"responses"`
}

func readOpenAPI(t *testing.T) (doc openapiDoc) {
	t.Helper()
	w := httptest.NewRecorder()
	newServer(t, nil).Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOpenAPIDocumentHasTheRoutesAndNoOthers(t *testing.T) {
	const flow = "/{source}/{target}"
	var routes, flows []string
	err := chi.Walk(newServer(t, nil).router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if below, ok := strings.CutPrefix(route, flow); ok {
			flows = append(flows, method+" "+below)
		} else {
			routes = append(routes, method+" "+route)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var documented, documentedFlows, ids []string
	for path, item := range readOpenAPI(t).Paths {
		for method, operation := range map[string]*openapiOperation{"GET": item.Get, "PUT": item.Put, "POST": item.Post, "PATCH": item.Patch, "DELETE": item.Delete} {
			if operation == nil {
				continue
			}
			documented = append(documented, method+" "+path)
			if len(item.Servers) == 2 && item.Servers[1].URL == flow {
				documentedFlows = append(documentedFlows, method+" "+path)
			}
			ids = append(ids, operation.ID)
		}
		var inPath, declared []string
		for part := range strings.SplitSeq(path, "/") {
			if name, ok := strings.CutPrefix(part, "{"); ok {
				inPath = append(inPath, strings.TrimSuffix(name, "}"))
			}
		}
		for _, p := range item.Parameters {
			declared = append(declared, p.Name)
		}
		if !slices.Equal(inPath, declared) {
			t.Errorf("%s declares the parameters %v", path, declared)
		}
	}
	for _, list := range [][]string{routes, flows, documented, documentedFlows, ids} {
		slices.Sort(list)
	}
	if d := cmp.Diff(routes, documented); d != "" {
		t.Errorf("routes and paths differ: %s", d)
	}
	if d := cmp.Diff(flows, documentedFlows); d != "" {
		t.Errorf("routes and paths of flows differ: %s", d)
	}
	if unique := slices.Compact(slices.Clone(ids)); len(unique) != len(ids) || len(ids) < 30 {
		t.Errorf("operation ids %v", ids)
	}
}

func TestOpenAPIDocumentAnswersAsTheFileSays(t *testing.T) {
	doc := readOpenAPI(t)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("openapi %q", doc.OpenAPI)
	}
	router := newServer(t, nil).router
	checked := 0
	for _, e := range readExchanges(t) {
		status, _, _ := strings.Cut(strings.TrimPrefix(e.answer, "< "), "\n")
		path, _, _ := strings.Cut(e.path, "?")
		if !strings.HasPrefix(status, "2") || e.method == http.MethodOptions || e.method == http.MethodHead {
			continue
		}
		rctx := chi.NewRouteContext()
		if len(path) > 1 {
			path = strings.TrimSuffix(path, "/")
		}
		if !router.Match(rctx, e.method, path) {
			t.Errorf("%s %s has no route", e.method, e.path)
			continue
		}
		item := doc.Paths[rctx.RoutePattern()]
		operation := map[string]*openapiOperation{"GET": item.Get, "PUT": item.Put, "POST": item.Post, "PATCH": item.Patch, "DELETE": item.Delete}[e.method]
		if operation == nil {
			t.Errorf("%s %s is not in the document", e.method, rctx.RoutePattern())
			continue
		}
		checked++
		if _, ok := operation.Responses[status]; !ok {
			t.Errorf("%s: the document does not have %s for %s %s", e.name, status, e.method, rctx.RoutePattern())
		}
	}
	if checked < 30 {
		t.Errorf("only %d answers were checked", checked)
	}
}

func TestReferencesOfTheOpenAPIDocumentLeadSomewhere(t *testing.T) {
	var doc any
	if err := json.Unmarshal(openapiDocument, &doc); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				at := doc
				for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[part]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(doc)
	schemas := doc.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)
	for name := range schemas {
		if !used["#/components/schemas/"+name] {
			t.Errorf("the schema %s is not used", name)
		}
	}
}
