package rawkafka

import (
	"context"

	"tributary/internal/kafka"
)

// Flush waits until every batch that was sent before is done with, or until ctx ends.
func (s *Sender) Flush(ctx context.Context) error {
	for {
		s.mu.Lock()
		if s.unfinished == 0 {
			s.mu.Unlock()
			return nil
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close delivers what it can until ctx ends, then gives up the rest, whose outcome is kafka.ErrClosed, and ends all
// goroutines. When it returns every Done was called.
func (s *Sender) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.Flush(ctx)
	s.cancel()
	s.wg.Wait()
	s.coordinator.mu.Lock()
	s.coordinator.drop()
	s.coordinator.mu.Unlock()
	s.giveUpAll()
	s.notices.Close()
	return err
}

// giveUpAll fails what is left once all goroutines are gone.
func (s *Sender) giveUpAll() {
	s.outcomes.Lock()
	defer s.outcomes.Unlock()
	s.mu.Lock()
	var given []*parcel
	for _, st := range s.streams {
		given = append(given, st.end(kafka.ErrClosed)...)
	}
	if len(given) > 0 {
		s.txn.Fail(kafka.ErrClosed)
	}
	s.mu.Unlock()
	for _, p := range given {
		s.tell(p)
	}
}
