package plugins

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// jvm is the other end of a channel. answer, if set, decides what it says to an event.
type jvm struct {
	mu      sync.Mutex
	events  []event
	arrived chan struct{}
	answer  func(e event) (status int, text string)
}

func startJVM(t *testing.T) (*jvm, *Channel) {
	j := &jvm{arrived: make(chan struct{}, 100)}
	server := httptest.NewServer(j)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return j, NewChannel(server.URL + "/events")
}

func (j *jvm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var events []event
	if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	j.mu.Lock()
	j.events = append(j.events, events...)
	j.mu.Unlock()
	if j.answer != nil {
		if status, text := j.answer(events[0]); status != 0 {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}
	}
	j.arrived <- struct{}{}
}

func (j *jvm) heard() []event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]event(nil), j.events...)
}

func TestEveryAcknowledgedRecordIsToldOf(t *testing.T) {
	j, c := startJVM(t)
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan error, 1)
	go func() { told <- c.Run(ctx) }()
	first, second := c.handleOf("c", "c-0"), c.handleOf("c", "c-1")
	for range 1000 {
		first.committed()
	}
	second.committed()
	counts := map[string]int{}
	for counts["c-0"] < 1000 || counts["c-1"] < 1 {
		<-j.arrived
		clear(counts)
		for _, e := range j.heard() {
			if e.Event != "commits" || e.Connector != "c" || e.Instance != map[string]string{"c-0": first.instance, "c-1": second.instance}[e.Task] || e.Instance == "" {
				t.Fatalf("heard %+v", e)
			}
			counts[e.Task] += e.Count
		}
	}
	cancel()
	if err := <-told; err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]int{"c-0": 1000, "c-1": 1}, counts); diff != "" {
		t.Error(diff)
	}
}

func TestWhatATestThrowsComesBackAsAnError(t *testing.T) {
	j, c := startJVM(t)
	j.answer = func(event) (int, string) { return http.StatusInternalServerError, "Unexpected record" }
	err := c.tell(t.Context(), event{Event: "record"})
	if err == nil || err.Error() != "the test refuses record: Unexpected record" {
		t.Errorf("got %v", err)
	}
}

func TestABlockHangsAtItsPlaceAloneUntilTheTestLiftsIt(t *testing.T) {
	j, c := startJVM(t)
	lift := make(chan struct{})
	j.answer = func(e event) (int, string) {
		if e.Event == "block" {
			<-lift
		}
		return 0, ""
	}
	b, err := c.arm(taskStop)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.at(taskStart); err != nil {
		t.Fatal(err)
	}
	var unarmed *block
	if err := unarmed.at(taskStop); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- b.at(taskStop) }()
	<-j.arrived // the arming
	select {
	case err := <-gone:
		t.Fatalf("it did not block: %v", err)
	case <-j.arrived:
		t.Fatal("the block was answered")
	case lift <- struct{}{}:
	}
	if err := <-gone; err != nil {
		t.Error(err)
	}
	heard := j.heard()
	if len(heard) != 2 || heard[0].Event != "arm" || heard[1].Event != "block" || heard[0].Block != heard[1].Block || !strings.HasSuffix(heard[1].Point, "Task::stop") {
		t.Errorf("heard %+v", heard)
	}
}
