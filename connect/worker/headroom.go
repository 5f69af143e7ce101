package worker

import (
	"os"
	"sync"
	"time"
)

// headroom lets garbage pile up while many records pass. Go collects it when it is as much as
// what lives; in the record lane that is a few megabytes, which come together a hundred
// times a second. Memory that nobody touches costs none, and yet counts among what lives, so
// the collector waits for headroomSize more.
//
// It is given back when nothing much has passed for a while: who is at rest needs no room.
// GOGC and GOMEMLIMIT are an operator's own choice, which is left alone.
type headroom struct {
	mu      sync.Mutex
	passed  int
	begun   time.Time // since when passed counts
	ballast []byte
	rest    *time.Timer
}

const (
	headroomSize = 64 << 20
	// headroomBusy records within headroomWindow are many.
	headroomBusy   = 10_000
	headroomWindow = time.Second
	// headroomKept is how long the room stays when no more records than that pass.
	headroomKept = 30 * time.Second
)

// processRoom is the headroom of the process, which has one heap.
var processRoom headroom

// pass is told of records that passed a lane.
func (h *headroom) pass(records int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.passed += records
	if h.passed < headroomBusy {
		return
	}
	now := time.Now()
	busy := now.Sub(h.begun) < headroomWindow
	h.passed, h.begun = 0, now
	switch {
	case !busy:
	case h.ballast != nil:
		h.rest.Reset(headroomKept)
	case os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "":
		h.ballast = make([]byte, headroomSize)
		h.rest = time.AfterFunc(headroomKept, h.giveBack)
	}
}

func (h *headroom) giveBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ballast = nil
}
