package rawkafka

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/internal/kafka"
)

// maxAnswer bounds the answer that a broker may announce.
const maxAnswer = 1 << 30

// connection sends requests to one broker, in the order of its callers, and hands each answer to who asked for
// it. One goroutine reads; it ends with close, or when the connection breaks.
type connection struct {
	client    *kafka.Client
	socket    *kafka.Socket
	reader    *bufio.Reader
	formatter *kmsg.RequestFormatter
	timeout   time.Duration
	// versions are the newest that the broker knows, by API key, and features its finalized ones.
	versions map[int16]int16
	features map[string]int16
	// expires is when the login ends (KIP-368), zero for never.
	expires time.Time
	ended   chan struct{} // the reading goroutine is gone

	writeMu     sync.Mutex // serialises requests
	correlation int32
	out         []byte

	// of the reading goroutine
	gathered int           // for how many bytes it wakes
	quickest time.Duration // the shortest time that an answer took, 0 before the first
	line     time.Duration // to the broker's machine, or to a proxy before it; 0 before it was measured, negative if it cannot be

	mu       sync.Mutex
	waiting  []*call
	answered bool
	err      error // why it is of no more use
	readBy   time.Time

	writeBy time.Time // guarded by writeMu
}

// call is a request on its way.
type call struct {
	request     kmsg.Request
	correlation int32
	sent        time.Time
	deadline    time.Time
	size        int // in bytes
	least       int // of the answer; 0 is not known
	// place returns where to read the answer to, nil for a slice of its own.
	place func(size int) []byte
	// done is called once, on the reading goroutine or on that of the caller.
	done func(answer []byte, err error)
}

// dial connects and logs in.
func dial(ctx context.Context, client *kafka.Client, cfg *kafka.Config, addr string) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.RequestTimeout)
	defer cancel()
	socket, err := client.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	c := &connection{
		client: client, socket: socket, reader: bufio.NewReaderSize(socket, 16<<10), timeout: cfg.RequestTimeout,
		formatter: kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID(cfg))), ended: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer stop()
	if err = c.askVersions(); err == nil && cfg.Security.SASL != nil {
		err = c.logIn(ctx, cfg.Security.SASL, addr)
	}
	if err != nil {
		_ = socket.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, ctx.Err())
		}
		return nil, socket.Explain(err, false)
	}
	if !stop() {
		return nil, socket.Explain(os.ErrDeadlineExceeded, false)
	}
	go c.read()
	return c, nil
}

func clientID(cfg *kafka.Config) string {
	if cfg.ClientID != "" {
		return cfg.ClientID
	}
	return "tributary-" + cfg.Role.String()
}

// unsupportedVersion is the error code of a request whose version the broker does not know.
const unsupportedVersion = 35

func (c *connection) askVersions() error {
	request := kmsg.NewPtrApiVersionsRequest()
	request.Version, request.ClientSoftwareName, request.ClientSoftwareVersion = 3, "tributary", "1"
	resp := request.ResponseKind().(*kmsg.ApiVersionsResponse)
	answer, err := c.exchange(request)
	if err != nil {
		return err
	}
	if len(answer) >= 2 && binary.BigEndian.Uint16(answer) == unsupportedVersion {
		request.Version, resp.Version = 0, 0
		if answer, err = c.exchange(request); err != nil {
			return err
		}
	}
	resp.Version = request.Version
	if err := resp.ReadFrom(answer); err != nil {
		return err
	}
	if err := c.client.AnswerError(resp.ErrorCode, nil, "", ""); err != nil {
		return err
	}
	c.versions, c.features = make(map[int16]int16, len(resp.ApiKeys)), map[string]int16{}
	for _, k := range resp.ApiKeys {
		c.versions[k.ApiKey] = k.MaxVersion
	}
	for _, f := range resp.FinalizedFeatures {
		c.features[f.Name] = f.MaxVersionLevel
	}
	return nil
}

func (c *connection) logIn(ctx context.Context, sasl *kafka.SASL, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Version, handshake.Mechanism = 1, sasl.Mechanism
	var offered kmsg.SASLHandshakeResponse
	if err := c.exchangeInto(handshake, &offered); err != nil {
		return err
	}
	if err := c.client.AnswerError(offered.ErrorCode, nil, "", ""); err != nil {
		return err
	}
	login, next, err := sasl.BeginLogin(ctx, host)
	for done := false; err == nil && (!done || len(next) > 0); {
		request := kmsg.NewPtrSASLAuthenticateRequest()
		request.Version, request.SASLAuthBytes = min(c.versions[request.Key()], 2), next
		var answer kmsg.SASLAuthenticateResponse
		if err := c.exchangeInto(request, &answer); err != nil {
			return err
		}
		if err := c.client.AnswerError(answer.ErrorCode, answer.ErrorMessage, "", ""); err != nil {
			return err
		}
		if answer.SessionLifetimeMillis > 0 {
			// Leave a login before the broker ends it, as Java does: early in the last sixth.
			c.expires = time.Now().Add(time.Duration(answer.SessionLifetimeMillis) * time.Millisecond * 5 / 6)
		}
		if done {
			return nil
		}
		done, next, err = login.Challenge(answer.SASLAuthBytes)
	}
	return err
}

// exchange sends a request and reads its answer. It is for the time before the reading goroutine runs.
func (c *connection) exchange(request kmsg.Request) ([]byte, error) {
	c.correlation++
	if _, err := c.socket.Write(c.formatter.AppendRequest(nil, request, c.correlation)); err != nil {
		return nil, err
	}
	size, correlation, err := c.readHead()
	if err != nil {
		return nil, err
	}
	answer := make([]byte, size)
	if _, err := io.ReadFull(c.reader, answer); err != nil {
		return nil, err
	}
	if correlation != c.correlation {
		return nil, errMixedUp
	}
	return trimTags(request, answer)
}

func (c *connection) exchangeInto(request kmsg.Request, into kmsg.Response) error {
	answer, err := c.exchange(request)
	if err != nil {
		return err
	}
	into.SetVersion(request.GetVersion())
	return into.ReadFrom(answer)
}

var errMixedUp = errors.New("the broker answered another request than the one that was next")

// readHead reads what every answer begins with; size is what follows.
func (c *connection) readHead() (size int, correlation int32, err error) {
	var head [8]byte
	c.gatherAnswers()
	if _, err := io.ReadFull(c.reader, head[:]); err != nil {
		return 0, 0, err
	}
	n := int32(binary.BigEndian.Uint32(head[:]))
	if n < 4 || n > maxAnswer {
		return 0, 0, fmt.Errorf("the broker announced an answer of %d bytes", n)
	}
	return int(n) - 4, int32(binary.BigEndian.Uint32(head[4:])), nil
}

// trimTags cuts the tagged fields off that the headers of newer answers end in.
func trimTags(request kmsg.Request, answer []byte) ([]byte, error) {
	const apiVersions = 18 // its answers never have them
	if !request.IsFlexible() || request.Key() == apiVersions {
		return answer, nil
	}
	tags, n := binary.Uvarint(answer)
	for answer = answer[max(n, 0):]; n > 0 && tags > 0; tags-- {
		var size uint64
		if _, n = binary.Uvarint(answer); n <= 0 {
			break
		}
		answer = answer[n:]
		if size, n = binary.Uvarint(answer); n <= 0 || size > uint64(len(answer)-n) {
			n = 0
			break
		}
		answer = answer[n+int(size):]
	}
	if n <= 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return answer, nil
}

// version returns the newest version of a request that both sides know, at most most.
func (c *connection) version(key kmsg.Key, most int16) int16 {
	return min(c.versions[int16(key)], most)
}

// expired says whether the login should be done anew, on another connection.
func (c *connection) expired() bool { return !c.expires.IsZero() && time.Now().After(c.expires) }

// send writes a request, whose version is set, and returns; done is called with the answer. wait is how long the
// broker may hold it back. An error says that nothing was sent, and done is not called.
func (c *connection) send(request kmsg.Request, wait time.Duration, place func(int) []byte, done func([]byte, error)) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	c.correlation++
	now := time.Now()
	k := &call{request: request, correlation: c.correlation, sent: now, deadline: now.Add(wait + c.timeout), place: place, done: done}
	c.out = c.formatter.AppendRequest(c.out[:0], request, c.correlation)
	k.size = len(c.out)
	if r, ok := request.(interface{ leastAnswer() int }); ok {
		k.least = r.leastAnswer()
	}
	c.mu.Lock()
	if err := c.err; err != nil {
		c.mu.Unlock()
		return err
	}
	c.waiting = append(c.waiting, k)
	if len(c.waiting) == 1 {
		c.setReadDeadline(k.deadline)
	}
	c.mu.Unlock()
	if by, changed := c.deadline(c.writeBy, k.deadline); changed {
		c.writeBy = by
		_ = c.socket.SetWriteDeadline(by)
	}
	if _, err := c.socket.Write(c.out); err != nil {
		// Part of it may have arrived. The reader sees the closed socket and answers all calls.
		c.fail(err)
	}
	if cap(c.out) > keptRequest {
		c.out = nil
	}
	return nil
}

// deadline returns what a deadline should be instead of now. It may be a little later than wanted: to move one for each
// request would wake threads for nothing.
func (c *connection) deadline(now, wanted time.Time) (by time.Time, changed bool) {
	slack := c.timeout / 16
	switch late := now.Sub(wanted); {
	case wanted.IsZero():
		return wanted, !now.IsZero()
	case late >= 0 && late <= slack:
		return now, false
	}
	return wanted.Add(slack), true
}

// setReadDeadline sets until when the reader waits, zero for ever. The lock is held.
func (c *connection) setReadDeadline(wanted time.Time) {
	if by, changed := c.deadline(c.readBy, wanted); changed {
		c.readBy = by
		_ = c.socket.SetReadDeadline(by) // the reader finds out if it cannot be set
	}
}

// keptRequest is how much room for requests is kept.
const keptRequest = 4 << 20

// roundTrip sends a request and waits for its answer. When ctx ends first the connection is closed.
func (c *connection) roundTrip(ctx context.Context, request kmsg.Request, wait time.Duration, place func(int) []byte) ([]byte, error) {
	type outcome struct {
		answer []byte
		err    error
	}
	answered := make(chan outcome, 1)
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	err := c.send(request, wait, place, func(answer []byte, err error) { answered <- outcome{answer, err} })
	if err != nil {
		return nil, err
	}
	o := <-answered
	if o.err != nil && ctx.Err() != nil {
		o.err = ctx.Err()
	}
	return o.answer, o.err
}

// ask is roundTrip for requests whose answer is small.
func (c *connection) ask(ctx context.Context, request kmsg.Request, into kmsg.Response) error {
	answer, err := c.roundTrip(ctx, request, 0, nil)
	if err != nil {
		return err
	}
	into.SetVersion(request.GetVersion())
	return into.ReadFrom(answer)
}

// read hands out answers until the connection ends, then fails what is left.
func (c *connection) read() {
	defer close(c.ended)
	for {
		k, answer, err := c.next()
		if err != nil {
			c.fail(err)
			break
		}
		k.done(answer, nil)
	}
	c.mu.Lock()
	left, err := c.waiting, c.err
	c.waiting = nil
	c.mu.Unlock()
	for _, k := range left {
		k.done(nil, err)
	}
}

// next reads one answer.
func (c *connection) next() (*call, []byte, error) {
	size, correlation, err := c.readHead()
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	if len(c.waiting) == 0 || c.waiting[0].correlation != correlation {
		c.mu.Unlock()
		return nil, nil, errMixedUp
	}
	k, now := c.waiting[0], time.Now()
	// It is coming: what counts from here is that it goes on.
	c.setReadDeadline(now.Add(c.timeout))
	c.mu.Unlock()
	if took := now.Sub(k.sent); c.quickest == 0 || took < c.quickest {
		c.quickest = took
	}
	var answer []byte
	if k.place != nil {
		answer = k.place(size)
	} else {
		answer = make([]byte, size)
	}
	if err := c.fill(answer); err != nil {
		return nil, nil, err
	}
	if answer, err = trimTags(k.request, answer); err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered = true
	c.waiting[0] = nil
	c.waiting = c.waiting[1:]
	deadline := time.Time{}
	if len(c.waiting) > 0 {
		deadline = c.waiting[0].deadline
	}
	c.setReadDeadline(deadline)
	return k, answer, nil
}

// fail makes the connection useless; the first reason counts.
func (c *connection) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = c.socket.Explain(err, c.answered)
	}
	_ = c.socket.Close()
}

// cut ends the connection without waiting for the reading goroutine.
func (c *connection) cut() { c.fail(net.ErrClosed) }

// close ends the connection and awaits the reading goroutine. It must not be called by a done function.
func (c *connection) close() {
	c.cut()
	<-c.ended
}

// broken is whether the connection is of no more use.
func (c *connection) broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}
