package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

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
