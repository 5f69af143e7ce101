package rawkafka

import (
	"math"

	"tributary/internal/kafka"
)

// session is one fetch session with a broker (KIP-227): the broker remembers what was asked for, so that a request
// names only what changed, and an answer only what is new.
type session struct {
	id, epoch int32
	sent      map[kafka.TopicPartition]int64 // the position that the broker knows
}

// next returns what the next request has to name. The caller must call answered or reset before the next call.
func (s *session) next(asks []kafka.Ask) (changed []kafka.Ask, forgotten []kafka.TopicPartition) {
	if s.id == 0 { // no session: everything, every time
		s.sent = make(map[kafka.TopicPartition]int64, len(asks))
	}
	for _, a := range asks {
		if offset, known := s.sent[a.TopicPartition]; !known || offset != a.Offset {
			s.sent[a.TopicPartition] = a.Offset
			changed = append(changed, a)
		}
	}
	if len(s.sent) == len(asks) {
		return changed, nil
	}
	wanted := make(map[kafka.TopicPartition]struct{}, len(asks))
	for _, a := range asks {
		wanted[a.TopicPartition] = struct{}{}
	}
	for tp := range s.sent {
		if _, still := wanted[tp]; !still {
			forgotten = append(forgotten, tp)
			delete(s.sent, tp)
		}
	}
	return changed, forgotten
}

// answered takes the session id of an answer without an error; 0 means that the broker keeps no session.
func (s *session) answered(id int32) {
	switch {
	case id == 0:
		s.id, s.epoch = 0, 0
	case s.epoch == math.MaxInt32:
		s.id, s.epoch = id, 1
	default:
		s.id, s.epoch = id, s.epoch+1
	}
}

// reset begins anew with the next request.
func (s *session) reset() { *s = session{} }
