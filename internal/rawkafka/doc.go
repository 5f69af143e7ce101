// Package rawkafka moves whole record batches from one Kafka cluster to another without unpacking them: it
// reads them with fetch requests (Puller, for a kafka.Fetcher), gives them a producer's identity of its own,
// and writes them with produce requests (Sender). It is built on franz-go's protocol definitions (kmsg) and
// codecs; which brokers there are, how to connect and what errors mean comes from internal/kafka.
//
// A record batch (format v2) says in its header, outside of the compressed records, all that a producer has
// to say about itself. So a batch is made another producer's by rewriting its header and its checksum. Only
// batches that the target would refuse, or that must not be copied whole, are decoded and encoded again.
//
// # Memory
//
// Answers to fetch requests are read into buffers of a Memory, which bounds what one task holds. Batches are
// slices of them; a buffer is used again once all of its batches were released.
package rawkafka
