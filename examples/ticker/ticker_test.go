package main

import (
	"testing"

	"tributary/connect"
	"tributary/connect/connecttest"
)

func TestTicker(t *testing.T) {
	connecttest.TestSource(t, connecttest.Source{
		New:     func() connect.SourceConnector { return &Ticker{} },
		Config:  map[string]string{"name": "clock", "topic": "time", "interval.ms": "1"},
		Feed:    func(*testing.T) {}, // time passes by itself
		Records: 3,
		Forgets: true, // there is no position to go on from
	})
}
