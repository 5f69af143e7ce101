package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"tributary/internal/buildinfo"
	"tributary/test/cluster/realkafka"
)

// machine is what figures depend on besides the programs. What cannot be found out is "unknown".
type machine struct {
	// Commit is that of the benchmark, which `make bench` builds together with the binary.
	Commit    string `json:"commit"`
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	Memory    string `json:"memory"`
	System    string `json:"system"`
	Go        string `json:"go"`
	Java      string `json:"java"`
	Kafka     string `json:"kafka"`
	// Load is the load average of the minute before: figures from a busy machine are worth less.
	Load string `json:"load"`
}

func describeMachine(ctx context.Context) machine {
	return machine{
		Commit:    buildinfo.Commit,
		Processor: procValue("/proc/cpuinfo", "model name"),
		Cores:     runtime.NumCPU(),
		Memory:    procValue("/proc/meminfo", "MemTotal"),
		System:    system(),
		Go:        strings.TrimPrefix(runtime.Version(), "go"),
		Java:      javaVersion(ctx),
		Kafka:     realkafka.DefaultVersion,
		Load:      load(),
	}
}

func system() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	return fmt.Sprintf("%s/%s %s", runtime.GOOS, runtime.GOARCH, strings.TrimSpace(string(release)))
}

func load() string {
	averages, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	minute, _, _ := strings.Cut(string(averages), " ")
	return minute
}

// touchMemory has the machine's host hand out so many megabytes of the free memory, or half of it if that is less. A
// virtual machine may have to ask for each page that it uses for the first time, and again after it has reported the page as
// free.
func touchMemory(megabytes int) error {
	available, err := inKilobytes("/proc/meminfo", "MemAvailable")
	if err != nil {
		return err
	}
	size := min(megabytes<<20, available<<10/2)
	if size == 0 {
		return nil
	}
	memory, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return err
	}
	for i := 0; i < size; i += os.Getpagesize() {
		memory[i] = 1
	}
	return syscall.Munmap(memory)
}

// inKilobytes is a value of a file of /proc that is in kB there.
func inKilobytes(path, key string) (int, error) {
	text := procValue(path, key)
	var kilobytes int
	if _, err := fmt.Sscanf(text, "%d kB", &kilobytes); err != nil {
		return 0, fmt.Errorf("%s of %s is %q, not a number of kB", key, path, text)
	}
	return kilobytes, nil
}

// procValue finds the first line "key : value".
func procValue(path, key string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if found, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(found) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// javaVersion is the first line that the harness's Java prints about itself.
func javaVersion(ctx context.Context) string {
	program := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		program = filepath.Join(home, "bin", "java")
	}
	output, err := exec.CommandContext(ctx, program, "-version").CombinedOutput()
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(output), "\n")
	return strings.ReplaceAll(strings.TrimSpace(first), `"`, "")
}
