package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

func TestAPictureStartsAtZeroAndShowsEveryPoint(t *testing.T) {
	point := func(name string, rate float64) measurement {
		return measurement{Scenario: "cost-sizes", Tool: name, Figures: []figure{{"throughput", "records/s", rate}, {"peak memory", "MB", 90}}}
	}
	svg := picture("a < b", "bytes", []measurement{point("1 kB", 180), point("1 MB", 395)})

	var texts []string
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("no XML: %v\n%s", err, svg)
		}
		if text, ok := token.(xml.CharData); ok && strings.TrimSpace(string(text)) != "" {
			texts = append(texts, string(text))
		}
	}
	all := "|" + strings.Join(texts, "|") + "|"
	for _, want := range []string{"|a < b|", "|throughput, records/s|0|125|250|375|500|180|1 kB|395|1 MB|bytes|", "|peak memory, MB|0|25|50|75|100|"} {
		if !strings.Contains(all, want) {
			t.Errorf("the picture lacks %q: %s", want, all)
		}
	}
	// 395 of 500 is at 79 % of the height of the plot, above the axis.
	if want := `cy="75.7"`; !strings.Contains(svg, want) {
		t.Errorf("no point at %s:\n%s", want, svg)
	}
}

func TestAnAxisEndsAboveTheLargestValue(t *testing.T) {
	for value, want := range map[float64]float64{0: 1, 1: 2, 0.04: 0.05, 95: 200, 360_000: 500_000, 900: 1000} {
		if got := roundUp(value); got < want*0.9999 || got > want*1.0001 {
			t.Errorf("the axis for %v ends at %v, want %v", value, got, want)
		}
	}
}
