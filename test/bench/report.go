package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// figure is one number that was measured.
type figure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
}

func (f figure) label() string { return f.Name + ", " + f.Unit }

// measurement is what one run of one tool gave. All runs of a scenario and a tool have the same figures in the same order.
type measurement struct {
	Scenario string `json:"scenario"`
	Tool     string `json:"tool"`
	Run      int    `json:"run"` // from 1; 0 in a median
	// TargetCodec is how the mirror's batches are compressed, where that was looked at.
	TargetCodec string   `json:"targetCodec,omitempty"`
	Figures     []figure `json:"figures"`
}

func (m measurement) String() string {
	parts := make([]string, len(m.Figures))
	for i, f := range m.Figures {
		parts[i] = fmt.Sprintf("%s %s %s", f.Name, number(f.Value), f.Unit)
	}
	return strings.Join(parts, "; ")
}

// report is all that one call of the benchmark found out.
type report struct {
	Started      time.Time     `json:"started"`
	Machine      machine       `json:"machine"`
	Options      options       `json:"options"`
	Measurements []measurement `json:"measurements"`
}

// medians gives one measurement for each scenario and tool, in the order in which they were first measured.
func (r report) medians() []measurement {
	var medians []measurement
	for _, m := range r.Measurements {
		if slices.ContainsFunc(medians, func(seen measurement) bool { return seen.Scenario == m.Scenario && seen.Tool == m.Tool }) {
			continue
		}
		values := make([][]float64, len(m.Figures))
		for _, run := range r.Measurements {
			if run.Scenario == m.Scenario && run.Tool == m.Tool {
				for i, f := range run.Figures {
					values[i] = append(values[i], f.Value)
				}
			}
		}
		m.Run = 0
		m.Figures = slices.Clone(m.Figures)
		for i := range m.Figures {
			m.Figures[i].Value = median(values[i])
		}
		medians = append(medians, m)
	}
	return medians
}

// median of an even number of values is the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// text is the report for people: the machine, then a table for each scenario with the ratio of the two tools.
func (r report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Tributary beside Java MirrorMaker 2, %s\n\n", r.Started.Format("2006-01-02 15:04 MST"))
	facts := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, fact := range [][2]string{
		{"commit", r.Machine.Commit}, {"processor", fmt.Sprintf("%s, %d cores", r.Machine.Processor, r.Machine.Cores)},
		{"memory", r.Machine.Memory}, {"system", r.Machine.System}, {"Go", r.Machine.Go}, {"Java", r.Machine.Java},
		{"Kafka", r.Machine.Kafka + ", one broker a cluster"}, {"load before", r.Machine.Load}, {"runs", r.runs()},
		{"before each", r.beforeEach()},
	} {
		fmt.Fprintf(facts, "%s\t%s\n", fact[0], fact[1])
	}
	facts.Flush()

	medians := r.medians()
	for i, m := range medians {
		if i > 0 && medians[i-1].Scenario == m.Scenario {
			continue
		}
		fmt.Fprintf(&b, "\n%s: %s\n", m.Scenario, r.describe(m.Scenario))
		writeTable(&b, slices.DeleteFunc(slices.Clone(medians), func(other measurement) bool { return other.Scenario != m.Scenario }), scenarioNamed(m.Scenario).goals)
	}
	return b.String()
}

func (r report) runs() string {
	if r.Options.Runs == 1 {
		return "1 of each tool"
	}
	return fmt.Sprintf("%d of each tool; the figures are medians", r.Options.Runs)
}

// beforeEach says what state of the machine a run begins with.
func (r report) beforeEach() string {
	if r.Options.Touch == 0 {
		return "all is written to the disk"
	}
	return fmt.Sprintf("all is written to the disk, and %d MB of free memory are touched", r.Options.Touch)
}

func (r report) describe(name string) string { return scenarioNamed(name).describe(r.Options) }

// writeTable writes a column for each tool, with both mirrors the ratio of Tributary to Java, and what Tributary is to
// reach and whether it does.
func writeTable(b *strings.Builder, tools []measurement, goals map[string]goal) {
	head, codecs := []string{""}, []string{"batches on the target"}
	byTool, labels := map[string]map[string]float64{}, []string{}
	for _, m := range tools {
		head, codecs = append(head, m.Tool), append(codecs, m.TargetCodec)
		byTool[m.Tool] = map[string]float64{}
		for _, f := range m.Figures {
			byTool[m.Tool][f.label()] = f.Value
			if !slices.Contains(labels, f.label()) {
				labels = append(labels, f.label())
			}
		}
	}
	both := byTool[java] != nil && byTool[tributary] != nil
	if both {
		head = append(head, "tributary/java")
	}
	judged := len(goals) > 0 && byTool[tributary] != nil
	if judged {
		head = append(head, "to reach", "reached")
	}
	rows := [][]string{head}
	for _, label := range labels {
		row := []string{label}
		ofTools := map[string]float64{}
		for _, m := range tools {
			value, found := byTool[m.Tool][label]
			row = append(row, cell(value, found))
			if found {
				ofTools[m.Tool] = value
			}
		}
		if both {
			value := byTool[java][label]
			row = append(row, cell(byTool[tributary][label]/value, value != 0))
		}
		if goal, found := goals[label]; judged && found {
			row = append(row, goal.String(), goal.reached(byTool[tributary][label], ofTools))
		}
		rows = append(rows, row)
	}
	if tools[0].TargetCodec != "" {
		rows = append(rows, codecs)
	}
	writeRows(b, rows)
}

// writeRows sets the first column to the left and all others to the right.
func writeRows(b *strings.Builder, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for column, text := range row {
			if column == len(widths) {
				widths = append(widths, 0)
			}
			widths[column] = max(widths[column], utf8.RuneCountInString(text))
		}
	}
	for _, row := range rows {
		fmt.Fprintf(b, "  %-*s", widths[0], row[0])
		for column, text := range row[1:] {
			fmt.Fprintf(b, "   %*s", widths[column+1], text) // which counts characters
		}
		b.WriteByte('\n')
	}
}

func cell(value float64, found bool) string {
	if !found {
		return "-"
	}
	return number(value)
}

// number shows three digits or more.
func number(value float64) string {
	switch {
	case value >= 100:
		return fmt.Sprintf("%.0f", value)
	case value >= 10:
		return fmt.Sprintf("%.1f", value)
	case value > 0 && value < 0.1:
		return fmt.Sprintf("%.3f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

// write makes the text, the JSON and the pictures in the folder, named after the time or by BENCH_NAME, and gives their path without the extension.
func (r report) write(folder string) (path string, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("make the report's folder: %w", err)
	}
	path = filepath.Join(folder, cmp.Or(r.Options.Name, "bench-"+r.Started.Format("20060102T150405Z")))
	data, err := json.MarshalIndent(struct {
		report
		Medians []measurement `json:"medians"`
	}{r, r.medians()}, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(path+".json", append(data, '\n'), 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(path+".txt", []byte(r.text()), 0o644); err != nil {
		return "", err
	}
	return path, r.draw(path)
}
