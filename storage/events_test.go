package storage_test

import (
	"fmt"
	"reflect"
	"testing"

	"tributary/storage"
)

// heard writes down what it is told.
type heard []string

func (h *heard) say(format string, args ...any)         { *h = append(*h, fmt.Sprintf(format, args...)) }
func (h *heard) ConnectorConfigUpdated(c string)        { h.say("config %s", c) }
func (h *heard) ConnectorConfigRemoved(c string)        { h.say("removed %s", c) }
func (h *heard) TaskConfigsUpdated(c string)            { h.say("tasks %s", c) }
func (h *heard) TargetStateChanged(c string)            { h.say("target %s", c) }
func (h *heard) SessionKeyUpdated(k storage.SessionKey) { h.say("key %x", k.Key) }
func (h *heard) RestartRequested(r storage.RestartRequest) {
	h.say("restart %s %t %t", r.Connector, r.IncludeTasks, r.OnlyFailed)
}
func (h *heard) LoggerLevelChanged(n, l string) { h.say("level %s %s", n, l) }

func TestEveryEventCallsItsMethod(t *testing.T) {
	var h heard
	for _, event := range []storage.Event{
		storage.ConnectorConfigUpdated{Connector: "a"}, storage.ConnectorConfigRemoved{Connector: "b"}, storage.TaskConfigsUpdated{Connector: "c"},
		storage.TargetStateChanged{Connector: "d"}, storage.SessionKeyUpdated{Key: storage.SessionKey{Key: []byte{1, 2}}},
		storage.RestartRequested{Request: storage.RestartRequest{Connector: "e", OnlyFailed: true}}, storage.LoggerLevelChanged{Namespace: "n", Level: "INFO"},
	} {
		event.Tell(&h)
	}
	want := heard{"config a", "removed b", "tasks c", "target d", "key 0102", "restart e false true", "level n INFO"}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %q", h)
	}
}
