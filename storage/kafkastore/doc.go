// Package kafkastore keeps what a worker group remembers in Kafka's internal topics, as
// Java's Kafka Connect does, so that both can be workers of one group.
//
// Life of a store: New… checks the properties and touches no network. Start waits for
// the cluster as long as its context allows, creates or checks the topic, and reads it to
// its end. From then on a goroutine follows the topic until Stop. When the brokers go
// away, reading goes on by itself once they are back; writes fail with an error when
// their time is over, but for statuses, which are retried.
package kafkastore
