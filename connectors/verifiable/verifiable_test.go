package verifiable

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tributary/connect"
	"tributary/connect/connecttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines collects what is printed, with times blanked.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

var times = regexp.MustCompile(`"time_ms":\d+`)

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.FieldsFunc(times.ReplaceAllString(l.text.String(), `"time_ms":0`), func(r rune) bool { return r == '\n' })
}

func TestTheSourceKeepsThePluginAPIsPromises(t *testing.T) {
	connecttest.TestSource(t, connecttest.Source{
		New:     func() connect.SourceConnector { return &SourceConnector{out: &printer{to: &lines{}}} },
		Config:  map[string]string{"name": "v", "topic": "t", "throughput": "-1"},
		Feed:    func(*testing.T) {},
		Records: 5,
	})
}

func TestTheSinkKeepsThePluginAPIsPromises(t *testing.T) {
	out := &lines{}
	connecttest.TestSink(t, connecttest.Sink{
		New:    func() connect.SinkConnector { return &SinkConnector{out: &printer{to: out}} },
		Config: map[string]string{"name": "v", "topics": "a,b"},
		Records: func(tp connect.TopicPartition, first int64, n int) []*connect.Record {
			var records []*connect.Record
			for i := range int64(n) {
				records = append(records, &connect.Record{
					Topic: tp.Topic, Partition: tp.Partition, Key: int32(1), Value: first + i,
					Origin: &connect.Origin{Topic: tp.Topic, Partition: tp.Partition, Offset: first + i},
				})
			}
			return records
		},
		Stored: func(*testing.T) []string {
			// Several partitions are flushed in no order, so what was put counts, if it was flushed.
			var put, flushed []string
			for _, line := range out.all() {
				var fields map[string]any
				if err := json.Unmarshal([]byte(line), &fields); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				text := fmt.Sprint(fields["topic"], fields["seqno"])
				if fields["flushed"] == true {
					flushed = append(flushed, text)
				} else {
					put = append(put, text)
				}
			}
			return slices.DeleteFunc(put, func(text string) bool {
				i := slices.Index(flushed, text)
				if i >= 0 {
					flushed = slices.Delete(flushed, i, i+1)
				}
				return i < 0
			})
		},
		Text: func(r *connect.Record) string { return fmt.Sprint(r.Topic, r.Value) },
	})
}

func TestLinesAreJavas(t *testing.T) {
	out := &lines{}
	ctx := t.Context()
	source := (&SourceConnector{out: &printer{to: out}}).NewTask()
	offsets := &connecttest.Offsets{}
	offsets.Set(map[string]any{"id": int32(2)}, map[string]any{"seqno": int64(6)})
	if err := source.Start(ctx, connecttest.NewTaskContext(connect.TaskID{}, offsets), map[string]string{"name": "src", "id": "2", "topic": "t", "throughput": "1000", "complete.record.data": "TRUE"}); err != nil {
		t.Fatal(err)
	}
	records, err := source.Poll(ctx)
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	r := records[0]
	source.(connect.RecordCommitter).CommitRecord(r, nil)
	if r.Key != int32(2) || r.KeySchema != connect.Int32Schema || r.Timestamp != connect.NoTimestamp {
		t.Errorf("the record is %+v", r.Record)
	}
	if got := times.ReplaceAllString(fmt.Sprint(r.Value), "time_ms=0"); !strings.HasPrefix(got, "Struct{name=src,task=2,topic=t,time_ms=") || !strings.HasSuffix(got, ",seqno=7}") {
		t.Errorf("the value is %v", got)
	}

	sink := (&SinkConnector{out: &printer{to: out}}).NewTask()
	if err := sink.Start(ctx, connecttest.NewSinkTaskContext(connect.TaskID{}, false), map[string]string{"name": "snk", "id": "1"}); err != nil {
		t.Fatal(err)
	}
	in := &connect.Record{Topic: "t", Partition: 4, Key: int32(2), Value: int64(7), Origin: &connect.Origin{Topic: "t", Partition: 4, Offset: 11}}
	if err := sink.Put(ctx, []*connect.Record{in}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second has nothing left
		if err := sink.(connect.Flusher).Flush(ctx, map[connect.TopicPartition]int64{{Topic: "t", Partition: 4}: 12}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{ // as a Java worker prints them
		`{"task":2,"seqno":7,"time_ms":0,"name":"src","topic":"t"}`,
		`{"committed":true,"task":2,"seqno":7,"time_ms":0,"name":"src","topic":"t"}`,
		`{"task":2,"seqno":7,"offset":11,"time_ms":0,"name":"snk","topic":"t","sinkTask":1}`,
		`{"task":2,"seqno":7,"offset":11,"time_ms":0,"name":"snk","topic":"t","sinkTask":1,"flushed":true}`,
	}
	if diff := cmp.Diff(want, out.all()); diff != "" {
		t.Error(diff)
	}
}

func TestAThroughputOfNothingSendsNothing(t *testing.T) {
	source := (&SourceConnector{out: &printer{to: &lines{}}}).NewTask()
	ctx, cancel := context.WithCancel(t.Context())
	if err := source.Start(ctx, connecttest.NewTaskContext(connect.TaskID{}, nil), map[string]string{"id": "0", "throughput": "0"}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if records, err := source.Poll(ctx); records != nil || err != nil {
		t.Errorf("got %v, %v", records, err)
	}
	for _, wrong := range []map[string]string{{"id": "0"}, {"id": "x", "throughput": "1"}} {
		if err := source.Start(ctx, connecttest.NewTaskContext(connect.TaskID{}, nil), wrong); err == nil || !strings.HasPrefix(err.Error(), "Invalid VerifiableSourceTask configuration") {
			t.Errorf("%v: %v", wrong, err)
		}
	}
}
