package rawkafka

import (
	"bufio"
	"bytes"
	"cmp"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"tributary/internal/kafka"
)

// Answers are awaited together only where all of them are sure to come, enough is left to the broker to do meanwhile, and it
// is near.
func TestHowManyAnswersAreAwaitedTogether(t *testing.T) {
	of := func(size, least int) *call { return &call{size: size, least: least} }
	big := of(40<<10, 100)
	for name, c := range map[string]struct {
		waiting []*call
		line    time.Duration
		took    time.Duration
		want    int
	}{
		"none":                          {},
		"three":                         {waiting: []*call{big, big, big}},
		"four":                          {waiting: []*call{big, big, big, big}, want: 200},
		"five of different sizes":       {waiting: []*call{of(1, 90), of(2, 91), of(3, 92), big, big}, want: 273},
		"far away":                      {waiting: []*call{big, big, big, big, big}, line: time.Millisecond},
		"behind a proxy":                {waiting: []*call{big, big, big, big, big}, took: 5 * time.Millisecond},
		"where nobody knows":            {waiting: []*call{big, big, big, big, big}, line: -1},
		"small ones left":               {waiting: []*call{big, big, big, of(8<<10, 100), of(8<<10, 100)}},
		"one whose answer is unknown":   {waiting: []*call{big, of(40<<10, 0), big, big}},
		"more than the reader may hold": {waiting: []*call{of(1, 16<<10), big, big, big}},
	} {
		conn := &connection{waiting: c.waiting, line: cmp.Or(c.line, 50*time.Microsecond), quickest: cmp.Or(c.took, time.Millisecond), reader: bufio.NewReaderSize(nil, 16<<10)}
		if got := conn.sure(); got != c.want {
			t.Errorf("%s: %d bytes are awaited, not %d", name, got, c.want)
		}
	}
}

// socketPair returns both ends of a connection.
func socketPair(t *testing.T) (*kafka.Socket, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	client, _ := connect(t, kafka.RoleConsumer, listener.Addr().String(), "receive.buffer.bytes", "-1")
	socket, err := client.Dial(t.Context(), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	broker, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	return socket, broker
}

// However an answer arrives, its reader does not wait for more than is left of it.
func TestLongAnswersAreReadHoweverTheyArrive(t *testing.T) {
	const answers = 30
	random := rand.New(rand.NewPCG(3, 5))
	var sent [][]byte
	for range answers {
		answer := make([]byte, random.IntN(3<<20))
		for i := range answer {
			answer[i] = byte(i>>8) ^ byte(i)
		}
		sent = append(sent, answer)
	}
	socket, broker := socketPair(t)
	asked := make(chan struct{}, 1)
	go func() {
		for _, rest := range sent {
			<-asked // nothing follows an answer until it is read
			for len(rest) > 0 {
				n := min(len(rest), 1+random.IntN(150<<10))
				if _, err := broker.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}
	}()
	_ = socket.SetReadDeadline(time.Now().Add(patience))
	c := &connection{socket: socket, reader: bufio.NewReaderSize(socket, 16<<10)}
	for i, want := range sent {
		got := make([]byte, len(want))
		asked <- struct{}{}
		if err := c.fill(got); err != nil {
			t.Fatalf("answer %d, of %d bytes: %v", i, len(want), err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("answer %d, of %d bytes, is another one", i, len(want))
		}
	}
}
