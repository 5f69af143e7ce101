package rawkafka

import (
	"slices"
	"time"

	"tributary/internal/kafka"
)

// maxUnacknowledged is for how many batches of a partition a broker remembers a producer's sequences. With more
// on the way at a time it could not tell a batch sent twice.
const maxUnacknowledged = 5

// Outgoing is a batch to be written. It is the sender's until Done was called.
type Outgoing struct {
	kafka.TopicPartition
	// Data is a batch of format v2 with consecutive offsets and the right checksum.
	Data []byte
	// Own, if set, makes a copy of Data and gives Data back, see kafka.Batch. It is called at most once, with locks held,
	// when the partition does not take the batch for now.
	Own func() []byte
	// Stale is kafka.Record's.
	Stale func() bool
	// Done is called once, on a goroutine of the sender, in the order of sending within a partition. It must
	// return soon, and not call Flush, Commit, Abort or Close.
	Done func(Outcome)

	told    func(kafka.Metadata, error) // a Producer's, instead of Done
	lent    *kafka.Batch                // what a Producer was given
	parcels int                         // not stored yet
	pieces  []Piece
	err     error
	whole   parcel
	piece   [1]Piece
}

// tell tells of the outcome.
func (o *Outgoing) tell(out Outcome) {
	if o.Done != nil {
		o.Done(out)
		return
	}
	if o.told == nil {
		return
	}
	err := out.Err
	if n := len(out.Pieces); err != nil && n > 0 {
		err = &kafka.PartialBatchError{Stored: out.Pieces[n-1].First + out.Pieces[n-1].Records, Err: err}
	}
	o.told(metadata(o.TopicPartition, out.Pieces), err)
}

// Outcome is what became of a batch.
type Outcome struct {
	// Pieces say where the records are stored, in order: it is one piece, unless the batch was too large for the
	// target and had to be split.
	Pieces []Piece
	// Err is why the batch is not stored. Parts of it may be.
	Err error
}

// Piece is a run of a batch's records that lie at consecutive offsets of the target.
type Piece struct {
	// First is the place in the batch of the first record.
	First, Records int32
	// Base is that record's offset on the target, -1 when the broker could not tell.
	Base int64
}

// parcel is a batch, or a part of one, in the state that it is sent in. The sender's lock guards it, except for
// data while it is flying.
type parcel struct {
	of      *Outgoing
	data    batch
	first   int32
	created time.Time

	id       identity // noIdentity until it was numbered
	numbered bool
	sequence int32
	flying   bool
	stored   bool
	base     int64
	err      error // why it was given up

	// parts are the parcels that a bundle stands for, in order; it has no data of its own, and bundled is about how long
	// it will be.
	parts   []*parcel
	bundled int
	alone   bool // never a part of a bundle again
}

func (p *parcel) records() int32 {
	if p.parts == nil {
		return int32(p.data.count())
	}
	n := int32(0)
	for _, part := range p.parts {
		n += part.records()
	}
	return n
}

// size is about how many bytes will be sent.
func (p *parcel) size() int {
	if p.parts != nil {
		return p.bundled
	}
	return len(p.data)
}

// stream is what is on its way to one partition. The sender's lock guards it.
//
// Invariants:
//
//	A. Parcels stand in the order of sending; those that are flying or stored come before those that are not.
//	B. Until failure is dealt with, which is when nothing is flying any more, nothing further is sent: so
//	   what follows a failed parcel follows it again when it is sent again.
//	C. A parcel is sent again with its old number, unless it is certain that no attempt can still be stored.
//	D. Parcels become a bundle before they have numbers. It is sent again as it is, or taken apart once it is
//	   certain that it was not stored.
//	E. Until the partition has stored something of an identity, one parcel flies at a time: brokers take any first
//	   number from a producer they do not know, so what follows a refused first one would be stored. In a
//	   transaction that does not matter: it is aborted.
type stream struct {
	kafka.TopicPartition
	leader int32 // -1 while not known
	lane   int   // of the connections to the leader
	// transactional says that the sender is.
	transactional bool
	parcels       []*parcel
	flying        int
	// refused is the first parcel of those in flight that was not stored, failure why.
	refused *parcel
	failure error

	id       identity
	sequence int32 // of the next record to be numbered
	proven   bool  // something of this identity is stored, or need not be (E)

	state    streamState
	failures int   // in a row
	lastErr  error // of those
	retryAt  time.Time
	logged   string    // why it cannot be written to, as was told
	troubled time.Time // since when, about, while logged is set
	named    bool      // told by name
	created  time.Time // when a broker was last asked to make the topic

	round int // the transaction that the partition was last added to, or is being added to
	added int // the transaction in which something was stored last

	// settling is closed once all that was given up is told of, nil when nothing is: what comes meanwhile waits for it,
	// so that it can be known to be stale.
	settling chan struct{}

	bundleLimit int // the most that a bundle may have, as the target's max.message.bytes was found to be
}

type streamState int

const (
	quiet  streamState = iota // nothing to send, or what there is waits for answers
	listed                    // stands in the list of its broker's writer
	parked                    // waits for the keeper: for a leader, or for the time of a retry
)

// next returns the parcel to send next, nil when there is none at present.
func (st *stream) next() *parcel {
	if st.refused != nil || st.flying >= maxUnacknowledged || st.flying > 0 && !st.proven {
		return nil
	}
	for _, p := range st.parcels {
		if !p.flying && !p.stored {
			return p
		}
	}
	return nil
}

// takeOff marks a parcel as being sent.
func (st *stream) takeOff(p *parcel) {
	p.flying = true
	st.flying++
}

// landed takes what became of a parcel; err is nil when it is stored at base.
func (st *stream) landed(p *parcel, base int64, err error) {
	p.flying = false
	st.flying--
	if err == nil {
		p.stored, p.base, st.proven = true, base, true
		return
	}
	if st.refused == nil || st.before(p, st.refused) {
		st.refused, st.failure = p, err
	}
}

// before says which of two parcels stands first.
func (st *stream) before(a, b *parcel) bool {
	for _, p := range st.parcels {
		if p == a || p == b {
			return p == a
		}
	}
	return false
}

// arrived moves the stored parcels at the front to the end of told.
func (st *stream) arrived(told []*parcel) []*parcel {
	n := 0
	for n < len(st.parcels) && st.parcels[n].stored {
		n++
	}
	told = append(told, st.parcels[:n]...)
	st.parcels = slices.Delete(st.parcels, 0, n)
	return told
}

// number gives a parcel its place in the producer's sequence.
func (st *stream) number(p *parcel, id identity) {
	if p.numbered {
		return
	}
	if st.id != id {
		st.id, st.sequence, st.proven = id, 0, st.transactional
	}
	p.numbered, p.id, p.sequence = true, id, st.sequence
	st.sequence = nextSequence(st.sequence, p.records())
}

// stuck says that the partition has not taken anything for so long that it is not just about to.
func (st *stream) stuck() bool { return st.failures >= quietFailures }

// own copies what waits for a partition that does not take it. Batches are slices of answers to fetch requests, which
// they would keep alive for all that time, however small they are. Nothing may be flying.
func (st *stream) own() {
	for _, p := range st.parcels {
		if p.stored {
			continue
		}
		p.own()
		for _, part := range p.parts {
			part.own()
		}
	}
}

func (p *parcel) own() {
	o := p.of
	if o == nil || o.Own == nil || p != &o.whole {
		return
	}
	p.data = o.Own()
	o.Data, o.Own = p.data, nil
	if o.lent != nil { // it may be sent again, by another sender
		o.lent.Data, o.lent.Own = p.data, nil
	}
}

// renumber lets all parcels be numbered anew, by another identity. Nothing may be flying.
func (st *stream) renumber() {
	st.id, st.sequence, st.proven = noIdentity, 0, st.transactional
	for _, p := range st.parcels {
		p.numbered = false
	}
}

// split puts two halves in the place of the first parcel, which is known not to be stored. They keep its numbers.
func (st *stream) split(p *parcel) error {
	half := int(p.records()) / 2
	front, _, err := rebuild(p.data, func(i int, _ int64) bool { return i < half })
	if err != nil {
		return err
	}
	back, _, err := rebuild(p.data, func(i int, _ int64) bool { return i >= half })
	if err != nil {
		return err
	}
	a, b := *p, *p
	a.data, b.data = front, back
	b.first = p.first + int32(half)
	b.sequence = nextSequence(p.sequence, int32(half))
	p.of.parcels++
	st.parcels = append([]*parcel{&a, &b}, st.parcels[1:]...)
	return nil
}
