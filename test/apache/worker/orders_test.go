package main

import (
	"strings"
	"testing"
	"time"
)

func TestAnOrderSetsTheTimeLimitUntilItIsReset(t *testing.T) {
	o := &orders{in: strings.NewReader("request-timeout 1500\n")}
	o.follow()
	if got := o.restLimit(); got != 1500*time.Millisecond {
		t.Errorf("got %s", got)
	}
	for _, line := range []string{"request-timeout soon", "dance"} {
		if err := o.obey(line); err == nil || !strings.Contains(err.Error(), line) || o.restLimit() != 1500*time.Millisecond {
			t.Errorf("%s: %v, limit %s", line, err, o.restLimit())
		}
	}
	if err := o.obey("request-timeout reset"); err != nil || o.restLimit() != 0 {
		t.Errorf("after the reset: %v, limit %s", err, o.restLimit())
	}
}
