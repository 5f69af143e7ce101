// Package maker is MirrorMaker's dedicated mode: one properties file that describes
// clusters and the flows between them becomes one Connect herder a flow, each with
// the three mirror connectors, all in one process.
//
// [Parse] reads the file's grammar; it is pure. The grammar is MirrorMaker 2's, with
// one addition: a file without a clusters line describes the clusters source and
// target and the flow from one to the other.
package maker
