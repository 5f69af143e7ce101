package mirror

import (
	"fmt"
	"time"
)

// What to do when records of the source are gone before they were mirrored.
const (
	onDataLossKey = "on.data.loss"

	lossContinue = "continue"
	lossStop     = "stop.partition"
	lossRestart  = "restart.from.earliest"
)

// lossKind says how records of the source came to be gone.
type lossKind string

const (
	// lossDeleted: the log begins behind the position, because retention or a request to
	// delete records overtook the mirror. Brokers do not tell the two apart.
	lossDeleted lossKind = "deleted"
	// lossRolledBack: the log of the same topic ends before the position. Records that
	// were mirrored are gone at the source, as after an unclean leader election.
	lossRolledBack lossKind = "rolled-back"
	// lossRecreated: the topic was deleted and created anew, as its id shows.
	lossRecreated lossKind = "recreated"
	// lossSkipped: the target refused a record, which was left out as on.record.error says.
	lossSkipped lossKind = "skipped"
	// lossDeadLetter: it was written to the topic for such records instead.
	lossDeadLetter lossKind = "dead-letter"
)

// gap is a range of source offsets that the mirror did not carry over, or that are on
// the target but no longer at the source.
type gap struct {
	kind     lossKind
	from, to int64 // to is exclusive
	at       time.Time
}

// finding is what the source looks like where a partition cannot be read on.
type finding struct {
	earliest, latest int64
	// reset is where auto.offset.reset says to go on, -1 if it allows no place.
	reset int64
	// recreated says that the topic is not the one that was read before.
	recreated bool
}

// verdict is what a finding means, and how the partition goes on.
type verdict struct {
	gap    gap
	stop   bool
	resume int64 // the next position, unless stop
}

// judge classifies a finding about a partition that was to be read on at position;
// policy is on.data.loss. It is false when nothing was lost: the position can be read
// after all.
func (f finding) judge(position int64, policy string, now time.Time) (verdict, bool) {
	within := position >= f.earliest && position <= f.latest
	v := verdict{gap: gap{from: position, to: position, at: now}, resume: position}
	switch {
	case f.recreated:
		v.gap.kind = lossRecreated
	case within:
		return verdict{}, false
	case position < f.earliest:
		v.gap.kind = lossDeleted
	default:
		v.gap.kind = lossRolledBack
	}
	switch {
	case policy == lossRestart:
		v.resume = f.earliest
	case !within:
		v.resume = f.reset
	}
	v.stop = policy == lossStop || v.resume < 0
	switch v.gap.kind {
	case lossDeleted:
		v.gap.to = max(f.earliest, v.resume)
	case lossRolledBack:
		v.gap.from, v.gap.to = f.latest, position
	case lossRecreated:
		// What the old topic held behind the position nobody can say. Of the new one,
		// what lies before the position that reading goes on from is left out.
		if !v.stop && v.resume > f.earliest {
			v.gap.from, v.gap.to = f.earliest, v.resume
		}
	}
	return v, true
}

// Error makes a loss the reason why a partition has stopped.
func (g gap) Error() string {
	switch g.kind {
	case lossDeleted:
		return fmt.Sprintf("the source deleted the records from offset %d up to %d before they were mirrored", g.from, g.to)
	case lossRolledBack:
		return fmt.Sprintf("the source lost the records from offset %d up to %d, which had been mirrored", g.from, g.to)
	case lossRecreated:
		return fmt.Sprintf("the source topic was deleted and created anew; the mirror had read the old one up to offset %d", g.from)
	}
	return fmt.Sprintf("the records from offset %d up to %d were left out", g.from, g.to)
}
