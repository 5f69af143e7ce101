package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"tributary/connect"
)

// lookAgain is how long the task waits at the end of the file, or for a file that does not
// exist, before it looks again.
const lookAgain = 250 * time.Millisecond

// readSize is how much is read at once.
const readSize = 64 << 10

// sourceTask reads lines from a file or from the standard input.
//
// Positions count bytes. Java's task counts characters but skips bytes when it starts, so
// its own positions are off behind a character of several bytes; these are right for both.
type sourceTask struct {
	stdin   *input
	logger  *slog.Logger
	offsets connect.OffsetReader
	name    string // "" is the standard input
	topic   string
	batch   int

	partition *connect.SourcePartition
	file      *os.File
	missing   bool // it was said that the file is not there
	lines     splitter
	came      int64                  // when the lines were read, in milliseconds
	blank     []connect.SourceRecord // records are made in blocks
	at        int64                  // after the last line that was returned
}

// recordBlock is how many records are made at once at most.
const recordBlock = 64

// lineOffset is the position behind a line.
type lineOffset int64

// OffsetFields implements connect.SourceOffset.
func (o lineOffset) OffsetFields() map[string]any { return map[string]any{positionField: int64(o)} }

// noOffset is that of the standard input.
var noOffset = connect.OffsetMap{positionField: nil}

// Start implements connect.SourceTask.
func (t *sourceTask) Start(_ context.Context, tc connect.TaskContext, config map[string]string) error {
	values, err := sourceDef.ParseValues(config)
	if err != nil {
		return err
	}
	t.logger, t.offsets = tc.Logger(), tc.Offsets()
	t.name, t.topic, t.batch = values.String(fileKey), values.String(topicKey), int(max(values.Int(batchSizeKey), 1))
	partition := map[string]any{filenameField: nil}
	if !values.IsNull(fileKey) {
		partition[filenameField] = t.name
	}
	t.partition = connect.NewSourcePartition(partition)
	return nil
}

// Poll implements connect.SourceTask.
func (t *sourceTask) Poll(ctx context.Context) ([]*connect.SourceRecord, error) {
	if t.name != "" && t.file == nil {
		if found, err := t.open(ctx); err != nil || !found {
			return nil, err
		}
	}
	var records []*connect.SourceRecord
	for {
		for len(records) < t.batch {
			line, length, ok := t.lines.next()
			if !ok {
				break
			}
			t.at += int64(length)
			records = append(records, t.record(line))
		}
		if len(records) == t.batch {
			return records, nil
		}
		if more, err := t.read(ctx, len(records) == 0); err != nil || !more {
			return records, err
		}
		t.came = time.Now().UnixMilli()
	}
}

func (t *sourceTask) record(line string) *connect.SourceRecord {
	if len(t.blank) == 0 {
		left := 1 + len(t.lines.whole)/(len(line)+1) // if they are as long
		t.blank = make([]connect.SourceRecord, min(left, recordBlock))
	}
	r := &t.blank[0]
	t.blank = t.blank[1:]
	*r = connect.SourceRecord{
		Record: connect.Record{
			Topic: t.topic, Partition: connect.PartitionUnset, Timestamp: t.came,
			ValueSchema: connect.StringSchema, Value: line,
		},
		SourcePartition: t.partition, SourceOffset: noOffset,
	}
	if t.name != "" {
		r.SourceOffset = lineOffset(t.at)
	}
	return r
}

// open opens the file where the committed offset says. It waits a while for a file that
// does not exist.
func (t *sourceTask) open(ctx context.Context) (found bool, err error) {
	file, err := os.Open(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		if !t.missing {
			t.logger.Warn("The file to read does not exist; the task waits for it", "file", t.name)
			t.missing = true
		}
		pause(ctx)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	offsets, err := t.offsets.Offsets(ctx, []*connect.SourcePartition{t.partition})
	if err == nil && len(offsets) == 1 {
		t.at, err = position(offsets[0])
	}
	if err == nil {
		_, err = file.Seek(t.at, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return false, err
	}
	t.file, t.missing = file, false
	t.logger.Debug("The file is open", "file", t.name, "position", t.at)
	return true, nil
}

// chunks are what files are read into: only tasks that are reading hold one.
var chunks = sync.Pool{New: func() any { return new([readSize]byte) }}

// read adds what there is to read to the lines, nothing at the end for now; with wait it
// waits a while there.
func (t *sourceTask) read(ctx context.Context, wait bool) (more bool, err error) {
	if t.name == "" {
		chunk, err := t.stdin.read(ctx, wait)
		t.lines.add(chunk)
		return len(chunk) > 0, err
	}
	n, err := t.readFile()
	if n == 0 && errors.Is(err, io.EOF) {
		if wait {
			pause(ctx)
		}
		return false, nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return n > 0, nil
}

func (t *sourceTask) readFile() (int, error) {
	chunk := chunks.Get().(*[readSize]byte)
	defer chunks.Put(chunk)
	n, err := t.file.Read(chunk[:])
	t.lines.add(chunk[:n])
	return n, err
}

// Stop implements connect.SourceTask.
func (t *sourceTask) Stop(context.Context) error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

func pause(ctx context.Context) {
	timer := time.NewTimer(lookAgain)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
