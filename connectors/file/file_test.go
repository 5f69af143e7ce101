package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tributary/connect"
	"tributary/connect/connecttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheSourceKeepsThePluginAPIsPromises(t *testing.T) {
	name := filepath.Join(t.TempDir(), "in.txt")
	connecttest.TestSource(t, connecttest.Source{
		New:    func() connect.SourceConnector { return &SourceConnector{} },
		Config: map[string]string{"name": "lines", "file": name, "topic": "t"},
		Feed: func(t *testing.T) {
			if err := os.WriteFile(name, []byte("one\ntwo\nthree\nfour\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		Records: 4,
	})
}

func TestTheSinkKeepsThePluginAPIsPromises(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.txt")
	connecttest.TestSink(t, connecttest.Sink{
		New:    func() connect.SinkConnector { return &SinkConnector{} },
		Config: map[string]string{"name": "lines", "file": name, "topics": "a,b"},
		Records: func(tp connect.TopicPartition, first int64, n int) []*connect.Record {
			var records []*connect.Record
			for i := range int64(n) {
				records = append(records, &connect.Record{Topic: tp.Topic, Partition: tp.Partition, Value: fmt.Sprint(tp.Topic, first+i)})
			}
			return records
		},
		Stored: func(t *testing.T) []string { return linesOf(t, name) },
		Text:   func(r *connect.Record) string { return r.Value.(string) },
	})
}

func linesOf(t *testing.T, name string) []string {
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
}

// reader is a source task under test, with the last record that it returned.
type reader struct {
	t    *testing.T
	task connect.SourceTask
	last *connect.SourceRecord
}

func startReader(t *testing.T, c *SourceConnector, offsets *connecttest.Offsets, config map[string]string) *reader {
	t.Helper()
	task := c.NewTask()
	config["topic"] = "t"
	if err := task.Start(t.Context(), connecttest.NewTaskContext(connect.TaskID{Connector: "c"}, offsets), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = task.Stop(context.Background()) })
	return &reader{t: t, task: task}
}

// poll polls once and returns the lines.
func (r *reader) poll() []string {
	r.t.Helper()
	records, err := r.task.Poll(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []string
	for _, record := range records {
		lines = append(lines, record.Value.(string))
		r.last = record
	}
	return lines
}

func (r *reader) expect(want ...string) {
	r.t.Helper()
	var got []string
	deadline := time.Now().Add(10 * time.Second)
	for len(got) < len(want) && time.Now().Before(deadline) {
		got = append(got, r.poll()...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Error(diff)
	}
}

func appendTo(t *testing.T, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestLinesComeWholeWhateverTheyEndWith(t *testing.T) {
	name := filepath.Join(t.TempDir(), "in.txt")
	r := startReader(t, &SourceConnector{}, nil, map[string]string{"file": name})
	if got := r.poll(); got != nil {
		t.Errorf("a file that does not exist has %q", got)
	}
	appendTo(t, name, "a\n\nb\r\nc\rd")
	r.expect("a", "", "b", "c")
	if got := r.last.SourceOffset.OffsetFields()["position"]; got != int64(8) {
		t.Errorf("position %v after c, want 8", got)
	}
	if r.last.Key != nil || r.last.ValueSchema != connect.StringSchema || r.last.Partition != connect.PartitionUnset || time.Since(time.UnixMilli(r.last.Timestamp)) > time.Minute {
		t.Errorf("the record is %+v", r.last.Record)
	}
	if diff := cmp.Diff(map[string]any{"filename": name}, r.last.SourcePartition.Fields()); diff != "" {
		t.Error(diff)
	}
	appendTo(t, name, "e\r")
	if got := r.poll(); got != nil {
		t.Errorf("%q before the end of the line is known", got)
	}
	appendTo(t, name, "\n"+strings.Repeat("x", 3*readSize)+"\nü\xff\n")
	r.expect("de", strings.Repeat("x", 3*readSize), "ü\uFFFD")
	if got := r.last.SourceOffset.OffsetFields()["position"]; got != int64(8+4+3*readSize+1+4) {
		t.Errorf("position %v at the end", got)
	}
}

func TestABatchHasAtMostBatchSizeLinesAndTheRestFollows(t *testing.T) {
	name := filepath.Join(t.TempDir(), "in.txt")
	appendTo(t, name, "1\n2\n3\n4\n5\n")
	r := startReader(t, &SourceConnector{}, nil, map[string]string{"file": name, "batch.size": "2"})
	for _, want := range [][]string{{"1", "2"}, {"3", "4"}, {"5"}} {
		if diff := cmp.Diff(want, r.poll()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTheSourceGoesOnAtTheCommittedPosition(t *testing.T) {
	name := filepath.Join(t.TempDir(), "in.txt")
	appendTo(t, name, "one\ntwo\nthree\n")
	offsets := &connecttest.Offsets{}
	offsets.Set(map[string]any{"filename": name}, map[string]any{"position": int64(4)})
	startReader(t, &SourceConnector{}, offsets, map[string]string{"file": name}).expect("two", "three")

	offsets.Set(map[string]any{"filename": name}, map[string]any{"position": "4"})
	r := startReader(t, &SourceConnector{}, offsets, map[string]string{"file": name})
	if _, err := r.task.Poll(t.Context()); err == nil || err.Error() != "the committed position 4 is not a whole number" {
		t.Errorf("a position that is a text: %v", err)
	}
}

func TestTheStandardInputGoesFromTaskToTask(t *testing.T) {
	from, to := io.Pipe()
	c := &SourceConnector{stdin: newInput(from)}
	write := func(text string) {
		if _, err := io.WriteString(to, text); err != nil {
			t.Error(err)
		}
	}
	r := startReader(t, c, nil, map[string]string{})
	go write("one\ntwo\n")
	r.expect("one", "two")
	if diff := cmp.Diff(map[string]any{"filename": nil}, r.last.SourcePartition.Fields()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"position": nil}, r.last.SourceOffset.OffsetFields()); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if records, err := r.task.Poll(ctx); records != nil || err != nil {
		t.Errorf("a Poll that has ended returned %v, %v", records, err)
	}
	next := startReader(t, c, nil, map[string]string{"file": ""})
	go func() {
		write("three\n")
		to.Close()
	}()
	next.expect("three")
	if diff := cmp.Diff(map[string]any{"filename": ""}, next.last.SourcePartition.Fields()); diff != "" {
		t.Error(diff)
	}
	ended, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	if records, err := next.task.Poll(ended); records != nil || err != nil {
		t.Errorf("after the end of the input: %v, %v", records, err)
	}
}

func TestTheSinkWritesOneLineARecord(t *testing.T) {
	var out strings.Builder
	task := (&SinkConnector{stdout: &output{to: &out}}).NewTask()
	if err := task.Start(t.Context(), connecttest.NewSinkTaskContext(connect.TaskID{}, false), map[string]string{}); err != nil {
		t.Fatal(err)
	}
	values := []any{"text", nil, int32(5), []byte("bytes"), map[string]any{"k": "v"}, true}
	var records []*connect.Record
	for _, v := range values {
		records = append(records, &connect.Record{Value: v})
	}
	if err := task.Put(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("text\nnull\n5\nbytes\n{k=v}\ntrue\n", out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestAFileThatCannotBeWrittenFailsTheTask(t *testing.T) {
	task := (&SinkConnector{}).NewTask()
	name := filepath.Join(t.TempDir(), "no", "such", "folder")
	err := task.Start(t.Context(), connecttest.NewSinkTaskContext(connect.TaskID{}, false), map[string]string{"file": name})
	if err == nil || !strings.HasPrefix(err.Error(), "Couldn't find or create file '"+name+"' for FileStreamSinkTask") {
		t.Errorf("got %v", err)
	}
}

func TestAlteredOffsetsAreCheckedAsInJava(t *testing.T) {
	c := &SourceConnector{}
	file := map[string]string{"file": "f"}
	partition := map[string]any{"filename": "f"}
	for _, step := range []struct {
		config    map[string]string
		partition map[string]any
		offset    map[string]any
		want      string
	}{
		{map[string]string{}, partition, nil, "Offsets cannot be modified if the 'file' configuration is unspecified. This is because stdin is used for input and offsets are not tracked."},
		{file, nil, nil, ""},
		{file, partition, map[string]any{"position": int64(3)}, ""},
		{file, partition, map[string]any{"pos": int64(3)}, "Offset objects should either be null or contain the key 'position'"},
		{file, partition, map[string]any{"position": "3"}, "The value for the 'position' key in the offset is expected to be a Long value"},
		{file, partition, map[string]any{"position": int64(-1)}, "The value for the 'position' key in the offset should be a non-negative value"},
		{file, nil, map[string]any{"position": int64(3)}, "Partition objects cannot be null"},
		{file, map[string]any{"name": "f"}, map[string]any{"position": int64(3)}, "Partition objects should contain the key 'filename'"},
	} {
		complete, err := c.AlterOffsets(t.Context(), step.config, []connect.OffsetChange{{Partition: step.partition, Offset: step.offset}})
		if got := fmt.Sprint(err); step.want == "" && (err != nil || !complete) || step.want != "" && got != step.want {
			t.Errorf("%v of %v: %v, %v, want %q", step.offset, step.partition, complete, err, step.want)
		}
	}
}
