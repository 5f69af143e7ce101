// Bench measures Tributary's mirror beside Java MirrorMaker 2: the same two brokers, the same source records, the same
// properties file, one after the other in one run. `make bench` calls it through run.sh; --help lists the options.
//
// Each measurement mirrors under cluster aliases of its own, so that its internal topics, groups and target topic are
// fresh. A measurement that loses, doubles or changes records fails instead of giving a figure.
//
// The scenarios are
//
//	plain            a filled topic of uncompressed batches is mirrored from its start
//	zstd             the same with zstd batches, which stay zstd on the target
//	exactly-once     the zstd topic with exactly.once.source.support=enabled, read with read_committed
//	record-lane      the zstd topic with a RegexRouter configured
//	latency          1,000 records a second, each stamped when it is sent; "straight" is the source broker without a mirror
//	delayed          the same rate with replication.mode=delayed, by the times at which the target's broker appends
//	idle             a mirror with nothing to do
//	connectors       a thousand connectors on three workers, and one worker killed
//	partitions       2,000 partitions from nothing, and at rest; "straight" is the target broker without a mirror
//	many-partitions  five times as many
//	cost-partitions  the same bytes as 8 to 4,096 partitions
//	cost-sizes       the same bytes as records of 100 B to 1 MB
//	far-source       a stream is followed from a source 80 ms away
//	far-target       a stream is followed to a target 80 ms away
//	json             lines to JSON with schema, and from there to lines, through transformations
//
// Without BENCH_ONLY it is plain, zstd, latency and idle. The report says what Tributary is to reach and whether it does.
// It goes to standard output and, with a JSON file of every single measurement and pictures of the cost curves, into the
// output folder. all.sh makes every report of docs/benchmarks anew.
package main
