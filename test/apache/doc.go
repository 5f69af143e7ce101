// Apache runs Apache Kafka's own integration tests of Connect and MirrorMaker 2, unmodified, with Tributary's processes
// in the place of Java workers. `make apache-suite` calls it through run.sh; --help lists the options.
//
// The tests come as jars from Maven Central. Three classes of the project's own (java/) stand before Apache's on the
// class path: WorkerHandle and EmbeddedConnectStandalone start a worker, MirrorMaker a dedicated mirror; all else that
// the tests want they ask over REST, or see in Kafka. Their time limits are Apache's.
//
// Some tests run connectors that count in the memory of the JVM what happens to them. They get a worker with connectors
// of the same Java names (worker/ and plugins/), which tell the JVM what they see through a small HTTP server of its own
// (java/tributary/apache/Channel.java).
//
// The report says of every method that it passed, failed, or does not apply, and why. A test that needs a Java class
// inside the worker does not apply.
package main
