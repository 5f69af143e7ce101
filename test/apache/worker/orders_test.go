package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAnOrderSetsTheTimeLimitUntilItIsReset(t *testing.T) {
	var obeyed []string
	o := &orders{in: strings.NewReader("7 request-timeout 1500\n8 dance\n"), obeyed: func(id string) error { obeyed = append(obeyed, id); return nil }}
	o.follow()
	if got := o.restLimit(); got != 1500*time.Millisecond || !slices.Equal(obeyed, []string{"7"}) {
		t.Errorf("the limit is %s, obeyed were %v", got, obeyed)
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
