package rawkafka

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tributary/internal/kafka"
)

// Sender writes whole record batches under a producer id of its own (KIP-98), to which the batches of each
// partition are numbered, so that none is stored twice however often it is sent. Each request carries one batch
// a partition, as brokers want it, and several requests are on their way to a broker at a time, on two connections if batches are compressed.
//
// Order holds within a partition, whatever happens: when a batch is not stored, everything behind it is awaited
// and sent again after it. Failures that may pass are retried for as long as delivery.timeout.ms says. Batches
// that are too large for the target are split. Another failure fails all that is on its way to the partition along with
// the batch, for it must not be stored before it.
//
// With a transactional.id it is a transactional producer, see InitTransactions.
//
// Goroutines: a writer for each connection, its reader, and a keeper, which finds leaders and retries. Close ends and awaits all. Methods may be called from any goroutine.
type Sender struct {
	client *kafka.Client
	cfg    *kafka.Config
	logger *slog.Logger
	// notices are of single partitions.
	notices *kafka.Notices

	run    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// outcomes is held while answers are worked on and told, so that batches of a partition are told in
	// order. It is taken before mu.
	outcomes sync.Mutex
	told     []*parcel // guarded by outcomes: room for those to tell of

	mu         sync.Mutex
	streams    map[kafka.TopicPartition]*stream
	writers    map[way]*writer
	led        map[int32]int     // how many lanes to a broker were chosen
	adding     map[int32]*writer // see writer.mayAdd
	parked     map[*stream]struct{}
	unfinished int           // batches
	changed    chan struct{} // closed when unfinished falls to 0; nil while nobody waits
	identity   identity
	closed     bool
	fatal      error // fails whatever is sent
	keeperWake chan struct{}
	sizes      map[string]topicSize // of topics where records are placed by key

	txn         transaction // guarded by mu
	coordinator coordinator
}

// NewSender returns a sender that finds its brokers by the client and connects with cfg, which must be of
// RoleProducer. It does not touch the network.
func NewSender(client *kafka.Client, cfg *kafka.Config, logger *slog.Logger) *Sender {
	run, cancel := context.WithCancel(context.Background())
	s := &Sender{
		client: client, cfg: cfg, logger: logger, notices: kafka.NewNotices(logger, client.Bootstrap()), run: run, cancel: cancel,
		streams: map[kafka.TopicPartition]*stream{}, writers: map[way]*writer{}, led: map[int32]int{}, adding: map[int32]*writer{}, parked: map[*stream]struct{}{},
		identity: noIdentity, keeperWake: make(chan struct{}, 1), sizes: map[string]topicSize{},
	}
	s.coordinator.sender = s
	s.wg.Go(s.keep)
	return s
}

// Send hands a batch over; it waits for no more than the Done of batches before it that are given up. When it returns an
// error, Done is never called.
func (s *Sender) Send(o *Outgoing) error {
	s.mu.Lock()
	st, err := s.settled(o.TopicPartition)
	stale := err == nil && o.Stale != nil && o.Stale()
	if err == nil && !stale {
		s.put(st, o)
	}
	s.mu.Unlock()
	if stale {
		o.tell(Outcome{Err: kafka.ErrStale})
	}
	return err
}

// settled returns the stream of a partition when all is told that was given up of it. The lock is held, but not all the
// time.
func (s *Sender) settled(tp kafka.TopicPartition) (*stream, error) {
	for {
		if err := s.usable(); err != nil {
			return nil, err
		}
		st := s.streams[tp]
		if st == nil {
			st = &stream{TopicPartition: tp, leader: -1, id: noIdentity, bundleLimit: bundleBytes, transactional: s.transactional(), proven: s.transactional()}
			s.streams[tp] = st
		}
		settling := st.settling
		if settling == nil {
			return st, nil
		}
		s.mu.Unlock()
		<-settling
		s.mu.Lock()
	}
}

// put gives a batch its place behind the others of its partition. The lock is held.
func (s *Sender) put(st *stream, o *Outgoing) {
	o.whole = parcel{of: o, data: o.Data, created: time.Now(), id: noIdentity}
	o.parcels = 1
	st.parcels = append(st.parcels, &o.whole)
	if st.stuck() && st.flying == 0 {
		st.own()
	}
	s.unfinished++
	s.schedule(st)
}

// usable says why nothing may be sent now. The lock is held.
func (s *Sender) usable() error {
	switch {
	case s.closed:
		return kafka.ErrClosed
	case s.fatal != nil:
		return s.fatal
	case s.transactional():
		return s.txn.Sendable()
	}
	return nil
}

// schedule makes sure that somebody looks after a stream with something to send. The lock is held.
func (s *Sender) schedule(st *stream) {
	switch {
	case st.state != quiet:
	case st.next() == nil:
	case st.leader < 0 || time.Now().Before(st.retryAt):
		s.park(st)
	default:
		s.writer(st).add(st)
	}
}

// handle works on what became of the parcels of a request, and tells it.
func (s *Sender) handle(results []result) {
	s.outcomes.Lock()
	defer s.outcomes.Unlock()
	s.mu.Lock()
	told := s.told[:0]
	for _, r := range results {
		if r.parcel != nil {
			r.stream.landed(r.parcel, r.base, r.err)
		}
	}
	for _, r := range results {
		st := r.stream
		told = st.arrived(told)
		switch {
		case st.refused == nil:
			if r.err == nil {
				s.succeeded(st)
			}
		case st.flying == 0:
			told = append(told, s.mend(st)...)
		}
		s.schedule(st)
	}
	s.mu.Unlock()
	for _, p := range told {
		s.tell(p)
	}
	clear(told) // their bytes are not ours any more
	s.told = told
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range results {
		if st := r.stream; st.settling != nil {
			close(st.settling)
			st.settling = nil
		}
	}
}

// result is what became of one parcel.
type result struct {
	stream *stream
	parcel *parcel // nil if it was not sent and has been seen to
	base   int64
	err    error
}

// tell notes that a parcel is done with: stored, or failed if its err is set. It calls Done with the last one of a
// batch. The lock is not held.
func (s *Sender) tell(p *parcel) {
	if p.parts != nil {
		p.ended(s.tell)
		return
	}
	o := p.of
	if o.pieces == nil {
		o.pieces = o.piece[:0]
	}
	if p.err == nil {
		o.pieces = append(o.pieces, Piece{First: p.first, Records: p.records(), Base: p.base})
	} else if o.err == nil {
		o.err = p.err
	}
	if o.parcels--; o.parcels > 0 {
		return
	}
	o.tell(Outcome{Pieces: o.pieces, Err: o.err})
	s.finished(1)
}

func (s *Sender) finished(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unfinished -= n; s.unfinished == 0 && s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Unwritable returns the partitions of which several writes in a row have failed and are tried on, with the last reason.
func (s *Sender) Unwritable() map[kafka.TopicPartition]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stuck := map[kafka.TopicPartition]error{}
	for tp, st := range s.streams {
		if st.stuck() && st.lastErr != nil && len(st.parcels) > 0 {
			stuck[tp] = st.lastErr
		}
	}
	return stuck
}

// succeeded ends a run of failures: all that has arrived is stored. The lock is held.
func (s *Sender) succeeded(st *stream) {
	st.failures, st.lastErr, st.retryAt, st.added = 0, nil, time.Time{}, s.txn.Round
	if st.logged != "" {
		st.logged, st.named = "", false
		s.notices.Say(slog.LevelInfo, kafka.WritableNotice, st.TopicPartition, "")
	}
}
