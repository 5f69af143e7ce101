package rawkafka

import (
	"context"
	"fmt"
	"slices"
	"sync"
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
	// maxRequests are on their way on one connection at a time.
	maxRequests = maxUnacknowledged
	// maxWays is how many connections there are to a broker, among which partitions with compressed batches are shared out:
	// a broker works on one request of a connection at a time.
	maxWays = 2
)

// way is one of the connections to a broker.
type way struct {
	node int32
	lane int
}

// writer sends to one broker on one connection. Its goroutine alone connects; while there is a connection, the goroutine that
// reads the answers sends what may follow them, without waking another.
type writer struct {
	s *Sender
	way
	wake chan struct{}

	sending sync.Mutex // taken before the sender's lock
	left    []result   // guarded by sending: taken by the reading goroutine, and to be sent next

	// guarded by the sender's lock
	streams  []*stream // with parcels to send, in the order they came
	again    []*stream // room for those of which more is to be sent
	inFlight int       // requests
	onWay    int       // parcels
	conn     *connection
	muted    time.Time // until when the broker's quotas want silence
}

// writer returns the writer of a stream, starting it first. The lock is held.
func (s *Sender) writer(st *stream) *writer {
	to := way{st.leader, st.lane}
	w := s.writers[to]
	if w == nil {
		w = &writer{s: s, way: to, wake: make(chan struct{}, 1)}
		s.writers[to] = w
		s.wg.Go(w.loop)
	}
	return w
}

// add hands a stream to the writer. The lock is held.
func (w *writer) add(st *stream) {
	st.state = listed
	w.streams = append(w.streams, st)
	if w.inFlight < maxRequests {
		signal(w.wake)
	}
}

func (w *writer) loop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for w.s.run.Err() == nil {
		sent, wait := w.sendNext()
		if sent {
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

// sendNext sends a request if there is one to send, or says how long to wait.
func (w *writer) sendNext() (sent bool, wait time.Duration) {
	w.sending.Lock()
	defer w.sending.Unlock()
	load := w.left
	if w.left = nil; load == nil {
		load, wait = w.load()
	}
	if len(load) == 0 {
		return false, wait
	}
	w.send(load)
	return true, 0
}

// maxRelayed is with how many parcels on their way the reading goroutine may send: until it reads again, their
// answers must fit into the socket.
const maxRelayed = 256

// relay sends what may follow an answer on the connection, as far as nothing has to be asked before. It is for the goroutine
// that reads the answers.
func (w *writer) relay(conn *connection) {
	if !w.sending.TryLock() {
		signal(w.wake)
		return
	}
	defer w.sending.Unlock()
	for w.left == nil {
		load, wait := w.load()
		if len(load) == 0 {
			if wait < time.Hour {
				signal(w.wake)
			}
			return
		}
		id, ready := w.ready(conn)
		if !ready {
			w.left = load
			break
		}
		w.transmit(conn, id, load)
	}
	signal(w.wake)
}

// ready is whether the reading goroutine may send, and under which identity.
func (w *writer) ready(conn *connection) (identity, bool) {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	ok := w.conn == conn && !conn.broken() && !conn.expired() && w.onWay <= maxRelayed && s.run.Err() == nil
	if s.transactional() {
		ok = ok && s.txn.implicit && implicitAdds(conn)
	}
	return s.identity, ok && s.identity != noIdentity
}

// leaveApart takes bundles apart that could not be made, as their err says why, and so were not sent.
func (w *writer) leaveApart(left []result) {
	if len(left) == 0 {
		return
	}
	s := w.s
	s.mu.Lock()
	w.onWay -= len(left)
	for i, r := range left {
		s.logger.Debug("batches are sent one by one", "topic", r.stream.Topic, "partition", r.stream.Partition, "reason", r.err)
		r.parcel.flying = false
		r.stream.flying--
		r.stream.takeApart(r.parcel)
		left[i].parcel = nil
	}
	s.mu.Unlock()
	s.handle(left) // what was before them may have failed meanwhile
}

// load takes the parcels of the next request, one a partition, in turn, or says how long to wait.
func (w *writer) load() (load []result, wait time.Duration) {
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
	again := w.again[:0]
	defer func() { clear(again); w.again = again }()
	for i, st := range w.streams {
		p := st.next()
		if p != nil && (st.leader != w.node || st.lane != w.lane || time.Now().Before(st.retryAt)) {
			st.state = quiet // what was sent of it meanwhile failed: it has its pause, and its leader is looked for
			s.schedule(st)
			continue
		}
		if p != nil && !w.mayAdd(st) {
			again = append(again, st)
			continue
		}
		if p != nil && size > 0 && size+p.size() > requestBytes {
			n = i
			break
		}
		st.state = quiet
		if p == nil {
			continue // it failed or was ended since
		}
		p = st.bundle(p)
		size += p.size()
		st.takeOff(p)
		load = append(load, result{stream: st, parcel: p})
		if st.next() != nil {
			st.state = listed
			again = append(again, st)
		}
	}
	// Who was served stands behind who was not.
	w.streams = append(slices.Delete(w.streams, 0, n), again...)
	if len(load) > 0 {
		w.inFlight++
		w.onWay += len(load)
	}
	return load, wait
}

// mayAdd says whether a batch of st may be sent, as far as the transaction is concerned. A broker asks the transaction's
// coordinator about each partition's first batch in it (KIP-890), and when a request on another connection brings more of them
// meanwhile, it drops that question and refuses the batches with NETWORK_EXCEPTION; the next attempt may cost half the time of a
// transaction. So until one connection's request is answered, no other one to that broker takes first batches. The lock is held.
func (w *writer) mayAdd(st *stream) bool {
	s := w.s
	if !s.transactional() || st.added == s.txn.Round {
		return true
	}
	if s.adding[w.node] == nil {
		s.adding[w.node] = w
	}
	return s.adding[w.node] == w
}

// hasAdded takes it that a request was answered, or failed. The lock is held.
func (w *writer) hasAdded() {
	if w.s.adding[w.node] != w {
		return
	}
	delete(w.s.adding, w.node)
	for lane := range maxWays {
		if other := w.s.writers[way{w.node, lane}]; other != nil && other != w && len(other.streams) > 0 {
			signal(other.wake)
		}
	}
}

// send connects if need be, and sends one request.
func (w *writer) send(load []result) {
	conn, err := w.connected()
	var id identity
	if err == nil {
		id, err = w.s.identify(conn)
	}
	if err != nil {
		w.failed(conn, load, err)
		return
	}
	w.transmit(conn, id, load)
}

// transmit sends one request and arranges for its answer to be handled.
func (w *writer) transmit(conn *connection, id identity, load []result) {
	err := w.s.prepare(conn, id, load)
	if err == nil {
		request := w.request(conn, load)
		err = conn.send(request, 0, nil, func(answer []byte, err error) {
			w.answered(conn, request, answer, err)
		})
		load = request.load
		w.leaveApart(request.left)
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

// prepare gives parcels what they need to be sent: a place in the transaction, numbers under an identity that was the
// sender's after they were taken.
func (s *Sender) prepare(conn *connection, id identity, load []result) error {
	if s.transactional() {
		if err := s.addToTransaction(load, conn); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range load {
		own := r.stream.id
		if own == noIdentity || s.transactional() {
			own = id
		}
		r.stream.number(r.parcel, own)
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

func (w *writer) request(conn *connection, load []result) *produceRequest {
	request := &produceRequest{ProduceRequest: kmsg.NewPtrProduceRequest(), load: load}
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
	return request
}

// answered takes the answer to a request, or the end of its connection.
func (w *writer) answered(conn *connection, request *produceRequest, answer []byte, err error) {
	load := request.load
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
	w.relay(conn)
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
	signal(w.wake)
}

// report tells of a broker that does not answer, once that has happened a few times.
func (w *writer) report(load []result, err error) {
	if len(load) == 0 {
		return
	}
	w.s.mu.Lock()
	failures := load[0].stream.failures
	w.s.mu.Unlock()
	if failures+1 >= quietFailures {
		w.s.client.Report(err)
	}
}

// done takes the outcome of a request. Its caller sees to what may be sent now.
func (w *writer) done(throttle time.Duration, load []result) {
	w.s.handle(load)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.hasAdded()
	if throttle > 0 {
		w.muted = time.Now().Add(throttle)
	}
	w.inFlight--
	w.onWay -= len(load)
}
