package rawkafka

import (
	"encoding/binary"
	"fmt"

	"tributary/internal/kafka"
)

// Uncompressed batches of a partition that wait for their turn are sent as one: a request takes one batch a partition,
// and brokers want five unanswered ones at most, so small batches would make a partition as slow as the way to the
// broker is long. Their records are copied with other places in their batch, and otherwise as they are. Compressed
// batches would have to be compressed anew, so they stay alone.

// bundleBytes bounds the batch that others become: well below the default of message.max.bytes.
const bundleBytes = 128 << 10

// Errors that concern single records: a bundle that is refused for one of them is taken apart, so that the batches
// around the one that is to blame are stored and the right one is blamed.
var errsOfRecords = []error{
	errMessageTooLarge, errRecordListTooLarge,
	&kafka.ServerError{Code: 32}, // INVALID_TIMESTAMP
	&kafka.ServerError{Code: 44}, // POLICY_VIOLATION
	&kafka.ServerError{Code: 87}, // INVALID_RECORD
}

// joinable says whether a parcel may become a part of a bundle: it has no number yet, and records that can be moved
// to another batch by rewriting what stands before their keys.
func (p *parcel) joinable(limit int) bool {
	return !p.flying && !p.stored && !p.numbered && !p.alone && p.parts == nil &&
		len(p.data) <= limit/2 && p.data.codec() == 0 && !p.data.is(appendTimeBit) && p.data.baseTimestamp() >= 0
}

// bundle puts one parcel in the place of p and those that follow it in the stream, if they can be joined, and returns
// it; otherwise p itself. What the parts hold is copied when it is sent.
func (st *stream) bundle(p *parcel) *parcel {
	limit := st.bundleLimit
	if !p.joinable(limit) {
		return p
	}
	from, to, size := st.place(p), 0, headerSize
	for to = from; to < len(st.parcels); to++ {
		next := st.parcels[to]
		if !next.joinable(limit) || size+next.size() > limit {
			break
		}
		size += next.size()
	}
	if to-from < 2 {
		return p
	}
	all := &parcel{parts: append([]*parcel(nil), st.parcels[from:to]...), bundled: size, created: p.created, id: noIdentity}
	st.parcels = append(append(st.parcels[:from:from], all), st.parcels[to:]...)
	return all
}

// place is where in the stream a parcel stands.
func (st *stream) place(p *parcel) int {
	for i, q := range st.parcels {
		if p == q {
			return i
		}
	}
	panic("a parcel does not stand in its stream")
}

// takeApart puts the parts of a bundle in its place; it must not be flying. They keep its numbers.
func (st *stream) takeApart(all *parcel) {
	sequence := all.sequence
	for _, p := range all.parts {
		p.alone = true
		if all.numbered {
			p.id, p.numbered, p.sequence = all.id, true, sequence
			sequence = nextSequence(sequence, p.records())
		}
	}
	at := st.place(all)
	st.parcels = append(append(st.parcels[:at:at], all.parts...), st.parcels[at+1:]...)
}

// appendBundle writes the batch of a bundle as stamp would have it.
func (p *parcel) appendBundle(to []byte, transactional bool) ([]byte, error) {
	start := len(to)
	made, base, latest, count := append(to, make([]byte, headerSize)...), p.parts[0].data.baseTimestamp(), int64(noTimestamp), int32(0)
	for _, part := range p.parts {
		r := recordReader{rest: part.data[headerSize:]}
		shift := part.data.baseTimestamp() - base
		for range part.records() {
			if !r.next(r.rest) {
				return to, fmt.Errorf("a record of the batch with %d records cannot be decoded", part.records())
			}
			made = appendRecord(made, r.attributes, r.timestampDelta+shift, int64(count), r.body)
			count++
		}
		latest = max(latest, part.data.maxTimestamp())
	}
	whole := batch(made[start:])
	putInt32(whole[atLength:], int32(len(whole)-lengthPrefix))
	whole[atMagic] = 2
	putInt32(whole[atLastDelta:], count-1)
	binary.BigEndian.PutUint64(whole[atBaseTimestamp:], uint64(base))
	binary.BigEndian.PutUint64(whole[atMaxTimestamp:], uint64(latest))
	putInt32(whole[atCount:], count)
	whole.label(p.id, p.sequence, transactional)
	whole.sum()
	return made, nil
}

// ended hands what became of a bundle on to its parts.
func (p *parcel) ended(tell func(*parcel)) {
	base := p.base
	for _, part := range p.parts {
		part.err, part.base = p.err, base
		if base >= 0 {
			base += int64(part.records())
		}
		tell(part)
	}
}
