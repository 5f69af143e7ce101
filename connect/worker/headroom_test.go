package worker

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestThereIsHeadroomWhileManyRecordsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Setenv("GOGC", "")
		t.Setenv("GOMEMLIMIT", "")
		var h headroom
		expect := func(want bool) {
			t.Helper()
			h.mu.Lock()
			defer h.mu.Unlock()
			if got := h.ballast != nil; got != want {
				t.Errorf("headroom: %v, want %v", got, want)
			}
		}
		for range 20 { // 5,000 a second
			h.pass(headroomBusy / 2)
			time.Sleep(headroomWindow)
		}
		expect(false)
		for range 100 {
			h.pass(headroomBusy / 2)
			time.Sleep(headroomWindow / 4)
		}
		expect(true)
		time.Sleep(headroomKept - headroomWindow)
		expect(true)
		h.pass(headroomBusy)
		h.pass(headroomBusy)
		time.Sleep(headroomKept - headroomWindow)
		expect(true)
		h.pass(1)
		time.Sleep(2 * headroomWindow)
		expect(false)
		h.pass(headroomBusy)
		h.pass(headroomBusy)
		expect(true)
		time.Sleep(2 * headroomKept)
		t.Setenv("GOGC", "50")
		h.pass(headroomBusy)
		h.pass(headroomBusy)
		expect(false)
	})
}
