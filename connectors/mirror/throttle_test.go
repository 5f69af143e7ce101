package mirror

import (
	"testing"
	"time"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

func TestTheLimitIsSharedByTheTasksAndKeptOverTime(t *testing.T) {
	if got := taskShare(1000, 3); got != 333 {
		t.Errorf("a third of 1000 is %d", got)
	}
	if got := taskShare(2, 3); got != 1 {
		t.Errorf("a task that may have nothing never ends; got %d", got)
	}
	if got := taskShare(0, 3); got != 0 {
		t.Errorf("no limit became %d", got)
	}
	now := time.Unix(1000, 0)
	limit := throttle{perSecond: 1000}
	limit.took(500, now)
	limit.took(1500, now)
	if got := limit.wait(now); got != 2*time.Second {
		t.Errorf("wait %v after 2000 bytes at 1000 a second", got)
	}
	if got := limit.wait(now.Add(3 * time.Second)); got > 0 {
		t.Errorf("wait %v though it is over", got)
	}
	limit.took(1000, now.Add(time.Hour))
	if got := limit.wait(now.Add(time.Hour)); got != time.Second {
		t.Errorf("wait %v: an idle time must not be made up for", got)
	}
}

func TestWhatIsHandedOutTogetherFitsTheLimit(t *testing.T) {
	record := func(size int) kafka.Record { return kafka.Record{Value: make([]byte, size)} }
	portions := []portion{{records: []kafka.Record{record(100), record(100)}}, {placed: true}, {records: []kafka.Record{record(100), record(5000)}}}
	for perSecond, want := range map[int64]int{0: 2000, 1: 1, 800: 2, 1200: 3, 1 << 30: 2000} {
		limit := throttle{perSecond: perSecond}
		if got := limit.affordable(portions, 2000); got != want {
			t.Errorf("at %d bytes a second %d records, want %d", perSecond, got, want)
		}
	}
}

func TestTheThrottleSlowsARecordStreamDown(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	for range 4 {
		p.source.Produce("t", kafkatest.Record{Value: make([]byte, 100)}, kafkatest.Record{Value: []byte("x")})
	}
	began := time.Now()
	r := startSource(t, p, "throttle.bytes.per.second=200")
	p.target.AwaitRecords("A.t", 8, patience)
	// 404 bytes of values or more. What is handed out last has not had its time yet.
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("all arrived after %v", took)
	}
	if err := r.failures(); err != nil {
		t.Error(err)
	}
}

func TestAChangedThrottleReachesTheRunningTask(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	for range 5 {
		p.source.Produce("t", kafkatest.Record{Value: make([]byte, 1000)})
	}
	r := startSource(t, p, "throttle.bytes.per.second=1")
	p.target.AwaitRecords("A.t", 1, patience)

	r.mu.Lock()
	task := r.tasks[0].task.(*SourceTask)
	r.mu.Unlock()
	task.UseLive(map[string]string{}, 1)

	p.target.AwaitRecords("A.t", 5, patience)
	if got := task.limit.Load(); got != 0 {
		t.Errorf("the limit is %d", got)
	}
	task.UseLive(map[string]string{throttleKey: "3000"}, 3)
	if got := task.limit.Load(); got != 1000 {
		t.Errorf("the limit is %d, want a third", got)
	}
}
