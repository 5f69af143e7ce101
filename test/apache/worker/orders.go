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

// orders are what a test changes in a worker that runs: one a line, after an id, as
//
//	1 request-timeout 1000
//	2 request-timeout reset
type orders struct {
	in io.Reader
	// obeyed is told the id of every order that was carried out.
	obeyed func(id string) error
	limit  atomic.Int64 // milliseconds
}

// restLimit is the time limit that the test has set, or 0.
func (o *orders) restLimit() time.Duration { return time.Duration(o.limit.Load()) * time.Millisecond }

// follow carries out orders until there are no more. It ends with the process: a read from standard input cannot be
// broken off.
func (o *orders) follow() {
	for lines := bufio.NewScanner(o.in); lines.Scan(); {
		id, order, _ := strings.Cut(lines.Text(), " ")
		err := o.obey(order)
		if err == nil {
			err = o.obeyed(id)
		}
		if err != nil {
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
