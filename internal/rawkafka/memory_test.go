package rawkafka

import "testing"

func TestBuffersAreUsedAgainForAnswersThatAreNotMuchSmaller(t *testing.T) {
	m := NewMemory(1 << 20)
	first := m.take(100 << 10)
	at := &first.bytes[0]
	first.release()

	small := m.take(40 << 10) // less than half: not worth it
	if &small.bytes[0] == at || m.idling == 0 {
		t.Error("a small answer took a large buffer")
	}
	again := m.take(60 << 10)
	if &again.bytes[0] != at || len(again.bytes) != 60<<10 || m.idling != 0 {
		t.Errorf("the idle buffer was not used again: %d bytes idle", m.idling)
	}
	small.release()
	again.release()
	if m.used != 0 || m.idling == 0 {
		t.Errorf("%d bytes used and %d idle when all are given back", m.used, m.idling)
	}
}
