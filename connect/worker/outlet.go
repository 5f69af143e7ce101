package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tributary/connect"
	"tributary/internal/kafka"
)

// outlet takes what the record lane made of a task's records, sees it into Kafka, and
// the offsets after it. The lane's goroutine calls it.
//
//	open → (take → send, release or skip … polled)… ⇄ pausing/resumed → finish → close
type outlet interface {
	// open makes the outlet ready, before the task starts. It may wait until ctx ends.
	// hard ends when the task is cut off: nothing is to be written from then on.
	open(ctx, hard context.Context) error
	// take fills free with blank entries for send or release.
	take(free []*entry, n int) []*entry
	// release gives back entries that were taken and not sent.
	release(entries ...*entry)
	// send takes e, whose record and out are set. It waits for room until ctx ends. On an
	// error e was not sent and is released.
	send(ctx context.Context, e *entry) error
	// skip is told of a record that goes no further.
	skip(record *connect.SourceRecord) error
	// place takes e, whose record is a position without anything to write, behind all that
	// was sent before.
	place(e *entry)
	// requestCommit asks for a commit soon, where offsets are committed apart from their
	// records. Any goroutine may call it.
	requestCommit()
	// polled is called when all that a Poll returned, which may be nothing, was sent.
	polled() error
	// pollLimit is how long a Poll may take; 0 is for ever.
	pollLimit() time.Duration
	// pausing commits what can be committed; resumed follows when the pause is over.
	pausing(ctx context.Context) error
	resumed()
	// finish settles what was sent: after it nothing more is told to the task, besides
	// its Stop.
	finish(failed bool)
	// close closes the producer.
	close(ctx context.Context) error
	// unacked is how many records were sent and are not in Kafka yet, as far as known.
	unacked() int
	// unwritable is Producer.Unwritable; nil while there is no producer.
	unwritable() map[kafka.TopicPartition]error
}

// atLeastOnce is the outlet without transactions: a delivery, and beside it a committer
// that writes the offsets of what was acknowledged.
type atLeastOnce struct {
	*delivery
	committer *committer
	// level is that of a line about the cluster, which may be known to be away.
	level func() slog.Level

	committing sync.WaitGroup
	endCommits context.CancelFunc
	hard       context.Context // of the task, from open on
}

func (a *atLeastOnce) open(_, hard context.Context) error {
	a.hard = hard
	a.delivery.start(hard)
	var commits context.Context
	commits, a.endCommits = context.WithCancel(hard)
	a.committing.Go(func() { a.committer.run(commits) })
	return nil
}

func (a *atLeastOnce) skip(record *connect.SourceRecord) error {
	if a.commit != nil {
		a.commitRecord(record, nil)
	}
	return nil
}

func (a *atLeastOnce) requestCommit() { a.committer.request() }

func (a *atLeastOnce) polled() error            { return nil }
func (a *atLeastOnce) pollLimit() time.Duration { return 0 }
func (a *atLeastOnce) resumed()                 {}

// pausing flushes what is on its way. The producer stays open, and late
// acknowledgements are committed as usual.
func (a *atLeastOnce) pausing(ctx context.Context) error {
	a.awaitAcknowledged(ctx)
	a.committer.commitLogged(ctx)
	return nil
}

// finish awaits acknowledgements and commits offsets, whether or not the task failed.
// After the final commit no acknowledgement is accepted, so nothing acknowledged stays
// uncommitted.
func (a *atLeastOnce) finish(bool) {
	a.endCommits()
	a.committing.Wait()
	a.awaitAcknowledged(a.hard)
	a.seal()
	if a.hard.Err() == nil { // what is cut off does not commit
		a.committer.commitLogged(a.hard)
	}
}

// awaitAcknowledged waits for records in flight, as long as an offset commit may take.
func (a *atLeastOnce) awaitAcknowledged(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.committer.timeout)
	defer cancel()
	if a.await(ctx, acknowledged) != nil && a.hard.Err() == nil { // that a task was cut off has been said
		a.logger.Log(ctx, a.level(), "Records are still not acknowledged; their offsets are not committed yet", "records", a.unacked())
	}
}
