package worker

import (
	"testing"
	"time"

	"tributary/connect"
	"tributary/connect/plugin"
)

// pacing is a connector with a wish for the size of transactions.
type pacing struct{ connect.SourceConnector }

func (pacing) TransactionPace() (time.Duration, int64) { return 300 * time.Millisecond, 1000 }

func TestBoundaryIsTheUsersElseTheConnectorsElsePoll(t *testing.T) {
	for _, test := range []struct {
		name      string
		config    map[string]string
		connector connect.Connector
		want      boundary
	}{
		{"nothing said", nil, nil, everyPoll{}},
		{"by the connector", nil, pacing{}, &everyInterval{interval: 300 * time.Millisecond, limit: 1000}},
		{"by the user", map[string]string{"transaction.boundary": "Poll"}, pacing{}, everyPoll{}},
		{"an interval", map[string]string{"transaction.boundary": "interval", "transaction.boundary.interval.ms": "0"}, pacing{}, &everyInterval{}},
		{"the worker's interval", map[string]string{"transaction.boundary": "interval"}, pacing{}, &everyInterval{interval: time.Minute}},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := map[string]string{"name": "c", "connector.class": "x"}
			for k, v := range test.config {
				config[k] = v
			}
			values, err := ConnectorDef(plugin.Source).ParseValues(config)
			if err != nil {
				t.Fatal(err)
			}
			got := newBoundary(config, values, test.connector, time.Minute)
			if a, ok := got.(*everyInterval); ok {
				if b, ok := test.want.(*everyInterval); !ok || *a != *b {
					t.Errorf("%+v, want %+v", a, test.want)
				}
			} else if got != test.want {
				t.Errorf("%T, want %T", got, test.want)
			}
		})
	}
}

func TestIntervalEndsEarlyWhenTheTransactionIsLarge(t *testing.T) {
	start := time.UnixMilli(0)
	b := &everyInterval{interval: time.Second, limit: 1000}
	b.begin(start)
	for _, step := range []struct {
		at    time.Duration
		bytes int64
		want  verdict
		left  time.Duration // afterwards
	}{
		{100 * time.Millisecond, 999, goOn, 900 * time.Millisecond},
		{200 * time.Millisecond, 1000, commitHere, time.Second},
		{1100 * time.Millisecond, 10, goOn, 100 * time.Millisecond},
		{1200 * time.Millisecond, 10, commitHere, time.Second},
	} {
		now := start.Add(step.at)
		if got, err := b.afterBatch(now, step.bytes); got != step.want || err != nil {
			t.Errorf("at %v with %d bytes: %v, %v; want %v", step.at, step.bytes, got, err, step.want)
		}
		if left, matters := b.within(now); left != step.left || !matters {
			t.Errorf("at %v there are %v left, want %v", step.at, left, step.left)
		}
	}
}
