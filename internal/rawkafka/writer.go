package rawkafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/internal/kafka"
)

const (
	// produceVersion is the newest that names topics and leaves it to the producer to add partitions to a
	// transaction; implicitAddVersion is the one with which brokers do that (KIP-890).
	produceVersion     = 11
	implicitAddVersion = 12
	// requestBytes bounds the batches in one request, unless there is only one.
	requestBytes = 1 << 20
	// maxRequests are on their way to one broker at a time.
	maxRequests = maxUnacknowledged
)

// writer sends to one broker. Its goroutine alone connects and sends.
type writer struct {
	s    *Sender
	node int32
	wake chan struct{}

	// guarded by the sender's lock
	streams  []*stream // with parcels to send, in the order they came
	inFlight int       // requests
	conn     *connection
	muted    time.Time // until when the broker's quotas want silence
}

// writer returns the writer to a broker, starting it first. The lock is held.
func (s *Sender) writer(node int32) *writer {
	w := s.writers[node]
	if w == nil {
		w = &writer{s: s, node: node, wake: make(chan struct{}, 1)}
		s.writers[node] = w
		s.wg.Go(w.loop)
	}
	return w
}

// add hands a stream to the writer. The lock is held.
func (w *writer) add(st *stream) {
	st.state = listed
	w.streams = append(w.streams, st)
	signal(w.wake)
}

func (w *writer) loop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for w.s.run.Err() == nil {
		load, wait := w.load()
		if len(load) > 0 {
			w.send(load)
			continue
		}
		timer.Reset(wait)
		select {
		case <-w.wake:
		case <-timer.C:
		case <-w.s.run.Done():
		}
	}
	w.s.mu.Lock()
	conn := w.conn
	w.conn = nil
	w.s.mu.Unlock()
	if conn != nil {
		conn.close()
	}
}

// load takes the parcels of the next request, one a partition, in turn, or says how long to wait.
func (w *writer) load() (load []result, wait time.Duration) {
	load, wait = w.choose()
	built := load[:0]
	for _, r := range load {
		if err := r.parcel.build(); err != nil {
			w.s.leaveApart(r, err)
			continue
		}
		built = append(built, r)
	}
	if len(load) > 0 && len(built) == 0 {
		w.done(0, nil)
		wait = 0
	}
	return built, wait
}

// leaveApart takes a bundle that cannot be made apart before it is sent.
func (s *Sender) leaveApart(r result, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logger.Debug("batches are sent one by one", "topic", r.stream.Topic, "partition", r.stream.Partition, "reason", err)
	r.parcel.flying = false
	r.stream.flying--
	s.bundled -= r.parcel.bundled
	r.stream.takeApart(r.parcel)
	s.schedule(r.stream)
}

// choose is load without the making of bundles.
func (w *writer) choose() (load []result, wait time.Duration) {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = time.Hour
	if w.inFlight >= maxRequests || w.inFlight > 0 && w.conn != nil && w.conn.expired() {
		return nil, wait
	}
	if rest := time.Until(w.muted); rest > 0 {
		return nil, rest
	}
	size, n := 0, len(w.streams)
	var again []*stream
	for i, st := range w.streams {
		p := st.next()
		if p != nil && size > 0 && size+p.size() > requestBytes {
			n = i
			break
		}
		st.state = quiet
		if p == nil {
			continue // it failed or was ended since
		}
		if whole := st.bundle(p, bundledBytes-s.bundled); whole != p {
			p = whole
			s.bundled += p.bundled
		}
		size += p.size()
		st.takeOff(p)
		load = append(load, result{stream: st, parcel: p})
		if st.next() != nil {
			st.state = listed
			again = append(again, st)
		}
	}
	// Who was served stands behind who was not.
	w.streams = append(w.streams[n:], again...)
	if len(load) > 0 {
		w.inFlight++
	}
	return load, wait
}

// send sends one request and arranges for its answer to be handled.
func (w *writer) send(load []result) {
	conn, err := w.connected()
	if err == nil {
		err = w.s.prepare(conn, load)
	}
	if err == nil {
		request := w.request(conn, load)
		err = conn.send(request, 0, nil, func(answer []byte, err error) {
			w.answered(conn, request, load, answer, err)
		})
	}
	if err != nil {
		w.failed(conn, load, err)
	}
}

// connected returns a connection that works, as far as is known.
func (w *writer) connected() (*connection, error) {
	s := w.s
	s.mu.Lock()
	conn := w.conn
	s.mu.Unlock()
	if conn != nil && !conn.broken() && !conn.expired() {
		return conn, nil
	}
	if conn != nil {
		conn.close()
	}
	ctx, cancel := context.WithTimeout(s.run, s.cfg.RequestTimeout)
	defer cancel()
	addr, err := s.client.Addr(ctx, w.node)
	if err == nil {
		conn, err = dial(ctx, s.client, s.cfg, addr)
	}
	if s.run.Err() != nil {
		err = kafka.ErrClosed
		if conn != nil && !conn.broken() {
			conn.close()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.conn = nil
	if err != nil {
		s.client.Forget(w.node)
		return nil, err
	}
	w.conn = conn
	return conn, nil
}

// prepare gives parcels what they need to be sent: an identity, a place in the transaction, numbers, a header.
func (s *Sender) prepare(conn *connection, load []result) error {
	id, err := s.identify(conn)
	if err != nil {
		return err
	}
	if s.transactional() {
		if err := s.addToTransaction(load, conn); err != nil {
			return err
		}
	}
	s.mu.Lock()
	for _, r := range load {
		own := r.stream.id
		if own == noIdentity || s.transactional() {
			own = id
		}
		r.stream.number(r.parcel, own)
	}
	s.mu.Unlock()
	for _, r := range load {
		if p := r.parcel; !p.stamped {
			p.data.stamp(p.id, p.sequence, s.transactional())
			p.stamped = true
		}
	}
	return nil
}

// identify returns the producer's identity, after asking for one if there is none. Transactional producers have
// one since InitTransactions.
func (s *Sender) identify(conn *connection) (identity, error) {
	s.mu.Lock()
	id := s.identity
	s.mu.Unlock()
	if id != noIdentity || s.transactional() {
		return id, nil
	}
	request := kmsg.NewPtrInitProducerIDRequest()
	request.Version = conn.version(kmsg.InitProducerID, 4)
	request.ProducerID, request.ProducerEpoch = noProducer, noProducer
	var resp kmsg.InitProducerIDResponse
	if err := conn.ask(s.run, request, &resp); err != nil {
		return noIdentity, fmt.Errorf("asking for a producer id: %w", err)
	}
	if err := s.client.AnswerError(resp.ErrorCode, nil, kafka.OpWriteIdempotently, ""); err != nil {
		return noIdentity, fmt.Errorf("asking for a producer id: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.identity == noIdentity { // another writer may have been faster
		s.identity = identity{resp.ProducerID, resp.ProducerEpoch}
	}
	return s.identity, nil
}

func (w *writer) request(conn *connection, load []result) *kmsg.ProduceRequest {
	request := kmsg.NewPtrProduceRequest()
	request.Version = conn.version(kmsg.Produce, produceVersion)
	if w.s.transactional() {
		if implicitAdds(conn) {
			request.Version = implicitAddVersion
		}
		id := w.s.cfg.Producer.TransactionalID
		request.TransactionID = &id
	}
	request.Acks = -1
	request.TimeoutMillis = int32(w.s.cfg.RequestTimeout / time.Millisecond)
	topics := map[string]int{}
	for _, r := range load {
		i, ok := topics[r.stream.Topic]
		if !ok {
			i = len(request.Topics)
			topics[r.stream.Topic] = i
			topic := kmsg.NewProduceRequestTopic()
			topic.Topic = r.stream.Topic
			request.Topics = append(request.Topics, topic)
		}
		partition := kmsg.NewProduceRequestTopicPartition()
		partition.Partition, partition.Records = r.stream.Partition, r.parcel.data
		request.Topics[i].Partitions = append(request.Topics[i].Partitions, partition)
	}
	return request
}

// answered takes the answer to a request, or the end of its connection.
func (w *writer) answered(conn *connection, request *kmsg.ProduceRequest, load []result, answer []byte, err error) {
	var resp kmsg.ProduceResponse
	if err == nil {
		resp.Version = request.Version
		if err = resp.ReadFrom(answer); err != nil {
			conn.cut()
			err = conn.socket.Explain(err, true)
		}
	}
	if err != nil {
		w.failed(conn, load, err)
		return
	}
	type place struct {
		topic     string
		partition int32
	}
	answers := make(map[place]*kmsg.ProduceResponseTopicPartition, len(load))
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			answers[place{resp.Topics[i].Topic, p.Partition}] = p
		}
	}
	for i := range load {
		r := &load[i]
		p := answers[place{r.stream.Topic, r.stream.Partition}]
		if p == nil {
			r.err = &kafka.ConnectionError{Addr: w.addr(), Reason: "did not answer about " + r.stream.Topic, Err: errMixedUp}
			continue
		}
		r.base, r.err = p.BaseOffset, w.s.client.AnswerError(p.ErrorCode, p.ErrorMessage, kafka.OpWrite, r.stream.Topic)
		if isAny(r.err, errDuplicateSequence) { // stored by an attempt whose answer was lost
			r.base, r.err = -1, nil
		}
	}
	w.s.client.Report(nil)
	w.done(time.Duration(resp.ThrottleMillis)*time.Millisecond, load)
}

func (w *writer) addr() string { return fmt.Sprintf("broker %d", w.node) }

// failed takes it that a request was not answered.
func (w *writer) failed(conn *connection, load []result, err error) {
	s := w.s
	if conn != nil && conn.broken() {
		s.mu.Lock()
		if w.conn == conn {
			s.client.Forget(w.node)
		}
		s.mu.Unlock()
	}
	if s.run.Err() != nil {
		err = kafka.ErrClosed
	} else if kafka.IsRetriable(err) {
		w.report(load, err)
	}
	for i := range load {
		load[i].err = &requestError{err}
	}
	w.done(0, load)
}

// report tells of a broker that does not answer, once that has happened a few times.
func (w *writer) report(load []result, err error) {
	w.s.mu.Lock()
	failures := load[0].stream.failures
	w.s.mu.Unlock()
	if failures+1 >= quietFailures {
		w.s.client.Report(err)
	}
}

func (w *writer) done(throttle time.Duration, load []result) {
	w.s.handle(load)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if throttle > 0 {
		w.muted = time.Now().Add(throttle)
	}
	w.inFlight--
	signal(w.wake)
}
