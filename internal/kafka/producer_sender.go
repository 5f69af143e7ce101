package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// sender sends to one broker. Its goroutine alone opens connections and writes requests.
type sender struct {
	p    *Producer
	node int32
	wake chan struct{}
	// ended is closed once nothing is sent any more.
	ended chan struct{}

	// guarded by the producer's lock
	queues   []*queue // with batches to send, in the order they came
	inFlight int      // requests
	conn     *connection
	muted    time.Time // until when the broker's quotas silence the connection; see brokerFetcher
}

// sender returns the sender to a broker, starting it first. The lock is held.
func (p *Producer) sender(node int32) *sender {
	s := p.senders[node]
	if s == nil {
		s = &sender{p: p, node: node, wake: make(chan struct{}, 1), ended: make(chan struct{})}
		p.senders[node] = s
		p.wg.Go(s.loop)
	}
	return s
}

// add hands a queue to the sender. The lock is held.
func (s *sender) add(q *queue) {
	q.state = pending
	s.queues = append(s.queues, q)
	s.signal()
}

func (s *sender) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// cut ends what runs on the connection. The lock is held.
func (s *sender) cut() {
	if s.conn != nil {
		s.conn.dial.cut()
	}
}

func (s *sender) loop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer close(s.ended)
	defer s.drop(nil)
	for s.p.run.Err() == nil {
		batches, wait := s.drain()
		if len(batches) > 0 {
			s.send(batches)
			continue
		}
		timer.Reset(wait)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-s.p.run.Done():
		}
	}
}

// drain takes the batches that are to go now, one a partition, or says how long to wait.
func (s *sender) drain() (ready []*batch, wait time.Duration) {
	p := s.p
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = time.Hour
	if s.inFlight >= p.cfg.Producer.MaxInFlight {
		return nil, wait
	}
	now, total := time.Now(), 0
	if rest := s.muted.Sub(now); rest > 0 {
		return nil, rest
	}
	left := s.queues[:0]
	for _, q := range s.queues {
		b := q.batches[0]
		if due := s.due(b, now); due > 0 {
			wait = min(wait, due)
			left = append(left, q)
			continue
		}
		if total > 0 && total+b.size > requestLimit {
			left = append(left, q)
			continue
		}
		total += b.size
		b.closed = true
		q.batches = slices.Delete(q.batches, 0, 1)
		q.flying, q.state = b, inFlight
		ready = append(ready, b)
	}
	clear(s.queues[len(left):])
	s.queues = left
	if len(ready) > 0 {
		s.inFlight++
	}
	return ready, wait
}

// due is how long the first batch of a queue should still wait. The lock is held.
func (s *sender) due(b *batch, now time.Time) time.Duration {
	p := s.p
	if b.full || b.closed || b.size >= p.cfg.Producer.BatchBytes || p.hurry > 0 || p.waiting > 0 || p.closed {
		return 0
	}
	return p.cfg.Producer.Linger - now.Sub(b.created)
}

// send sends one request and arranges for its answer to be handled.
func (s *sender) send(batches []*batch) {
	conn, err := s.connected()
	if err == nil {
		err = s.p.prepare(batches)
	}
	if err != nil {
		s.p.reports.push(&reply{sender: s, conn: conn, batches: batches, err: err})
		return
	}
	req := &sarama.ProduceRequest{
		Version:      10,
		RequiredAcks: sarama.RequiredAcks(s.p.cfg.Producer.Acks),
		Timeout:      int32(s.p.cfg.RequestTimeout / time.Millisecond),
	}
	if id := s.p.cfg.Producer.TransactionalID; id != "" {
		req.TransactionalID = &id
	}
	for _, b := range batches {
		req.AddBatch(b.queue.Topic, b.queue.Partition, b.wire)
	}
	err = conn.broker.AsyncProduce(req, func(resp *sarama.ProduceResponse, err error) {
		s.p.reports.push(&reply{sender: s, conn: conn, batches: batches, resp: resp, err: err, sent: true})
	})
	if err != nil || req.RequiredAcks == sarama.NoResponse {
		s.p.reports.push(&reply{sender: s, conn: conn, batches: batches, err: err, sent: true})
	}
}

// connected returns a connection that works, as far as known.
func (s *sender) connected() (*connection, error) {
	p := s.p
	p.mu.Lock()
	conn := s.conn
	p.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	ctx, cancel := context.WithTimeout(p.run, p.cfg.RequestTimeout)
	defer cancel()
	addr, err := p.client.brokerAddr(ctx, s.node)
	if err != nil {
		return nil, err
	}
	if conn, err = open(p.cfg, addr, p.cfg.Producer.MaxInFlight, 0); err != nil {
		return nil, err
	}
	if err := conn.connect(ctx); err != nil {
		conn.close()
		p.client.forget(s.node)
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.conn = conn
	return conn, nil
}

// drop gives a connection up, unless another took its place; nil means whichever there is.
func (s *sender) drop(conn *connection) {
	s.p.mu.Lock()
	if conn == nil {
		conn = s.conn
	}
	if conn == nil || s.conn != conn {
		s.p.mu.Unlock()
		return
	}
	s.conn = nil
	s.p.mu.Unlock()
	s.p.client.forget(s.node)
	conn.close()
}

// prepare gives batches what they need before they can be written.
func (p *Producer) prepare(batches []*batch) error {
	transactional := p.cfg.Producer.TransactionalID != ""
	id := noIdentity
	if p.cfg.Producer.Idempotent {
		var err error
		if id, err = p.ensureIdentity(p.run); err != nil {
			return err
		}
	}
	if transactional {
		if err := p.addToTransaction(p.run, batches, id); err != nil {
			return err
		}
	}
	for _, b := range batches {
		b.build(p.codec, p.level, transactional)
	}
	if id == noIdentity {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range batches {
		b.number(id)
	}
	return nil
}

// ensureIdentity asks for a producer id unless there is one. Transactional producers have one since
// InitTransactions.
func (p *Producer) ensureIdentity(ctx context.Context) (identity, error) {
	p.identityMu.Lock()
	defer p.identityMu.Unlock()
	p.mu.Lock()
	id := p.identity
	p.mu.Unlock()
	if id != noIdentity || p.cfg.Producer.TransactionalID != "" {
		return id, nil
	}
	err := p.client.anyBroker(ctx, func(b *sarama.Broker) error {
		resp, err := b.InitProducerID(&sarama.InitProducerIDRequest{Version: 4, ProducerID: -1, ProducerEpoch: -1})
		if err != nil {
			return err
		}
		id = identity{resp.ProducerID, resp.ProducerEpoch}
		return p.cfg.answerError(resp.Err, nil, OpWriteIdempotently, "")
	})
	if err != nil {
		return noIdentity, fmt.Errorf("asking for a producer id: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.identity = id
	return id, nil
}

// reply is what became of a request.
type reply struct {
	sender  *sender
	conn    *connection
	batches []*batch
	resp    *sarama.ProduceResponse
	err     error // of the request as a whole
	sent    bool  // bytes may have reached the broker
	final   bool  // from the keeper: the batches failed for good
}

// report handles answers and runs done functions, in one goroutine, so that these come in order.
func (p *Producer) report() {
	for {
		for _, a := range p.reports.take() {
			p.handle(a)
			p.reports.finished()
		}
		select {
		case <-p.reports.wake:
		case <-p.run.Done():
			p.awaitSenders()
			p.failRest()
			return
		}
	}
}

// handle decides for each batch of an answer: stored, to be sent again, or failed.
func (p *Producer) handle(a *reply) {
	if a.final {
		for _, b := range a.batches {
			p.finish(b, -1, 0, a.err)
		}
		return
	}
	if a.err != nil && a.conn != nil && a.sent {
		a.sender.drop(a.conn)
		a.err = a.conn.explain(a.err)
	}
	for _, b := range a.batches {
		offset, logAppendTime, err := p.outcomeOf(a, b)
		if err == nil {
			p.release(b, true)
			p.finish(b, offset, logAppendTime, nil)
			b.recycle()
			continue
		}
		p.failed(b, err, a.sent && (a.err != nil || mayBeStored(err)))
	}
	p.mu.Lock()
	if a.resp != nil && a.resp.ThrottleTime > 0 {
		a.sender.muted = time.Now().Add(a.resp.ThrottleTime)
	}
	a.sender.inFlight--
	a.sender.signal()
	p.mu.Unlock()
}

func (p *Producer) outcomeOf(a *reply, b *batch) (offset, logAppendTime int64, err error) {
	if a.err != nil {
		return 0, 0, a.err
	}
	if a.resp == nil { // acks=0: nobody will tell
		return -1, -1, nil
	}
	block := a.resp.GetBlock(b.queue.Topic, b.queue.Partition)
	if block == nil {
		return 0, 0, &ConnectionError{Addr: a.conn.addr, Reason: "did not answer about " + b.queue.Topic, Err: sarama.ErrIncompleteResponse}
	}
	logAppendTime = -1
	if !block.Timestamp.IsZero() {
		logAppendTime = block.Timestamp.UnixMilli()
	}
	switch block.Err {
	case sarama.ErrNoError:
		return block.Offset, logAppendTime, nil
	case sarama.ErrDuplicateSequenceNumber: // stored by an attempt whose answer was lost
		return -1, logAppendTime, nil
	}
	return 0, 0, p.cfg.answerError(block.Err, block.ErrorMessage, OpWrite, b.queue.Topic)
}

// mayBeStored says whether a broker may have appended a batch that it answers with err: it was not replicated in time, or
// something failed on the way. Retriable refusals from before that are not told apart: they cost a new producer id at most.
func mayBeStored(err error) bool { return IsRetriable(err) || codeOf(err) == sarama.ErrUnknown }

// failed sends a batch again if that can help, else reports it.
func (p *Producer) failed(b *batch, err error, uncertain bool) {
	p.mu.Lock()
	q := b.queue
	b.uncertain = b.uncertain || uncertain
	code := codeOf(err)
	transactional := p.cfg.Producer.TransactionalID != ""
	expired := time.Since(b.created) >= p.cfg.Producer.DeliveryTimeout
	again := IsRetriable(err) && p.run.Err() == nil && !p.txn.Aborting
	switch code {
	case sarama.ErrMessageSizeTooLarge, sarama.ErrMessageSetSizeTooLarge, sarama.ErrInvalidMessageSize:
		if len(b.entries) > 1 {
			b.unnumber()
			first, second := b.split()
			q.batches = append([]*batch{first, second}, q.batches...)
			q.flying = nil
			p.requeue(q)
			p.mu.Unlock()
			return
		}
		err = &RecordTooLargeError{TopicPartition: q.TopicPartition, Size: b.size}
	case sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID, sarama.ErrInvalidProducerEpoch, sarama.ErrInvalidProducerIDMapping:
		if !transactional {
			// The broker lost what it knew of this producer: go on as a new one.
			p.forgetIdentity(q.identity)
			b.sequenced = false
			again = true
		}
	}
	if transactional && (code == sarama.ErrInvalidProducerEpoch || code == sarama.ErrProducerFenced) {
		err = fmt.Errorf("sending to %s-%d: %w", q.Topic, q.Partition, ErrFenced)
		p.fatal = ErrFenced
		again = false
	}
	if again && !expired {
		q.failures++
		q.lastErr = err
		q.flying = nil
		q.batches = append([]*batch{b}, q.batches...)
		p.park(q, time.Now().Add(p.cfg.Backoff(q.failures-1)))
		p.tellUnwritable(q)
		p.mu.Unlock()
		p.logger.Debug("sending again", "topic", q.Topic, "partition", q.Partition, "error", err)
		return
	}
	p.mu.Unlock()
	if again {
		err = p.expiredError(q, err)
	}
	p.release(b, false)
	p.finish(b, -1, 0, err)
}

func (p *Producer) expiredError(q *queue, err error) error {
	return &TimeoutError{
		What: fmt.Sprintf("sending to %s-%d", q.Topic, q.Partition), After: p.cfg.Producer.DeliveryTimeout,
		Key: "delivery.timeout.ms", Err: err,
	}
}

func codeOf(err error) sarama.KError {
	if server, ok := errors.AsType[*ServerError](err); ok {
		return sarama.KError(server.Code)
	}
	return sarama.ErrNoError
}

// forgetIdentity makes the next batch of any partition ask for a new producer id. That of a transaction is needed to abort
// it, which brings a new epoch. The lock is held.
func (p *Producer) forgetIdentity(id identity) {
	if p.identity == id && p.cfg.Producer.TransactionalID == "" {
		p.identity = noIdentity
	}
}

// release frees the partition of a batch that is done, so that its next batch may go while the done
// functions run.
func (p *Producer) release(b *batch, stored bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := b.queue
	if q.flying == b {
		q.flying = nil
	}
	switch {
	case stored:
		q.failures, q.lastErr = 0, nil
		p.tellWritable(q)
	case b.sequenced && b.uncertain:
		// Nobody knows whether the broker counted this batch, so the sequence cannot go on.
		p.forgetIdentity(q.identity)
		q.identity = noIdentity
	default:
		b.unnumber()
	}
	p.requeue(q)
}

// requeue finds out who looks after a queue next. The lock is held.
func (p *Producer) requeue(q *queue) {
	switch {
	case len(q.batches) == 0:
		q.state = idle
	case q.leader < 0:
		p.park(q, time.Time{})
	default:
		p.sender(q.leader).add(q)
	}
}

// finish runs the done functions of a batch and gives its memory back.
func (p *Producer) finish(b *batch, offset, logAppendTime int64, err error) {
	if err != nil {
		p.mu.Lock()
		p.txn.Fail(err)
		p.mu.Unlock()
	}
	m := Metadata{Topic: b.queue.Topic, Partition: b.queue.Partition, Offset: -1}
	for i, e := range b.entries {
		if e.done == nil {
			continue
		}
		if err == nil && offset >= 0 {
			m.Offset = offset + int64(i)
		}
		m.Timestamp = e.timestamp
		if logAppendTime > 0 {
			m.Timestamp = logAppendTime
		}
		e.done(m, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freed(b.charged)
	for _, w := range b.waiters {
		if w.left--; w.left == 0 {
			close(w.done)
		}
	}
}

// awaitSenders waits until nothing is being sent any more: what is must not be handed back by done functions. Senders that
// are made from now on send nothing.
func (p *Producer) awaitSenders() {
	p.mu.Lock()
	var ending []*sender
	for _, s := range p.senders {
		ending = append(ending, s)
	}
	p.mu.Unlock()
	for _, s := range ending {
		<-s.ended
	}
}

// failRest gives every batch that is left its end when the producer closes.
func (p *Producer) failRest() {
	for _, a := range p.reports.take() {
		if a.err == nil || a.final {
			p.handle(a)
		}
		p.reports.finished()
	}
	p.mu.Lock()
	var rest []*batch
	for _, q := range p.queues {
		rest = append(rest, q.all()...)
		q.batches, q.flying, q.state = nil, nil, parked
	}
	for _, s := range p.senders {
		s.queues = nil
	}
	p.mu.Unlock()
	for _, b := range rest {
		p.finish(b, -1, 0, ErrClosed)
	}
}
