package realkafka

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what a program has taken of the machine.
type Usage struct {
	User, System time.Duration // processor time of all threads
	PeakRSS      int64         // bytes, the highest resident size
	RSS          int64         // bytes, the resident size now; 0 of an ended program
}

// CPU is the processor time altogether.
func (u Usage) CPU() time.Duration { return u.User + u.System }

const (
	// clockTick is the unit of /proc/PID/stat: Linux reports hundredths of a second on every architecture.
	clockTick   = 10 * time.Millisecond
	sampleEvery = time.Second
)

// Usage tells what the program has used so far, or altogether if it has ended. For a running program it needs
// Linux's /proc.
//
// Processor time is exact. The kernel's own peak of an ended program also counts what its parent had resident when
// it was started, so the peak is read once a second and before every signal from Signal, Terminate and Kill instead;
// a program that ends by itself may have used a little more in its last second.
func (p *Process) Usage() (Usage, error) {
	if p.Running() {
		p.samplePeak()
		user, system, err := readCPU(p.PID())
		if err == nil {
			resident, _ := readResident(p.PID()) // of one that has just ended there is none
			return Usage{User: user, System: system, PeakRSS: p.peakSeen(), RSS: resident}, nil
		}
		if p.Running() {
			return Usage{}, fmt.Errorf("read the processor time of %s: %w", p.name, err)
		}
	}
	state := p.cmd.ProcessState
	usage := Usage{User: state.UserTime(), System: state.SystemTime(), PeakRSS: p.peakSeen()}
	if rusage, ok := state.SysUsage().(*syscall.Rusage); ok && usage.PeakRSS == 0 {
		usage.PeakRSS = int64(rusage.Maxrss) * maxRSSUnit
	}
	return usage, nil
}

// sample keeps the peak up to date until ending is closed.
func (p *Process) sample(ending <-chan struct{}) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		p.samplePeak()
		select {
		case <-tick.C:
		case <-ending:
			return
		}
	}
}

// samplePeak notes the peak of a running program; of an ended one, and without /proc, there is nothing to read.
func (p *Process) samplePeak() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return
	}
	if peak, err := readPeak(p.cmd.Process.Pid); err == nil {
		p.peak = max(p.peak, peak)
	}
}

func (p *Process) peakSeen() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peak
}

// readPeak reads the highest resident size of a process in bytes.
func readPeak(pid int) (int64, error) { return readStatus(pid, "VmHWM:") }

// readResident reads the resident size of a process in bytes.
func readResident(pid int) (int64, error) { return readStatus(pid, "VmRSS:") }

// readStatus reads a size from /proc/PID/status.
func readStatus(pid int, key string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, key); found {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kilobytes * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no memory any more", pid)
}

// readCPU reads fields 14 and 15 of /proc/PID/stat. The name in field 2 may hold blanks, so counting begins after it.
func readCPU(pid int) (user, system time.Duration, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const userField, systemField = 11, 12
	if len(fields) <= systemField {
		return 0, 0, fmt.Errorf("/proc/%d/stat has only %d fields", pid, len(fields))
	}
	for field, into := range map[int]*time.Duration{userField: &user, systemField: &system} {
		ticks, err := strconv.ParseInt(fields[field], 10, 64)
		if err != nil {
			return 0, 0, err
		}
		*into = time.Duration(ticks) * clockTick
	}
	return user, system, nil
}
