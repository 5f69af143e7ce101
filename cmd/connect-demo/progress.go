package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"tributary/internal/kafka"
)

// Pauses between two lines of progress: on a terminal the line is drawn anew in place,
// elsewhere each is a line of its own.
const (
	terminalInterval = 200 * time.Millisecond
	plainInterval    = 2 * time.Second
)

// progress counts what arrives on the target and shows it.
type progress struct {
	out       io.Writer
	terminal  bool
	generator *generator
	fetcher   *kafka.Fetcher
	err       error
	records   atomic.Int64
	bytes     atomic.Int64
	began     time.Time
	cancel    context.CancelFunc
	counting  sync.WaitGroup
	// last and lastAt are of the line shown last.
	last   int64
	lastAt time.Time
}

func newProgress(out io.Writer, g *generator, target *side) *progress {
	p := &progress{out: out, generator: g, began: time.Now(), lastAt: time.Now()}
	if f, ok := out.(*os.File); ok {
		p.terminal = term.IsTerminal(int(f.Fd()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	if p.fetcher, p.err = target.fetcher(remote); p.err != nil {
		return p
	}
	p.counting.Go(func() { p.count(ctx) })
	return p
}

func (p *progress) count(ctx context.Context) {
	for {
		batches, err := p.fetcher.Poll(ctx)
		if err != nil {
			return
		}
		for _, b := range batches {
			for _, r := range b.Records {
				p.records.Add(1)
				p.bytes.Add(int64(len(r.Key) + len(r.Value)))
			}
		}
	}
}

// show draws progress until ctx ends or something fails.
func (p *progress) show(ctx context.Context, failed <-chan error) error {
	interval := plainInterval
	if p.terminal {
		interval = terminalInterval
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return p.err
		case err := <-failed:
			return err
		case <-ticker.C:
			p.line()
		}
	}
}

// settle waits until the target has as many records as were written.
func (p *progress) settle(ctx context.Context, failed <-chan error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for p.records.Load() < p.generator.written.Load() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case <-ticker.C:
		}
	}
	p.line()
	if p.terminal {
		fmt.Fprintln(p.out)
	}
	return nil
}

func (p *progress) line() {
	now, records := time.Now(), p.records.Load()
	rate := float64(records-p.last) / now.Sub(p.lastAt).Seconds()
	p.last, p.lastAt = records, now
	text := fmt.Sprintf("%5.1fs  mirrored %d records, %.1f MB   %.0f records/s   lag %d",
		now.Sub(p.began).Seconds(), records, float64(p.bytes.Load())/1e6, rate, max(p.generator.written.Load()-records, 0))
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[K%s", text)
		return
	}
	fmt.Fprintln(p.out, text)
}

func (p *progress) close() {
	p.cancel()
	p.counting.Wait()
	if p.fetcher != nil {
		p.fetcher.Close()
	}
}
