package rawkafka

import (
	"context"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Memory bounds the bytes that one task holds in answers to fetch requests, from before a request is sent until
// the last batch of its answer is released, and keeps buffers for use again. Safe for concurrent use.
type Memory struct {
	limit int64

	mu      sync.Mutex
	used    int64 // reserved, or in buffers that are in use
	returns int64 // counts how often something was given back
	most    int64 // bounds the shares while much of the memory does not come back, and doubles where there is room; 0 is no bound
	idle    [][]byte
	idling  int64           // bytes in idle
	queue   []chan struct{} // who waits for room, first come, first served
	pullers int
}

// NewMemory bounds to about limit bytes: an answer larger than was asked for, as one with a single large batch,
// is taken all the same.
func NewMemory(limit int64) *Memory { return &Memory{limit: limit} }

// join and leave count the pullers, which share the memory.
func (m *Memory) join() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pullers++
}

func (m *Memory) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pullers--
}

// leastShare is the least that a puller asks a broker for.
const leastShare = 64 << 10

// share is what one puller may ask for at a time: all of them together leave half of the memory to what was
// fetched and is on its way.
func (m *Memory) share(most int64) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.most > 0 {
		most = min(most, m.most)
	}
	return max(min(most, m.limit/int64(2*max(m.pullers, 1))), leastShare)
}

// lowerEvery is after how long without anything given back a puller asks for half as much room.
const lowerEvery = 200 * time.Millisecond

// reserve waits until n bytes are free, or nothing is used at all, takes them and returns n. While nothing is given back
// it wants less and less, down to leastShare: part of the memory may be in the hands of a target that does not take it.
func (m *Memory) reserve(ctx context.Context, n int64) (int64, error) {
	m.mu.Lock()
	if len(m.queue) == 0 && m.fits(n) {
		m.used += n
		if m.most *= 2; m.most >= m.limit {
			m.most = 0
		}
		m.mu.Unlock()
		return n, nil
	}
	turn := make(chan struct{}, 1)
	m.queue = append(m.queue, turn)
	lower := time.NewTicker(lowerEvery)
	defer lower.Stop()
	seen, lowered := m.returns, false
	for {
		if m.queue[0] == turn && m.fits(n) {
			m.used += n
			m.queue = m.queue[1:]
			if lowered {
				m.most = n // whoever comes next need not find that out again
			}
			m.wake()
			m.mu.Unlock()
			return n, nil
		}
		m.mu.Unlock()
		select {
		case <-turn:
			m.mu.Lock()
		case <-lower.C:
			m.mu.Lock()
			if m.returns == seen {
				n, lowered = max(n/2, min(n, leastShare)), true
			}
			seen = m.returns
		case <-ctx.Done():
			m.mu.Lock()
			for i, t := range m.queue {
				if t == turn {
					m.queue = append(m.queue[:i], m.queue[i+1:]...)
					break
				}
			}
			m.wake()
			m.mu.Unlock()
			return 0, ctx.Err()
		}
	}
}

func (m *Memory) fits(n int64) bool { return m.used == 0 || m.used+n <= m.limit }

// wake lets the first of the queue look again. The lock is held.
func (m *Memory) wake() {
	if len(m.queue) > 0 {
		select {
		case m.queue[0] <- struct{}{}:
		default:
		}
	}
}

// giveBack returns what was reserved or is no longer in use.
func (m *Memory) giveBack(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.returned(n)
	m.wake()
}

// returned takes note of what is no longer in use. The lock is held.
func (m *Memory) returned(n int64) {
	m.used -= n
	m.returns++
}

// buffer is one answer. It is used again after release was called as often as it was held.
type buffer struct {
	memory *Memory
	bytes  []byte
	holds  atomic.Int32
}

// take returns a buffer of n bytes, held once.
func (m *Memory) take(n int) *buffer {
	m.mu.Lock()
	defer m.mu.Unlock()
	size := roundUp(n)
	b := &buffer{memory: m}
	b.holds.Store(1)
	if i := m.fitting(size); i >= 0 {
		have := m.idle[i]
		m.idle = append(m.idle[:i], m.idle[i+1:]...)
		m.idling -= int64(cap(have))
		m.used += int64(cap(have))
		b.bytes = have[:n]
		return b
	}
	m.used += int64(size)
	for len(m.idle) > 0 && m.used+m.idling > m.limit {
		m.idling -= int64(cap(m.idle[0]))
		m.idle = m.idle[1:]
	}
	b.bytes = make([]byte, n, size)
	return b
}

// fitting is the place of the smallest idle buffer with room for size, -1 if there is none that is less than twice as
// large: what is new is garbage later. Of equal ones it is the last, the likeliest to be in a cache. The lock is held.
func (m *Memory) fitting(size int) int {
	best := -1
	for i, have := range m.idle {
		if c := cap(have); c >= size && c <= 2*size && (best < 0 || c <= cap(m.idle[best])) {
			best = i
		}
	}
	return best
}

// roundUp returns one of four sizes for each power of two, so that buffers fit again.
func roundUp(n int) int {
	const least = 4 << 10
	if n <= least {
		return least
	}
	step := 1 << (bits.Len(uint(n-1)) - 3)
	return (n + step - 1) / step * step
}

func (b *buffer) hold() { b.holds.Add(1) }

func (b *buffer) release() {
	if b.holds.Add(-1) > 0 {
		return
	}
	m, size := b.memory, int64(cap(b.bytes))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.returned(size)
	if m.used+m.idling+size <= m.limit {
		m.idle = append(m.idle, b.bytes)
		m.idling += size
	}
	b.bytes = nil
	m.wake()
}

// charge takes n bytes that are in use already.
func (m *Memory) charge(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used += n
}

// loan is a batch that was given away. Its methods are for one goroutine at a time.
type loan struct {
	memory *Memory
	bytes  []byte
	of     *buffer // that bytes is part of, nil when they are memory of their own
}

// own copies the bytes, so that the buffer may go.
func (l *loan) own() []byte {
	l.bytes = slices.Clone(l.bytes)
	l.memory.charge(int64(len(l.bytes)))
	l.of.release()
	l.of = nil
	return l.bytes
}

func (l *loan) release() {
	if l.of != nil {
		l.of.release()
	} else {
		l.memory.giveBack(int64(len(l.bytes)))
	}
	l.bytes = nil
}
