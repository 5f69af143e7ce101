package connect

// Batch is a whole batch of records in Kafka's own form (record batch format v2), for
// sources that have their records in that form and need not take them apart.
type Batch struct {
	// Data are the batch's bytes. The records lie at consecutive offsets; what the header
	// says of a producer and of transactions does not count. The worker may change them.
	Data []byte
	// Records is how many records there are.
	Records int
	// Release, if set, is called once when the worker needs Data no more, on any goroutine.
	// It is not called for what is still on its way when the task ends.
	Release func()
	// Own, if set, may be called by the worker once, on any goroutine and before Release, when
	// the target does not take the batch for now: it returns a copy of Data, which is not
	// touched any more. So a batch that has to wait keeps nothing alive but itself, where Data
	// is part of something larger.
	Own func() []byte
}

// BatchTask is a source task that can return whole batches: records whose Batch is set.
// Such a record names its Topic and Partition, its SourceOffset is that of the last
// record in the batch, and it passes no converter and no transformation.
type BatchTask interface {
	SourceTask
	// OffersBatches is asked before Start: whether the task can return batches with this
	// configuration, and if not, why, in a clause for people.
	OffersBatches(config map[string]string) (ok bool, reason string)
	// TakeLane is called before Start, once, with what the worker has chosen: the task may
	// return records with a Batch only if batches is set. lane and reason say for people
	// which path the records take through the worker, and why.
	TakeLane(batches bool, lane, reason string)
}
