package mirror

import (
	"strconv"
	"time"

	"tributary/internal/kafka"
)

// A partition of the target that takes nothing for a while must not fill all the room for
// what is on its way: then nothing would be read for the others either. So a partition
// that lags behind the others may have no more on its way than there is room left (it is
// the rule of switches that share one buffer among many ports): one alone gets half of the
// room, two a third each, and some is always left. What is over is not read until the
// target has taken enough; what was read ahead is dropped and read again then.

// bufferMemory is the room in the record lane: the default of the producer's buffer.memory.
const bufferMemory = 32 << 20

// curbEvery is how often a task looks at what is on its way.
const curbEvery = 10 * time.Millisecond

// handed marks records that were given to the worker together.
type handed struct {
	behind int64 // the offset behind the last of them
	total  int64 // bytes of the partition that were handed out up to it
	turn   int64 // counts what the task hands out
}

// backlog is what of a partition is on its way to the target. It belongs to the task's goroutine.
type backlog struct {
	marks        []handed // not acknowledged, oldest first
	total, acked int64
}

func (b *backlog) hand(behind, bytes, turn int64) {
	b.total += bytes
	b.marks = append(b.marks, handed{behind: behind, total: b.total, turn: turn})
}

// reached takes note that the target has everything before upTo, and returns the last turn
// that is done with, 0 for none.
func (b *backlog) reached(upTo int64) (turn int64) {
	n := 0
	for n < len(b.marks) && b.marks[n].behind <= upTo {
		b.acked, turn = b.marks[n].total, b.marks[n].turn
		n++
	}
	if b.marks = b.marks[n:]; len(b.marks) == 0 {
		b.marks = nil
	}
	return turn
}

func (b *backlog) bytes() int64 { return b.total - b.acked }

// traffic is what a task has on its way.
type traffic struct {
	room  int64
	turn  int64
	acked int64 // the latest turn of which something was acknowledged
	// busy are the partitions with something on its way, curbed those that are not read for it.
	busy, curbed map[*sourcePartition]struct{}
	looked       time.Time
}

// newTraffic reads how much room there is.
func newTraffic(s *settings, batches bool) traffic {
	room := int64(bufferMemory)
	if batches {
		room = s.Int(rawMemoryKey)
	} else if own, err := strconv.ParseInt(s.props["producer.override.buffer.memory"], 10, 64); err == nil && own > 0 {
		room = own
	}
	return traffic{room: room, busy: map[*sourcePartition]struct{}{}, curbed: map[*sourcePartition]struct{}{}}
}

// sent takes note of what was chosen to be handed out, and returns how many bytes it is.
func (f *traffic) sent(chosen []portion) (bytes int64) {
	for i, p := range chosen {
		if len(p.records) == 0 {
			continue
		}
		f.turn++
		size := sizeOfAll(chosen[i : i+1])
		bytes += size
		p.partition.backlog.hand(behind(&p.records[len(p.records)-1]), size, f.turn)
		f.busy[p.partition] = struct{}{}
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
	var onWay int64
	for p := range f.busy {
		f.acked = max(f.acked, p.backlog.reached(p.progress.upTo.Load()))
		onWay += p.backlog.bytes()
		if len(p.backlog.marks) == 0 {
			delete(f.busy, p)
		}
	}
	left := f.room - onWay
	for p := range f.busy {
		if _, already := f.curbed[p]; !already && p.backlog.bytes() > left && p.backlog.marks[0].turn < f.acked {
			curb = append(curb, p)
		}
	}
	for p := range f.curbed {
		if p.backlog.bytes() <= left/2 {
			free = append(free, p)
		}
	}
	return curb, free
}

// curb holds back the partitions that crowd out others, and lets them go on.
func (t *SourceTask) curb(now time.Time) {
	f := &t.traffic
	if len(f.busy) == 0 && len(f.curbed) == 0 || now.Sub(f.looked) < curbEvery {
		return
	}
	f.looked = now
	curb, free := f.judge()
	for _, p := range curb {
		if p.gate != nil || p.finished || p.adrift || p.refused != nil || p.probing {
			continue // is not being read, or has its own rule
		}
		f.curbed[p] = struct{}{}
		tp := kafka.TopicPartition(p.tp)
		t.fetcher.Pause(tp)
		t.fetcher.Add(map[kafka.TopicPartition]int64{tp: p.next}) // drops what was read ahead
		t.logger.Debug("A partition is read no further for now: too much of it waits for the target", "topic", p.tp.Topic, "partition", p.tp.Partition, "bytes", p.backlog.bytes())
	}
	for _, p := range free {
		delete(f.curbed, p)
		t.fetcher.Resume(kafka.TopicPartition(p.tp))
	}
	t.metrics.curbed.Set(float64(len(f.curbed)))
}
