package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// orders are what a test changes in a worker that runs: one a line, as
//
//	request-timeout 1000
//	request-timeout reset
type orders struct {
	in    io.Reader
	limit atomic.Int64 // milliseconds
}

// restLimit is the time limit that the test has set, or 0.
func (o *orders) restLimit() time.Duration { return time.Duration(o.limit.Load()) * time.Millisecond }

// follow carries out orders until there are no more. It ends with the process: a read from standard input cannot be
// broken off.
func (o *orders) follow() {
	for lines := bufio.NewScanner(o.in); lines.Scan(); {
		if err := o.obey(lines.Text()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

func (o *orders) obey(line string) error {
	word, argument, _ := strings.Cut(line, " ")
	if word != "request-timeout" {
		return fmt.Errorf("%q is no order", line)
	}
	if argument == "reset" {
		o.limit.Store(0)
		return nil
	}
	limit, err := strconv.ParseInt(argument, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is no order: %w", line, err)
	}
	o.limit.Store(limit)
	return nil
}
