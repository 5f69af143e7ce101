package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// drawn are the figures that a curve shows, one panel each.
var drawn = []string{"throughput, records/s", "throughput, MB/s", "CPU per payload, s/GB", "peak memory, MB"}

// The sizes of a picture, in its own units.
const (
	panelWidth, panelHeight    = 360, 260
	marginLeft, marginTop      = 70, 40
	marginBottom, marginRight  = 50, 20
	plotWidth                  = panelWidth - marginLeft - marginRight
	plotHeight                 = panelHeight - marginTop - marginBottom
	gridLines                  = 4
	pictureTitle, panelsInARow = 30, 2
)

// draw writes a picture for each curve that was measured.
func (r report) draw(path string) error {
	medians := r.medians()
	for _, s := range scenarios() {
		points := slices.DeleteFunc(slices.Clone(medians), func(m measurement) bool { return m.Scenario != s.name })
		if s.curve == "" || len(points) == 0 {
			continue
		}
		slices.SortFunc(points, func(a, b measurement) int { return slices.Index(s.tools, a.Tool) - slices.Index(s.tools, b.Tool) })
		if err := os.WriteFile(path+"-"+s.name+".svg", []byte(picture(s.describe(r.Options), s.curve, points)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// picture is an SVG with a panel for each drawn figure. Points stand side by side whatever they are, and every value axis
// starts at zero.
func picture(title, axis string, points []measurement) string {
	var b strings.Builder
	rows := (len(drawn) + panelsInARow - 1) / panelsInARow
	width, height := panelsInARow*panelWidth, rows*panelHeight+pictureTitle
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n", width, height)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" fill="white"/>`+"\n", escapeXML(title))
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14" text-anchor="middle">by %s</text>`+"\n", width/2, escapeXML(axis))
	for i, label := range drawn {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%panelsInARow*panelWidth, pictureTitle+i/panelsInARow*panelHeight)
		panel(&b, label, axis, points)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func panel(b *strings.Builder, label, axis string, points []measurement) {
	values := make([]float64, len(points))
	for i, m := range points {
		for _, f := range m.Figures {
			if f.label() == label {
				values[i] = f.Value
			}
		}
	}
	top := roundUp(slices.Max(values))
	y := func(value float64) float64 { return marginTop + plotHeight*(1-value/top) }
	x := func(i int) float64 { return marginLeft + plotWidth*(float64(i)+0.5)/float64(len(points)) }
	fmt.Fprintf(b, `<text x="%d" y="25" font-weight="bold">%s</text>`+"\n", marginLeft, escapeXML(label))
	for line := range gridLines + 1 {
		value := top * float64(line) / gridLines
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			marginLeft, panelWidth-marginRight, y(value), y(value), marginLeft-6, y(value)+4, axisNumber(value))
	}
	var line []string
	for i, value := range values {
		line = append(line, fmt.Sprintf("%.1f,%.1f", x(i), y(value)))
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="#1f6feb" stroke-width="2"/>`+"\n", strings.Join(line, " "))
	for i, value := range values {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="#1f6feb"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`,
			x(i), y(value), x(i), y(value)-7, number(value))
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(i), panelHeight-marginBottom+16, escapeXML(points[i].Tool))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" fill="#555">%s</text>`+"\n", marginLeft+plotWidth/2, panelHeight-marginBottom+34, escapeXML(axis))
}

// roundUp gives the end of an axis: the next of 1, 2 and 5 times a power of ten, with room for a label.
func roundUp(value float64) float64 {
	if value <= 0 {
		return 1
	}
	value *= 1.1
	power := math.Pow(10, math.Floor(math.Log10(value)))
	for _, step := range []float64{1, 2, 5} {
		if value <= step*power {
			return step * power
		}
	}
	return 10 * power
}

// axisNumber is short: 200000 is 200k.
func axisNumber(value float64) string {
	switch {
	case value >= 1e6:
		return fmt.Sprintf("%gM", value/1e6)
	case value >= 1e3:
		return fmt.Sprintf("%gk", value/1e3)
	}
	return fmt.Sprintf("%g", value)
}

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func escapeXML(text string) string { return xmlEscapes.Replace(text) }
