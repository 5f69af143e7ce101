package realkafka

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// processAttributes give a program its own process group, and let the kernel kill it when the test binary dies: a
// test that runs into its time limit exits without any cleanup.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// maxRSSUnit is the unit of the kernel's resident size, in bytes.
const maxRSSUnit = 1024

// awaitEnd waits for the end of the process without reaping it, so that its number stays taken. It says whether the
// process is still to be reaped.
func awaitEnd(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}
