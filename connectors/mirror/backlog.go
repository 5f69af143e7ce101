package mirror

import (
	"strconv"
	"time"

	"tributary/internal/kafka"
)

// A partition of the target that takes nothing for a while must not fill all the room for
// what is on its way: then nothing would be read for the others either. So one partition
// may have no more on its way than half of the room that is left (it is the rule of switches
// that share one buffer among many ports): one alone gets a third of the room, two a quarter
// each, and some is always left. What is over is not read until the target has taken enough,
// and if that takes long, what was read ahead is dropped and read again then.

// bufferMemory is the room in the record lane: the default of the producer's buffer.memory.
const bufferMemory = 32 << 20

// answersInRoom is how many answers of one partition fit into the room, at least.
const answersInRoom = 8

const (
	// curbEvery is how often a task looks at what is on its way.
	curbEvery = 10 * time.Millisecond
	// stuckAfter is how long the oldest of what is on its way waits before what was read
	// ahead is dropped.
	stuckAfter = 500 * time.Millisecond
)

// handed marks records that were given to the worker together.
type handed struct {
	behind int64 // the offset behind the last of them
	total  int64 // bytes of the partition that were handed out up to it
	at     time.Time
}

// backlog is what of a partition is on its way to the target. It belongs to the task's goroutine.
type backlog struct {
	marks        []handed // not acknowledged, oldest first
	total, acked int64
}

func (b *backlog) hand(behind, bytes int64, now time.Time) {
	b.total += bytes
	b.marks = append(b.marks, handed{behind: behind, total: b.total, at: now})
}

// reached takes note that the target has everything before upTo.
func (b *backlog) reached(upTo int64) {
	n := 0
	for n < len(b.marks) && b.marks[n].behind <= upTo {
		b.acked = b.marks[n].total
		n++
	}
	b.marks = append(b.marks[:0], b.marks[n:]...)
}

func (b *backlog) bytes() int64 { return b.total - b.acked }

// traffic is what a task has on its way.
type traffic struct {
	room int64 // 0 bounds nothing
	// busy are the partitions with something on its way, curbed those that are not read for
	// it, true once what was read ahead was dropped.
	busy   map[*sourcePartition]struct{}
	curbed map[*sourcePartition]bool
	looked time.Time
	unseen int64 // bytes handed out since
}

// newTraffic reads how much room there is.
func newTraffic(s *settings, batches bool) traffic {
	room := int64(bufferMemory)
	if batches {
		room = s.Int(rawMemoryKey)
	} else if own, err := strconv.ParseInt(s.props["producer.override.buffer.memory"], 10, 64); err == nil && own > 0 {
		room = own
	}
	return traffic{room: room, busy: map[*sourcePartition]struct{}{}, curbed: map[*sourcePartition]bool{}}
}

// sent takes note of what was chosen to be handed out, and returns how many bytes it is.
func (f *traffic) sent(chosen []portion, now time.Time) (bytes int64) {
	for i, p := range chosen {
		if len(p.records) == 0 {
			continue
		}
		size := sizeOfAll(chosen[i : i+1])
		bytes += size
		if f.room > 0 {
			f.unseen += size
			p.partition.backlog.hand(behind(&p.records[len(p.records)-1]), size, now)
			f.busy[p.partition] = struct{}{}
		}
	}
	return bytes
}

// forget takes a partition out, of which everything is taken back.
func (f *traffic) forget(p *sourcePartition) {
	p.backlog = backlog{}
	delete(f.busy, p)
	delete(f.curbed, p)
}

// judge says which partitions are no longer to be read, and which again.
func (f *traffic) judge() (curb, free []*sourcePartition) {
	left := f.room
	for p := range f.busy {
		p.backlog.reached(p.progress.upTo.Load())
		left -= p.backlog.bytes()
		if len(p.backlog.marks) == 0 {
			delete(f.busy, p)
		}
	}
	for p := range f.busy {
		if _, already := f.curbed[p]; !already && p.backlog.bytes() > left/2 {
			curb = append(curb, p)
		}
	}
	for p := range f.curbed {
		if p.backlog.bytes() <= left/4 {
			free = append(free, p)
		}
	}
	return curb, free
}

// due says whether to look again: some time has passed, or so much was handed out that the next answer of a partition might
// not fit. In the record lane what does not fit blocks the task.
func (f *traffic) due(now time.Time) bool {
	return now.Sub(f.looked) >= curbEvery || f.unseen >= f.room/(2*answersInRoom)
}

// curb holds back the partitions that crowd out others, and lets them go on.
func (t *SourceTask) curb(now time.Time) {
	f := &t.traffic
	if len(t.partitions) < 2 || len(f.busy) == 0 && len(f.curbed) == 0 || !f.due(now) {
		return
	}
	f.looked, f.unseen = now, 0
	curb, free := f.judge()
	for _, p := range curb {
		if p.gate != nil || p.finished || p.adrift || p.refused != nil || p.probing {
			continue // is not being read, or has its own rule
		}
		f.curbed[p] = false
		t.fetcher.Pause(kafka.TopicPartition(p.tp))
	}
	for _, p := range free {
		delete(f.curbed, p)
		t.fetcher.Resume(kafka.TopicPartition(p.tp))
	}
	stuck := 0
	for p, dropped := range f.curbed {
		if len(p.backlog.marks) == 0 || now.Sub(p.backlog.marks[0].at) < stuckAfter {
			continue
		}
		stuck++
		if tp := kafka.TopicPartition(p.tp); !dropped && !p.finished && t.stopped[tp] == nil {
			f.curbed[p] = true
			t.fetcher.Add(map[kafka.TopicPartition]int64{tp: p.next}) // stays paused
		}
	}
	t.metrics.curbed.Set(float64(stuck))
}
