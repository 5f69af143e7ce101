package compat

import (
	"fmt"
	"testing"

	"tributary/test/cluster/realkafka"
)

// TestMixedGroupOutlivesEveryWorker: two Java and two Tributary workers share twelve connectors. Each worker is killed
// in turn and started again, and the leadership passes from Java to Tributary and back. After every step each connector
// and each task is on exactly one worker, all are spread evenly, every worker gives the same answers, and no line and no
// record is lost. What no killed worker had in hand arrives exactly once.
func TestMixedGroupOutlivesEveryWorker(t *testing.T) {
	realkafka.Require(t)
	t.Parallel()
	cluster := realkafka.StartCluster(t, realkafka.Options{JVM: []string{quickJVM}})
	g := newGroup(t, cluster, "mixed")
	for i := range 6 {
		g.addLines(fmt.Sprintf("lines-%d", i), nil)
	}
	for i := range 3 {
		g.addMirror(fmt.Sprintf("mirrored-%d", i))
		g.addBeats(fmt.Sprintf("beats-%d", i))
	}

	j1, t1, t2, j2 := g.join("java-1", true), g.join("tributary-1", false), g.join("tributary-2", false), g.join("java-2", true)
	g.create()
	g.settle(j1)
	g.feedSettled()

	g.kill(j1)
	g.settle(nil)
	g.feedSettled()
	g.kill(j2)
	if leader := g.settle(nil); leader.java {
		t.Errorf("%s leads, want a Tributary worker", leader.name)
	}
	g.feedSettled()

	g.start(j1)
	g.start(j2)
	g.settle(nil)
	g.feedSettled()

	g.kill(t2)
	g.settle(nil)
	g.feedSettled()
	g.kill(t1)
	if leader := g.settle(nil); !leader.java {
		t.Errorf("%s leads, want a Java worker", leader.name)
	}
	g.feedSettled()

	g.start(t1)
	g.start(t2)
	g.settle(nil)
	g.feedSettled()
	g.remove()
}
