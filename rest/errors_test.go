package rest

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tributary/api"
	"tributary/connect/group/protocol"
	"tributary/connect/herder"
	"tributary/connect/provider"
)

// samples has an error for each row of the errorTable, and for the errors that know
// their status.
var samples = []struct {
	err     error
	status  int
	message string
}{
	{herder.ConnectorNotFound("c"), 404, "Connector c not found"},
	{&herder.AlreadyExistsError{Connector: "c"}, 409, "Connector c already exists"},
	{&herder.BadRequestError{Message: "bad"}, 400, "bad"},
	{&herder.ForbiddenError{Message: "Topic tracking is disabled."}, 403, "Topic tracking is disabled."},
	{&herder.ConflictError{Message: "later"}, 409, "later"},
	{&herder.NotReadyError{Message: "starting"}, 503, "starting"},
	{&herder.RebalanceError{Message: "x"}, 500, "Request cannot be completed because a rebalance is expected"},
	{&herder.NotLeaderError{LeaderURL: "http://a"}, 409, "Cannot complete request because of a conflicting operation (e.g. worker rebalance)"},
	{&herder.NotAssignedError{}, 409, "Cannot complete request because of a conflicting operation (e.g. worker rebalance)"},
	{&http.MaxBytesError{Limit: 1}, 413, "HTTP 413 Request Entity Too Large"},
	{context.DeadlineExceeded, 500, "Request timed out"},
	{context.Canceled, 500, "Request interrupted"},
	{&protocol.SignatureError{Status: 403, Message: "no"}, 403, "no"},
	{&api.Error{Code: 418, Message: "tea"}, 418, "tea"},
	{refuse(415, "type"), 415, "type"},
	{errors.New("other"), 500, "other"},
}

func TestErrorsHaveTheirStatus(t *testing.T) {
	for _, s := range samples {
		status, message := describe(s.err)
		if status != s.status || message != s.message {
			t.Errorf("%T: got %d %q, want %d %q", s.err, status, message, s.status, s.message)
		}
		if status, _ := describe(fmt.Errorf("while doing it: %w", s.err)); status != s.status {
			t.Errorf("wrapped %T: got %d, want %d", s.err, status, s.status)
		}
	}
}

func TestEveryRowOfTheErrorTableHasASample(t *testing.T) {
	for i, row := range errorTable {
		if !slices.ContainsFunc(samples, func(s struct {
			err     error
			status  int
			message string
		}) bool {
			return row.matches(s.err) && s.status == row.status
		}) {
			t.Errorf("row %d (status %d) has no sample", i, row.status)
		}
	}
}

func TestEveryErrorOfHerdersHasAStatus(t *testing.T) {
	sampled := map[string]bool{}
	for _, s := range samples {
		sampled[reflect.TypeOf(s.err).String()] = true
	}
	file, err := parser.ParseFile(gotoken.NewFileSet(), "../connect/herder/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != gotoken.TYPE {
			continue
		}
		for _, spec := range g.Specs {
			if name := spec.(*ast.TypeSpec).Name.Name; strings.HasSuffix(name, "Error") {
				found++
				if !sampled["*herder."+name] {
					t.Errorf("herder.%s has no row in the errorTable, or no sample here", name)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no errors found")
	}
}

func TestErrorsDoNotShowWhatTheWorkersReferencesStandFor(t *testing.T) {
	concealment := &provider.Concealment{}
	concealment.Add(map[string]string{"sasl.password": "${vault:p}"}, map[string]string{"sasl.password": "hunter2"})
	s := newServer(t, func(o *Options) { o.Concealment = concealment })
	for want, cause := range map[string]func(context.Context, string) error{
		"no login with ${vault:p}":                     always(errors.New("no login with hunter2")),
		"no login there with ${vault:p}":               always(&api.Error{Code: 500, Message: "no login there with hunter2"}),
		"Internal error: no login at all: ${vault:p}!": func(context.Context, string) error { panic("no login at all: hunter2!") },
	} {
		s.SetHerder(&fakeHerder{fail: cause})
		w := ask(s, "GET", "/connectors/hb/offsets", "")
		if got := shown(w); got != "< 500\n< Content-Type: application/json\n"+`{"error_code":500,"message":"`+want+`"}` {
			t.Error(got)
		}
	}
}

// Whoever guesses a secret must not be told so.
func TestRefusalsQuoteWhatWasAsked(t *testing.T) {
	concealment := &provider.Concealment{}
	concealment.Add(map[string]string{"sasl.password": "${vault:p}"}, map[string]string{"sasl.password": "hunter2"})
	s := newServer(t, func(o *Options) { o.Concealment = concealment })
	s.SetHerder(&fakeHerder{})
	w := ask(s, "GET", "/connectors/hunter2", "")
	if got := shown(w); got != "< 404\n< Content-Type: application/json\n"+`{"error_code":404,"message":"Connector hunter2 not found"}` {
		t.Error(got)
	}
}
