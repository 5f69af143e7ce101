package integration

import (
	"net/netip"
	"regexp"
	"slices"
	"testing"

	"tributary/test/cluster"
	"tributary/test/cluster/kafkatest"
)

func beyondLoopback(a netip.AddrPort) bool { return !a.Addr().IsLoopback() }

// What a dedicated MirrorMaker listens on, by the word of the operating system.
func TestTheDedicatedModeIsOnLoopbackUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	source, target := startPair(t, nil)
	untold := cluster.Spawn(t, cluster.MirrorMaker, twoLines(source, target))
	// The port may be another's, which is said.
	public := regexp.MustCompile(`REST server listening listener=http://127\.0\.0\.1:8083 address=127\.0\.0\.1:8083|WARN .*taken.*listener=http://127\.0\.0\.1:8083`)
	kafkatest.Await(t, cluster.Patience, "a word about the usual port", func() (bool, string) {
		lines := untold.Log.Lines()
		return slices.ContainsFunc(lines, public.MatchString), ""
	})
	untold.Log.Await("Herder started")
	open := cluster.Listening(t, untold.PID())
	if len(open) == 0 || slices.ContainsFunc(open, beyondLoopback) {
		t.Errorf("untold, it listens on %v", open)
	}
	untold.Stop()

	told := cluster.Spawn(t, cluster.MirrorMaker, twoLines(source, target)+"listeners=http://0.0.0.0:0\n")
	told.Log.Await("REST server listening", "0.0.0.0")
	if open := cluster.Listening(t, told.PID()); !slices.ContainsFunc(open, beyondLoopback) {
		t.Errorf("told to listen everywhere, it listens on %v", open)
	}
	told.Stop()
}
