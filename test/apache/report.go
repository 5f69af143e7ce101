package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tributary/internal/buildinfo"
)

// reportFile is the report's name in the output folder.
const reportFile = "report.md"

// report collects what came of the suites.
type report struct {
	Date  time.Time
	Kafka string
	parts []part
}

type part struct {
	suite   suite
	results []result
}

func (r *report) add(s suite, results []result) { r.parts = append(r.parts, part{s, results}) }

// count counts the methods of all suites with an outcome.
func (r *report) count(o outcome) int {
	n := 0
	for _, p := range r.parts {
		n += p.count(o)
	}
	return n
}

func (p part) count(o outcome) int {
	n := 0
	for _, m := range p.results {
		if m.Outcome == o {
			n++
		}
	}
	return n
}

// write writes the report as Markdown.
func (r *report) write(dir string) error {
	return os.WriteFile(filepath.Join(dir, reportFile), []byte(r.text()), 0o644)
}

func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Apache Kafka's integration tests on Tributary\n\n")
	fmt.Fprintf(&b, "Tests of Kafka %s, Tributary %s (commit %s), %s.\n\n", r.Kafka, buildinfo.Version, buildinfo.Commit, r.Date.Format(time.DateOnly))
	fmt.Fprintf(&b, "| class | passed | failed | not applicable |\n|---|---|---|---|\n")
	for _, p := range r.parts {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", p.suite.simpleName(), p.count(passed), p.count(failed), p.count(notApplicable))
	}
	fmt.Fprintf(&b, "| **all** | %d | %d | %d |\n", r.count(passed), r.count(failed), r.count(notApplicable))
	for _, p := range r.parts {
		fmt.Fprintf(&b, "\n## %s\n\n| method | | seconds | |\n|---|---|---|---|\n", p.suite.Class)
		for _, m := range p.results {
			fmt.Fprintf(&b, "| %s | %s | %.0f | %s |\n", m.Method, m.Outcome, m.Took.Seconds(), strings.ReplaceAll(m.Reason, "|", `\|`))
		}
	}
	return b.String()
}
