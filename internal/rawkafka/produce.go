package rawkafka

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceRequest is a kmsg.ProduceRequest that puts its batches together where they are sent from: they are copied once,
// bundles are made in place, and headers are changed in the copy.
type produceRequest struct {
	*kmsg.ProduceRequest // without topics
	load                 []result
	// left are, once it is encoded, the bundles that could not be made, as their err says; they are not in load any more.
	left  []result
	least int // see leastAnswer
}

// What an answer of the compact form has at least: its size, correlation, tags, throttle and tags; for each topic, beside
// what is said of its name, tags; for each partition number, error, offset, time, start, two empty lists and tags.
const (
	leastOfAnswer    = 4 + 4 + 1 + 4 + 1
	leastOfTopic     = 1
	leastOfPartition = 4 + 2 + 8 + 8 + 8 + 1 + 1 + 1
)

// leastAnswer is how many bytes the answer has at least, once the request is encoded; 0 if that is not known.
func (r *produceRequest) leastAnswer() int { return r.least }

// AppendTo implements kmsg.Request.
func (r *produceRequest) AppendTo(to []byte) []byte {
	slices.SortStableFunc(r.load, func(a, b result) int { return cmp.Compare(a.stream.Topic, b.stream.Topic) })
	w := wire{to: to, compact: r.IsFlexible()}
	w.nullableString(r.TransactionID)
	w.to = binary.BigEndian.AppendUint16(w.to, uint16(r.Acks))
	w.to = binary.BigEndian.AppendUint32(w.to, uint32(r.TimeoutMillis))
	topics := w.open(1)
	n, sent, names := 0, r.load[:0], 0
	for i := 0; i < len(r.load); n++ {
		topic := r.load[i].stream.Topic
		before := len(w.to)
		w.nullableString(&topic)
		names += len(w.to) - before
		partitions, first := w.open(1), len(sent)
		for ; i < len(r.load) && r.load[i].stream.Topic == topic; i++ {
			one := r.load[i]
			if one.err = w.batch(one.stream.Partition, one.parcel, r.TransactionID != nil); one.err != nil {
				r.left = append(r.left, one)
				continue
			}
			sent = append(sent, one)
		}
		names += w.shut(partitions, len(sent)-first)
		w.tags()
	}
	names += w.shut(topics, n)
	w.tags()
	r.load = sent
	if w.compact {
		r.least = leastOfAnswer + names + n*leastOfTopic + len(sent)*leastOfPartition
	}
	return w.to
}

// wire writes what Kafka's requests are made of, in either of the two forms that lengths have.
type wire struct {
	to      []byte
	compact bool
}

// tags writes that there are none.
func (w *wire) tags() {
	if w.compact {
		w.to = append(w.to, 0)
	}
}

func (w *wire) nullableString(s *string) {
	switch {
	case w.compact && s == nil:
		w.to = append(w.to, 0)
	case w.compact:
		w.to = append(binary.AppendUvarint(w.to, uint64(len(*s)+1)), *s...)
	case s == nil:
		w.to = append(w.to, 0xff, 0xff)
	default:
		w.to = append(binary.BigEndian.AppendUint16(w.to, uint16(len(*s))), *s...)
	}
}

// room is where a length stands that is not known yet.
type room struct{ at, size int }

// open leaves room for the length of what follows; it is not moved later if its compact form has likely bytes.
func (w *wire) open(likely int) room {
	size := 4
	if w.compact {
		size = likely
	}
	at := len(w.to)
	w.to = append(w.to, make([]byte, size)...)
	return room{at, size}
}

// shut writes a length where open has left room for it, and returns how many bytes it took.
func (w *wire) shut(r room, n int) int {
	if !w.compact {
		putInt32(w.to[r.at:], int32(n))
		return r.size
	}
	var length [binary.MaxVarintLen32]byte
	size := binary.PutUvarint(length[:], uint64(n+1))
	w.to = slices.Replace(w.to, r.at, r.at+r.size, length[:size]...)
	return size
}

// batch writes one partition of a request, or nothing if the batch cannot be made.
func (w *wire) batch(partition int32, p *parcel, transactional bool) (err error) {
	start := len(w.to)
	w.to = binary.BigEndian.AppendUint32(w.to, uint32(partition))
	length := w.open(3) // 16 kB to 2 MB
	from := len(w.to)
	if p.parts == nil {
		w.to = append(w.to, p.data...)
		batch(w.to[from:]).stamp(p.id, p.sequence, transactional)
	} else if w.to, err = p.appendBundle(w.to, transactional); err != nil {
		w.to = w.to[:start]
		return err
	}
	w.shut(length, len(w.to)-from)
	w.tags()
	return nil
}
