// Bench measures Tributary's mirror beside Java MirrorMaker 2: the same two brokers, the same source records, the same
// properties file, one after the other in one run. `make bench` calls it through run.sh; --help lists the options.
//
// Each measurement mirrors under cluster aliases of its own, so that its internal topics, groups and target topic are
// fresh. A measurement that loses, doubles or changes records fails instead of giving a figure.
//
// The scenarios are
//
//	plain    a filled topic of uncompressed batches is mirrored from its start
//	zstd     the same with zstd batches
//	latency  1,000 records a second, each stamped when it is sent; "straight" is the source broker without a mirror
//	idle     a mirror with nothing to do
//
// The report goes to standard output and, with a JSON file of every single measurement, into the output folder.
package main
