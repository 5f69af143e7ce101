package realkafka

import (
	"net"
	"sync"
)

// Proxy stands between clients and a broker that advertises the proxy's address (see Listener.Advertise), and can be
// cut: then nothing gets through, and nobody is told, as when a network swallows packets. Its methods may be called
// from any goroutine.
type Proxy struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	ended bool
	conns map[net.Conn]struct{}
}

// NewProxy starts a proxy for the address that ends with the test.
func NewProxy(tb TB, target string) *Proxy {
	tb.Helper()
	listener, err := net.Listen("tcp", freeAddress(tb))
	if err != nil {
		tb.Fatalf("listen for a proxy: %v", err)
	}
	p := &Proxy{listener: listener, target: target, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	tb.Cleanup(func() {
		listener.Close()
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.closeAll()
		p.wg.Wait()
	})
	return p
}

// Addr is host:port of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut swallows all that comes from now on, in both directions, on old and new connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
}

// Heal lets through what comes on new connections. Those of before are closed, for some of their bytes are lost.
func (p *Proxy) Heal() {
	p.mu.Lock()
	p.cut = false
	p.mu.Unlock()
	p.closeAll()
}

func (p *Proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		conn.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

// serve carries one connection until either side closes it.
func (p *Proxy) serve(client net.Conn) {
	p.keep(client)
	defer p.drop(client)
	broker, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	p.keep(broker)
	defer p.drop(broker)
	var back sync.WaitGroup
	back.Go(func() { p.carry(client, broker) })
	p.carry(broker, client)
	back.Wait()
}

// carry copies until an error, and closes both sides then.
func (p *Proxy) carry(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		cut := p.cut
		p.mu.Unlock()
		if cut {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// keep remembers a connection, to close it in time; after the end of the test that is now.
func (p *Proxy) keep(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[conn] = struct{}{}
	if p.ended {
		conn.Close()
	}
}

func (p *Proxy) drop(conn net.Conn) {
	conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}
