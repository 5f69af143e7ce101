package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/jcmturner/gokrb5/v8/krberror"
)

// connection is one connection to one broker. sarama's Broker knows no context: a call that is given
// up is ended here by cutting the socket under it, so nothing ever hangs on a silent broker.
//
// At most one goroutine calls do at a time (the producer, which pipelines, uses broker itself).
type connection struct {
	addr   string
	broker *sarama.Broker
	dial   *socketDialer
	cfg    *Config
	used   bool // answered at least once
}

// socketDialer hands sarama its socket and remembers it.
type socketDialer struct {
	dialer *Dialer
	ctx    context.Context // ends the dialling; cancelled by cut
	cancel context.CancelFunc

	mu     sync.Mutex
	socket net.Conn
	gone   bool

	connected atomic.Bool // dialling failed, but only after the connection was there: in the TLS handshake

	read  atomic.Int64 // bytes read, to tell a silent peer from one that spoke
	first [2]byte      // the first two of them, to recognise TLS
}

func (d *socketDialer) Dial(network, addr string) (net.Conn, error) {
	socket, err := d.dialer.DialContext(d.ctx, network, addr)
	if err != nil {
		op, ok := errors.AsType[*net.OpError](err)
		d.connected.Store(!ok || op.Op != "dial")
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		_ = socket.Close()
		return nil, net.ErrClosed
	}
	d.socket = socket
	return &watchedSocket{Conn: socket, by: d}, nil
}

// cut ends whatever runs on the connection, now.
func (d *socketDialer) cut() {
	d.cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone = true
	if d.socket != nil {
		_ = d.socket.Close()
	}
}

type watchedSocket struct {
	net.Conn
	by *socketDialer
}

func (s *watchedSocket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if seen := s.by.read.Add(int64(n)) - int64(n); seen < 2 && n > 0 {
		copy(s.by.first[seen:], p[:n])
	}
	return n, err
}

// open starts connecting to addr and returns at once; the first call waits for the connection.
// readTimeout, if positive, replaces request.timeout.ms for the answers.
func open(cfg *Config, addr string, inFlight int, readTimeout time.Duration) (*connection, error) {
	conf, err := cfg.sarama()
	if err != nil {
		return nil, fmt.Errorf("configuring a connection to %s: %w", addr, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &socketDialer{dialer: cfg.dialer, ctx: ctx, cancel: cancel}
	conf.Net.Proxy.Enable, conf.Net.Proxy.Dialer = true, d
	conf.Net.MaxOpenRequests = inFlight
	conf.Producer.Idempotent = false // the producer here keeps its own sequences, sarama's rules for them do not count
	conf.Producer.Transaction.ID = ""
	conf.Net.ReadTimeout = max(cfg.RequestTimeout, time.Millisecond)
	if readTimeout > 0 {
		conf.Net.ReadTimeout = readTimeout
	}
	c := &connection{addr: addr, broker: sarama.NewBroker(addr), dial: d, cfg: cfg}
	if err := c.broker.Open(conf); err != nil {
		cancel()
		return nil, fmt.Errorf("configuring a connection to %s: %w", addr, err)
	}
	return c, nil
}

// connect waits until the connection is made, TLS and login included.
func (c *connection) connect(ctx context.Context) error {
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	if ok, err := c.broker.Connected(); !ok {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			err = sarama.ErrNotConnected
		}
		return c.explain(err)
	}
	return nil
}

// do runs one call. When ctx ends first the connection is cut and ctx's error returned; after any
// error of the transport the connection is of no more use, see broken.
func (c *connection) do(ctx context.Context, call func(*sarama.Broker) error) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	err := contained(func() error { return call(c.broker) })
	if err == nil {
		c.used = true
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if isLoginError(err) {
		return c.explain(err)
	}
	if code, ok := err.(sarama.KError); ok { //nolint:errorlint // sarama returns it as it is
		return c.cfg.answerError(code, nil, "", "") // sarama's own refusal: the broker does not know the request
	}
	if isTransport(err) {
		return c.explain(err)
	}
	return err // what call made of an answer
}

// contained runs a call, in which sarama decodes what a broker answers. A decoder that panics over it costs an error: a
// hostile broker must not end the process, which serves other clusters, too.
func contained(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = sarama.PacketDecodingError{Info: fmt.Sprintf("the decoder panicked: %v%s", p, panickedAt())}
		}
	}()
	return call()
}

// panickedAt is where the panic being recovered from began.
func panickedAt() string {
	stack := make([]uintptr, 32)
	frames := runtime.CallersFrames(stack[:runtime.Callers(3, stack)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") && frame.File != "" {
			return fmt.Sprintf(" at %s:%d", filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return ""
		}
	}
}

// broken says whether an error of do leaves the connection unusable: it broke, or it was cut because
// its call was given up.
func broken(err error) bool {
	if err == nil {
		return false
	}
	if _, ok := errors.AsType[*ConnectionError](err); ok {
		return true
	}
	return errors.Is(err, context.Canceled) || isTransport(err)
}

// isLoginError tells logins that failed. Within a call that is sarama's renewed one, at the end of a session (KIP-368):
// after it brokers take nothing more on the connection.
func isLoginError(err error) bool {
	if _, ok := errors.AsType[*tokenError](err); ok {
		return true
	}
	if _, ok := errors.AsType[krberror.Krberror](err); ok {
		return true
	}
	for _, code := range []sarama.KError{sarama.ErrSASLAuthenticationFailed, sarama.ErrIllegalSASLState, sarama.ErrUnsupportedSASLMechanism} {
		if errors.Is(err, code) || errors.Is(err, &ServerError{Code: int16(code)}) {
			return true
		}
	}
	return false
}

// isTransport tells failures of the connection from answers.
func isTransport(err error) bool {
	if _, ok := errors.AsType[sarama.PacketDecodingError](err); ok {
		return true
	}
	return isNetworkError(err) || errors.Is(err, sarama.ErrInsufficientData)
}

// cut ends whatever runs on the connection, now.
func (c *connection) cut() {
	c.dial.cut()
	release(c.broker)
}

// close cuts the connection and waits for sarama's goroutine.
func (c *connection) close() {
	c.cut()
	_ = c.broker.Close() // it reports the socket that was just cut
}

// explain says in one clause what went wrong with the connection.
func (c *connection) explain(err error) error {
	if _, ok := errors.AsType[*ConnectionError](err); ok {
		return err
	}
	return &ConnectionError{Addr: c.addr, Reason: c.reason(err), Err: err}
}

// pool keeps idle connections for calls that come now and then.
type pool struct {
	cfg *Config

	mu     sync.Mutex
	idle   map[string][]*connection
	inUse  map[*connection]struct{}
	closed bool
}

// maxIdle bounds the idle connections to one broker.
const maxIdle = 2

func newPool(cfg *Config) *pool {
	return &pool{cfg: cfg, idle: make(map[string][]*connection), inUse: make(map[*connection]struct{})}
}

// do runs call on a connection to addr. A connection that idled may have been closed by the broker
// meanwhile, so a first failure on one of those is tried again on a new one.
func (p *pool) do(ctx context.Context, addr string, call func(*sarama.Broker) error) error {
	for {
		c, fresh, err := p.get(addr)
		if err != nil {
			return err
		}
		err = c.do(ctx, call)
		p.put(c, broken(err))
		if fresh || err == nil || ctx.Err() != nil || !broken(err) || isTimeout(err) {
			return err
		}
	}
}

func (p *pool) get(addr string) (c *connection, fresh bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, ErrClosed
	}
	if idle := p.idle[addr]; len(idle) > 0 {
		c = idle[len(idle)-1]
		p.idle[addr] = idle[:len(idle)-1]
	} else {
		if c, err = open(p.cfg, addr, 1, 0); err != nil {
			return nil, false, err
		}
		fresh = true
	}
	p.inUse[c] = struct{}{}
	return c, fresh, nil
}

func (p *pool) put(c *connection, broken bool) {
	p.mu.Lock()
	delete(p.inUse, c)
	keep := !broken && !p.closed && len(p.idle[c.addr]) < maxIdle
	if keep {
		p.idle[c.addr] = append(p.idle[c.addr], c)
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
}

// close cuts every connection; calls that run return with an error.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var idle []*connection
	for _, cs := range p.idle {
		idle = append(idle, cs...)
	}
	p.idle = nil
	for c := range p.inUse {
		c.cut()
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}
