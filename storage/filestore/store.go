package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"

	"tributary/storage"
)

// Key is the worker property that names the file; errors speak of it.
const Key = "offset.storage.file.filename"

// Store implements [storage.OffsetStore] over one file. Reads are from memory. A write
// replaces the file as a whole, and returns once the new one is on the disk: a crash
// leaves the old content or the new.
type Store struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	running bool
	entries map[string][]byte // all that is in the file, a nil value is null
	table   *storage.OffsetTable
	seen    fs.FileInfo // the file that entries are from or went to; nil: none yet
}

var _ storage.OffsetStore = (*Store)(nil)

// New returns a store over the file at path, which need not exist. os.DevNull keeps
// offsets in memory only.
func New(path string, logger *slog.Logger) *Store {
	return &Store{path: path, log: logger, entries: map[string][]byte{}, table: new(storage.OffsetTable)}
}

// Start reads the file. A missing or empty file holds no offsets. A file that holds
// anything else than offsets is an error, as is a place where none can be written.
func (s *Store) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkPlace(); err != nil {
		return err
	}
	if err := s.catchUp(); err != nil {
		return err
	}
	s.running = true
	return nil
}

// Stop implements [storage.OffsetStore]. Everything written is on the disk already.
func (s *Store) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
}

// Topic implements [storage.OffsetStore]: there is none.
func (s *Store) Topic() string { return "" }

// WriteOffsets implements [storage.OffsetStore]: all records or, with an error, none.
func (s *Store) WriteOffsets(ctx context.Context, records []storage.OffsetRecord) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil || len(records) == 0 {
		return err
	}
	records = s.table.Expand(records)
	entries := maps.Clone(s.entries)
	for _, r := range records {
		entries[string(r.Key)] = slices.Clone(r.Value)
	}
	seen, err := s.save(entries)
	if err != nil {
		return s.errorf("it cannot be written: %w", err)
	}
	s.entries, s.seen = entries, seen
	for _, r := range records {
		s.apply(s.table, r)
	}
	return nil
}

// Offsets implements [storage.OffsetStore].
func (s *Store) Offsets(ctx context.Context, connector string, partitions []map[string]any) ([]map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.table.Offsets(connector, partitions)
}

// Partitions implements [storage.OffsetStore].
func (s *Store) Partitions(ctx context.Context, connector string) ([]map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.table.Partitions(connector), nil
}

// Record implements [storage.OffsetStore].
func (s *Store) Record(connector string, partition, offset map[string]any) (storage.OffsetRecord, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Record(connector, partition, offset)
}

// Expand implements [storage.OffsetStore].
func (s *Store) Expand(records []storage.OffsetRecord) []storage.OffsetRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Expand(records)
}

func (s *Store) ready(ctx context.Context) error {
	if !s.running {
		return storage.ErrStopped
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.catchUp()
}

// catchUp reads the file if it is not the one this store knows. A file that has gone is
// no change: cleaners of temporary folders must not cost the offsets of partitions that
// are idle, and the next write brings all back.
func (s *Store) catchUp() error {
	if s.path == os.DevNull {
		return nil
	}
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return s.errorf("it cannot be read: %w", cause(err))
	}
	if s.seen != nil && os.SameFile(info, s.seen) && info.ModTime().Equal(s.seen.ModTime()) && info.Size() == s.seen.Size() {
		return nil
	}
	content, err := os.ReadFile(s.path)
	if err != nil {
		return s.errorf("it cannot be read: %w", cause(err))
	}
	var records []storage.Record
	if len(content) > 0 {
		if records, err = decodeMap(content); err != nil {
			return s.errorf("it is not a file of offsets: %w; name another file, or remove this one to begin without offsets", err)
		}
	}
	if s.running {
		s.log.Warn("Something else has changed the offsets file; what it holds now is used. Each standalone worker needs a file of its own", "file", s.path)
	}
	entries, table := make(map[string][]byte, len(records)), new(storage.OffsetTable)
	for _, r := range records {
		if r.Key == nil {
			continue // Java's format has it, Connect never writes it
		}
		entries[string(r.Key)] = r.Value
		s.apply(table, r)
	}
	s.entries, s.table, s.seen = entries, table, info
	return nil
}

// apply takes note of a record. One that is no source offset stays in the file, as it
// would in the topic.
func (s *Store) apply(table *storage.OffsetTable, record storage.Record) {
	if err := table.Apply(record); err != nil {
		s.log.Warn("Offsets file: "+err.Error(), "file", s.path)
	}
}

// save writes all entries, in the order of their keys.
func (s *Store) save(entries map[string][]byte) (fs.FileInfo, error) {
	if s.path == os.DevNull {
		return nil, nil
	}
	records := make([]storage.Record, 0, len(entries))
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		records = append(records, storage.Record{Key: []byte(key), Value: entries[key]})
	}
	return replaceFile(s.path, encodeMap(records))
}

func (s *Store) errorf(format string, args ...any) error {
	return fmt.Errorf("%s is %s: "+format, append([]any{Key, s.path}, args...)...)
}

// cause is an error without the path that the message names already.
func cause(err error) error {
	var inFile *fs.PathError
	if errors.As(err, &inFile) {
		return inFile.Err
	}
	return err
}
