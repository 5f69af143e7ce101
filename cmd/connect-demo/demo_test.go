package main

import (
	"net"
	"strings"
	"sync"
	"testing"

	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

// output is what the demo shows. Safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Clusters and workers of the demo are reachable from this machine alone, by the word of the operating system.
func TestTheDemoIsOnLoopback(t *testing.T) {
	// Other tests may want the ports that the demo would like best: it takes others when somebody has them.
	for _, port := range []string{"8083", "8084"} {
		if taken, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			t.Cleanup(func() { _ = taken.Close() })
		}
	}
	before := len(cluster.Listening(t, 0))
	shown, ended := &output{}, make(chan error, 1)
	go func() { ended <- run(t.Context(), shown, "2") }()
	kafkatest.Await(t, cluster.Patience, "the mirror to run", func() (bool, string) {
		select {
		case err := <-ended:
			t.Fatalf("the demo has ended: %v\n%s", err, shown)
		default:
		}
		return strings.Contains(shown.String(), "in another terminal"), shown.String()
	})
	open := cluster.Listening(t, 0)
	const clusters, workers = 2, 2
	if len(open)-before < clusters+workers {
		t.Errorf("two clusters and two workers listen on %v", open)
	}
	for _, address := range open {
		if !address.Addr().IsLoopback() {
			t.Errorf("the demo listens on %s", address)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("the demo: %v\n%s", err, shown)
	}
	if !strings.Contains(shown.String(), "EQUAL: all") {
		t.Errorf("the demo does not compare what it mirrored:\n%s", shown)
	}
}
