package rawkafka

import (
	"io"
	"time"
)

// Where much is moved, waking threads for each piece of a long answer, and for each of many short ones, costs as much as
// moving the bytes. So the reader of a connection has the system wake it when more of what is sure to come is there.

const (
	// piece is how much of a long answer is read at a time.
	piece = 256 << 10
	// queued is how many requests are left to the broker to work on while answers to those before are awaited together, and
	// queuedBytes how much they must be, lest the broker be done with them before it gets more.
	queued      = 2
	queuedBytes = 64 << 10
	// nearby is how far away a broker may be for that, and prompt how soon it must have answered once, lest what is near be a
	// proxy.
	nearby = 300 * time.Microsecond
	prompt = 2 * time.Millisecond
)

// gather sets for how many bytes the reader wakes; so many must be sure to come.
func (c *connection) gather(n int) {
	if n != max(c.gathered, 1) {
		c.socket.Gather(n)
		c.gathered = n
	}
}

// fill reads an answer. A read takes what is there already, be it less than was waited for.
func (c *connection) fill(answer []byte) error {
	for rest := len(answer) - c.reader.Buffered(); rest > 0; rest = len(answer) - c.reader.Buffered() {
		if rest > c.reader.Size() {
			c.gather(min(rest, piece))
		} else {
			c.gather(1)
		}
		n, err := c.reader.Read(answer)
		if err != nil {
			return err
		}
		answer = answer[n:]
	}
	_, err := io.ReadFull(c.reader, answer)
	return err
}

// gatherAnswers has the reader wake for all answers but those to the last requests, if it would wait for the next one.
func (c *connection) gatherAnswers() {
	if c.reader.Buffered() > 0 {
		return
	}
	c.gather(max(c.sure(), 1))
}

// sure is how many bytes of answers to await together.
func (c *connection) sure() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) < queued+2 {
		return 0
	}
	first, last := c.waiting[:len(c.waiting)-queued], c.waiting[len(c.waiting)-queued:]
	left := 0
	for _, k := range last {
		left += k.size
	}
	for _, k := range first {
		if k.least == 0 {
			return 0
		}
		n += k.least
	}
	if left < queuedBytes || n > c.reader.Size() || !c.near() {
		return 0
	}
	return n
}

// near says whether the broker is on this machine or the next one.
func (c *connection) near() bool {
	if c.line == 0 {
		if c.line = c.socket.RoundTrip(); c.line == 0 {
			c.line = -1
		}
	}
	return c.line > 0 && c.line <= nearby && c.quickest <= prompt
}
