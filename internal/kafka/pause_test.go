package kafka

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestABrokerThatIsAboutToKnowIsAskedAgainSoonOneThatIsAwayIsNot(t *testing.T) {
	c := &Client{cfg: &Config{RetryBackoff: 100 * time.Millisecond, RetryBackoffMax: time.Second}}
	settling := fmt.Errorf("look up: %w", ErrUnknownTopicOrPartition)
	away := &ConnectionError{Addr: "a:1", Reason: "refuses", Err: errors.New("refused")}
	for _, test := range []struct {
		attempt int
		err     error
		want    time.Duration
	}{
		{0, settling, 100 * time.Millisecond},
		{settlingTries - 1, settling, 100 * time.Millisecond},
		{settlingTries, settling, time.Second},
		{0, away, 100 * time.Millisecond},
		{2, away, 400 * time.Millisecond},
		{9, away, time.Second},
	} {
		if got := c.pause(test.attempt, test.err); got != test.want {
			t.Errorf("pause before try %d after %v: %v, want %v", test.attempt+1, test.err, got, test.want)
		}
	}
}
