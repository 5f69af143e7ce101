package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// input is the standard input, which a process has once and whose reads cannot be broken
// off: one goroutine reads it, from the first request on and for as long as the process
// lives or the input lasts, and a task takes what there is. What a task that stopped did
// not take goes to the next one.
type input struct {
	from   io.Reader
	begin  sync.Once
	chunks chan []byte
	err    error // once chunks is closed
}

func newInput(from io.Reader) *input { return &input{from: from, chunks: make(chan []byte)} }

// read returns what there is; with wait it waits until something comes or ctx ends. After
// the end of the input there is nothing any more.
func (in *input) read(ctx context.Context, wait bool) ([]byte, error) {
	in.begin.Do(func() { go in.pump() })
	if !wait {
		select {
		case chunk := <-in.chunks:
			return chunk, nil
		default:
			return nil, nil
		}
	}
	select {
	case chunk, more := <-in.chunks:
		if more {
			return chunk, nil
		}
		if in.err != nil {
			return nil, in.err
		}
		<-ctx.Done()
		return nil, nil
	case <-ctx.Done():
		return nil, nil
	}
}

func (in *input) pump() {
	defer close(in.chunks)
	for {
		chunk := make([]byte, readSize)
		n, err := in.from.Read(chunk)
		if n > 0 {
			in.chunks <- chunk[:n]
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				in.err = fmt.Errorf("reading the standard input: %w", err)
			}
			return
		}
	}
}
