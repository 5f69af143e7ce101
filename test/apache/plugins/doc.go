// Package plugins has Go connectors under the names of those that Apache's integration tests bring along, with the same
// configuration keys and the same behaviour: they fail, block and count as the tests ask of them. What they see they
// tell the JVM of the tests through a [Channel].
package plugins
