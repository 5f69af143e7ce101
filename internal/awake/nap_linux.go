package awake

import (
	"syscall"
	"time"
	"unsafe"
)

const canNap = true

// napTime is below the 10 ms after which the runtime has a goroutine make room for others, by a signal.
const napTime = 5 * time.Millisecond

// nap sleeps without telling the runtime, for which the goroutine goes on running. It is not whole if a signal ended it, such as
// that by which the runtime wants a goroutine to stop. A sandbox may refuse it.
func nap() (whole, refused bool) {
	request := syscall.NsecToTimespec(int64(napTime))
	_, _, err := syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&request)), 0, 0)
	return err == 0, err != 0 && err != syscall.EINTR
}
