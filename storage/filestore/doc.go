// Package filestore keeps a standalone worker's source offsets in the file that Java's
// standalone worker uses, so that either carries on where the other stopped.
//
// The file is one java.util.HashMap<byte[], byte[]> as ObjectOutputStream writes it;
// keys and values are those of the offsets topic's records. A removed offset stays as a
// null value, as in Java. Reading knows this one shape alone: nothing of what a hostile
// stream could ask a JVM to construct exists here.
//
// A file belongs to one worker. Two workers that share one by mistake see each other's
// writes, but what both write in the same moment may be lost for one of them.
package filestore
