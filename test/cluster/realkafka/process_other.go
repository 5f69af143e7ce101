//go:build unix && !linux

package realkafka

import "syscall"

// maxRSSUnit is the unit of the kernel's resident size: macOS counts bytes.
const maxRSSUnit = 1

// processAttributes give a program its own process group. Only Linux can also tie its life to the test binary's.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitEnd leaves the waiting to the call that reaps: not every system can wait without reaping.
func awaitEnd(int) bool { return false }
