// Package compat holds tests against real Apache Kafka from Maven Central: brokers, Java Connect workers and the Java
// MirrorMaker. They need Java 17 and Maven, and are skipped without them unless TRIBUTARY_REQUIRE_JAVA is 1.
package compat
