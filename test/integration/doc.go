// Package integration holds tests of the whole product as its users see it: properties files, the REST API, log lines
// and what arrives in topics, on embedded clusters.
package integration
