package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"tributary/api"
	"tributary/connect"
)

// FuzzBodies checks that no body can break its reader: it is understood, and then means the
// same when it is written anew, or refused with 500 and a message, as Java does.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{`, `{}`, `[]`, `"x"`, `1`, `true`, `{} {}`, `{"a":1,"a":null}`, `{"a":{}}`, `[{"a":true},{}]`, `[null]`, `[1]`,
		`{"name":"n","config":{"a":"b"}}`, `{"name":1,"config":{"a":1.5,"b":false},"initial_state":"paused"}`,
		`{"name":"n","config":[],"more":1}`, `{"initial_state":"ASLEEP"}`,
		`{"offsets":[{"partition":{"p":1,"q":[1,{"r":1e400}]},"offset":null}]}`, `{"offsets":[{"partition":[]}]}`, `{"offsets":[null]}`,
		"{\"a\":\"\x00\"}", "{\"\xff\":\"\\ud800\"}", `{"a":tru`, strings.Repeat(`[`, 50), `{"offsets":` + strings.Repeat(`[`, 50),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkBody(t, body, decodeCreateRequest, func(r api.CreateConnectorRequest) any { return r })
		checkBody(t, body, decodeConfig, func(c map[string]*string) any { return c })
		checkBody(t, body, decodeTaskConfigs, func(c []map[string]string) any { return c })
		checkBody(t, body, decodeOffsets, func(changes []connect.OffsetChange) any {
			offsets := []map[string]any{}
			for _, change := range changes {
				offsets = append(offsets, map[string]any{"partition": change.Partition, "offset": change.Offset})
			}
			return map[string]any{"offsets": offsets}
		})
	})
}

func checkBody[T any](t *testing.T, body []byte, decode func([]byte) (T, error), document func(T) any) {
	t.Helper()
	first, err := decode(body)
	if err != nil {
		var refusal *statusError
		if !errors.As(err, &refusal) || refusal.status != http.StatusInternalServerError || refusal.message == "" {
			t.Fatalf("%T: %q gives %v, want a refusal with 500", first, body, err)
		}
		return
	}
	if !json.Valid(body) {
		t.Fatalf("%T: %q is no JSON, and was read as %v", first, body, first)
	}
	again, err := json.Marshal(document(first))
	if err != nil {
		t.Fatalf("%T of %q cannot be written: %v", first, body, err)
	}
	second, err := decode(again)
	if err != nil || !reflect.DeepEqual(first, second) {
		t.Fatalf("%T: %q is read as %v, and what was written of it, %q, as %v, %v", first, body, first, again, second, err)
	}
}
