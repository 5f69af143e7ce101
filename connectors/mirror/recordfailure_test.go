package mirror

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/kafka"
	"tributary/internal/localkafka"
	"tributary/test/cluster/kafkatest"
)

const messageTooLarge = 10

func TestOneRefusedPartitionStopsAloneAndGoesOnOnceItIsTaken(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 2, nil)
	refusal := p.b.Fail(localkafka.Fault{API: localkafka.Produce, Code: messageTooLarge, Topic: "A.t", Partitions: []int32{0}, Times: -1})
	p.source.Produce("t", text("0", "1", "2")...)
	r := startSource(t, p)
	p.source.Produce("t", kafkatest.Record{Partition: 1, Value: []byte("x")})
	p.target.AwaitRecords("A.t", 1, patience)
	r.await("the row of the partition", func() bool {
		row := r.row("t", 0)
		return row.Stopped && strings.Contains(row.LastError, "max.message.bytes") && row.MirroredUpTo == 0 && row.LagRecords == 3
	})
	p.source.Produce("t", kafkatest.Record{Partition: 1, Value: []byte("y")})
	got := p.target.AwaitRecords("A.t", 2, patience)
	if diff := cmp.Diff([]string{"x", "y"}, values(got[1])); diff != "" {
		t.Error(diff)
	}
	r.await("a second try", func() bool { return refusal.Hits() >= 2 })
	if said := r.log.lines("target refuses a record", "offset=0"); len(said) != 1 {
		t.Errorf("one refusal is said %d times", len(said))
	}

	refusal.Undo()
	got = p.target.AwaitRecords("A.t", 5, patience)
	if diff := cmp.Diff([]string{"0", "1", "2"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	r.await("the row of the partition to be well again", func() bool {
		row := r.row("t", 0)
		return !row.Stopped && row.MirroredUpTo == 3 && row.LagRecords == 0
	})
	if err := r.failures(); err != nil {
		t.Error(err)
	}
}

func TestARefusedRecordIsSkippedAndCountedAsAGap(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	refusal := p.b.Fail(localkafka.Fault{API: localkafka.Produce, Code: messageTooLarge, Topic: "A.t", Times: -1})
	p.source.Produce("t", text("0", "1")...)
	r := startSource(t, p, "on.record.error=skip")
	r.await("the gaps", func() bool {
		gaps := r.row("t", 0).Gaps
		return len(gaps) == 2 && gaps[0].Kind == "skipped" && gaps[0].From == 0 && gaps[1].To == 2
	})
	refusal.Undo()
	p.source.Produce("t", text("2")...)
	got := p.target.AwaitRecords("A.t", 1, patience)
	if diff := cmp.Diff([]string{"2"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
}

func TestARefusedRecordGoesToTheDeadLetterTopicWithItsReason(t *testing.T) {
	t.Parallel()
	p := startPair(t, localkafka.Options{}, localkafka.Options{})
	p.source.CreateTopic("t", 1, nil)
	refusal := p.b.Fail(localkafka.Fault{API: localkafka.Produce, Code: messageTooLarge, Topic: "A.t", Times: -1})
	p.source.Produce("t", kafkatest.Record{Key: []byte("k"), Value: []byte("0"), Headers: []kafkatest.Header{{Key: "own", Value: []byte("h")}}})
	r := startSource(t, p, "on.record.error=dead.letter")
	letters := p.target.AwaitRecords("A.dead-letter", 1, patience)[0]
	refusal.Undo()
	p.source.Produce("t", text("1")...)
	got := p.target.AwaitRecords("A.t", 1, patience)
	if diff := cmp.Diff([]string{"1"}, values(got[0])); diff != "" {
		t.Error(diff)
	}
	headers := map[string]string{}
	for _, h := range letters[0].Headers {
		headers[strings.TrimPrefix(h.Key, "__connect.errors.")] = string(h.Value)
	}
	message := headers["exception.message"]
	if !strings.Contains(message, "max.message.bytes") || headers["exception.stacktrace"] == "" {
		t.Errorf("the reason is %q", message)
	}
	delete(headers, "exception.message")
	delete(headers, "exception.stacktrace")
	want := map[string]string{"own": "h", "topic": "t", "partition": "0", "offset": "0", "connector.name": "MirrorSourceConnector", "task.id": "0",
		"stage": "KAFKA_PRODUCE", "class.name": SourceTaskClass, "exception.class.name": "org.apache.kafka.common.errors.RecordTooLargeException"}
	if diff := cmp.Diff(want, headers); diff != "" || string(letters[0].Key) != "k" || string(letters[0].Value) != "0" {
		t.Errorf("the letter is %v: %s", letters[0], diff)
	}
	if gaps := r.row("t", 0).Gaps; len(gaps) != 1 || gaps[0].Kind != "dead-letter" {
		t.Errorf("the gaps are %+v, want one dead letter", gaps)
	}
}

// Who skips what the target refuses must not skip all there is while nobody may log in.
func TestALoginThatFailsIsNoReasonToSkipARecord(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&kafka.RecordTooLargeError{}, true},
		{&kafka.ConnectionError{Addr: "b:1", Reason: "refuses the login", Err: kafka.ErrSASLAuthenticationFailed}, false},
		{&kafka.ConnectionError{Addr: "b:1", Reason: "cannot be logged in to", Err: errors.New("no token")}, false},
		{&kafka.TimeoutError{Err: &kafka.ConnectionError{Err: kafka.ErrSASLAuthenticationFailed}}, false},
	} {
		if got := concernsRecord(c.err); got != c.want {
			t.Errorf("%v concerns a record: %t, want %t", c.err, got, c.want)
		}
	}
}
