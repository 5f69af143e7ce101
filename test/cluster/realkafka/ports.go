package realkafka

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are taken from below the range that systems give to outgoing connections (Linux: from 32768 on). While a
// broker is down, its port would else be handed to some client, and the broker could not come back; worse, a client
// that keeps trying a free port of that range can end up connected to itself.
const (
	firstPort = 15000
	lastPort  = 32000
)

var (
	portsMu   sync.Mutex
	portsUsed = map[int]bool{}
)

// FreePort gives a TCP port of the loopback interface that is free now and that this process will not give again.
func FreePort(tb TB) int {
	tb.Helper()
	portsMu.Lock()
	defer portsMu.Unlock()
	const tries = 1000
	for range tries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if portsUsed[port] {
			continue
		}
		// Every address, since a program that listens on all of them has the port too.
		listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		listener.Close()
		portsUsed[port] = true
		return port
	}
	tb.Fatalf("no free TCP port between %d and %d after %d tries", firstPort, lastPort, tries)
	return 0
}

// freeAddress gives a host:port of the loopback interface.
func freeAddress(tb TB) string {
	tb.Helper()
	return fmt.Sprintf("127.0.0.1:%d", FreePort(tb))
}
