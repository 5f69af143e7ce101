// Package cluster starts Tributary and Kafka for tests, and gives them handles: a [Kafka] is an embedded cluster with
// its faults, a [Worker] is a running program with its log and its REST API.
//
// A worker runs in the test's own process ([Start]) or as a process of its own ([Spawn]), from the same properties
// file and arguments that a user would give. Conditions are awaited, never slept for. When a test fails, the end of
// each of its workers' logs is in its output.
//
// What is started belongs to one test and is ended with it. Methods end the test with a clear message when something
// does not come true; they must be called from the test's own goroutine.
package cluster

import (
	"time"

	"tributary/test/cluster/kafkatest"
)

// TB is the part of testing.TB that the harness needs.
type TB = kafkatest.TB

// Patience is how long the harness waits for what ought to happen soon. It is long because a machine that runs many
// tests at once is slow at times; nothing passes by waiting.
const Patience = 60 * time.Second
