package herder

import (
	"fmt"
	"strings"
	"testing"

	"tributary/connect"
	"tributary/connect/plugin"
)

// oath is a source connector that says what it is told to of its support for transactions.
type oath struct {
	fileStream
	support connect.ExactlyOnceSupport
	defines bool
	panics  bool
}

func (o oath) ExactlyOnceSupport(config map[string]string) connect.ExactlyOnceSupport {
	if o.panics || config["topic"] != "t" {
		panic("no idea")
	}
	return o.support
}

func (o oath) CanDefineTransactionBoundaries(config map[string]string) bool {
	if o.panics || config["topic"] != "t" {
		panic("no idea")
	}
	return o.defines
}

// TestPreflightValidationOfExactlyOnceSupport covers the preflight checks of KIP-618: one
// error for each wish that the worker or the connector cannot fulfil.
func TestPreflightValidationOfExactlyOnceSupport(t *testing.T) {
	for _, test := range []struct {
		name        string
		connector   any
		worker      bool
		support     string
		boundary    string
		wantSupport string // what the only error contains; "" is none
		wantBound   string
	}{
		{"nothing asked", oath{panics: true}, false, "requested", "interval", "", ""},
		{"supported", oath{support: connect.ExactlyOnceSupported, defines: true}, true, "REQUIRED", "Connector", "", ""},
		{"unsupported", oath{support: connect.ExactlyOnceUnsupported}, true, "required", "connector",
			"The connector does not support exactly-once semantics with the provided configuration.", "does not support connector-defined transaction boundaries"},
		{"unknown", oath{}, true, "required", "poll", "does not say whether", ""},
		{"a connector without an answer", fileStream{}, true, "required", "connector", "does not say whether", "does not support connector-defined transaction boundaries"},
		{"a connector that panics", oath{panics: true}, true, "required", "connector",
			"An unexpected error occurred during validation: no idea", "An unexpected error occurred during validation: no idea"},
		{"a worker without", oath{support: connect.ExactlyOnceSupported}, false, "required", "poll", "This worker does not have exactly-once source support enabled.", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := newValidator(t)
			v.GroupID, v.ExactlyOnce = "g", test.worker
			plugins, err := plugin.NewRegistry(append(v.Plugins.All(), plugin.Plugin{Class: "test.OathConnector", Kind: plugin.Source, Version: "1", New: func() any { return test.connector }})...)
			if err != nil {
				t.Fatal(err)
			}
			v.Plugins = plugins
			infos := validate(t, v, fmt.Sprintf(`{"name":"a","connector.class":"Oath","topic":"t","exactly.once.support":%q,"transaction.boundary":%q}`, test.support, test.boundary))
			want := 0
			for key, part := range map[string]string{"exactly.once.support": test.wantSupport, "transaction.boundary": test.wantBound} {
				got := value(t, infos, key).Errors
				switch {
				case part == "" && len(got) > 0:
					t.Errorf("%s: %q, want no error", key, got)
				case part != "" && (len(got) != 1 || !strings.Contains(got[0], part)):
					t.Errorf("%s: %q, want one error with %q", key, got, part)
				}
				if part != "" {
					want++
				}
			}
			if infos.ErrorCount != want {
				t.Errorf("%d errors, want %d", infos.ErrorCount, want)
			}
		})
	}
}
