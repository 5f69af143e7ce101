// Package realkafka starts Apache Kafka for tests: brokers, the Java Connect worker and the Java MirrorMaker, as
// processes on the loopback interface, and any other program beside them.
//
// It needs Java 17 and Maven, which copies the jars of one Kafka version (test/compat/pom.xml) into the user's cache
// folder once. [Require] is the one place where a test may be skipped, and says why.
//
// Every process belongs to the test that started it. It runs in a process group of its own and is killed, with its
// children, when the test ends, and also when the test binary dies. Its output goes to a log file, whose last lines
// are shown when the test fails; the log files of a failed test are kept.
//
// Functions that take a test end it with a clear message when something does not start. They must be called from the
// test's own goroutine; the methods of [Process] that return errors may be called from any.
package realkafka

import "tributary/test/cluster/kafkatest"

// TB is what the harness needs of a test; every *testing.T and *testing.B is one.
type TB = kafkatest.TB
