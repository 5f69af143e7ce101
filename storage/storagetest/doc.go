// Package storagetest checks that implementations of storage's interfaces keep the
// promises of their comments. Each suite is given a function that makes a new, empty
// topic and returns how to open stores over it, as the workers of one group would.
package storagetest
