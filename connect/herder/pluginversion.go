package herder

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tributary/connect/plugin"
	"tributary/internal/buildinfo"
)

// versionRange is a requirement on a plugin's version (KIP-891), in Maven's notation: a
// version alone means exactly that one, [1.0,2.0) an interval, several intervals are
// separated by commas. The zero value accepts all.
type versionRange struct {
	text      string
	intervals []versionInterval
}

type versionInterval struct {
	low, high                 string // "" is open
	includesLow, includesHigh bool
}

// parseVersionRange reads a requirement; nil and "latest" accept all.
func parseVersionRange(text *string) (versionRange, error) {
	if text == nil || *text == "latest" {
		return versionRange{}, nil
	}
	spec := strings.TrimSpace(*text)
	if !strings.HasPrefix(spec, "[") && !strings.HasPrefix(spec, "(") {
		if strings.ContainsAny(spec, "[](),") {
			return versionRange{}, fmt.Errorf("Invalid version specification: %s", *text)
		}
		return versionRange{"[" + spec + "," + spec + "]", []versionInterval{{spec, spec, true, true}}}, nil
	}
	r := versionRange{text: spec}
	for rest := spec; rest != ""; {
		end := strings.IndexAny(rest, "])")
		if end < 0 || rest[0] != '[' && rest[0] != '(' {
			return versionRange{}, fmt.Errorf("Invalid version specification: %s", *text)
		}
		low, high, isPair := strings.Cut(rest[1:end], ",")
		if !isPair {
			high = low
		}
		r.intervals = append(r.intervals, versionInterval{strings.TrimSpace(low), strings.TrimSpace(high), rest[0] == '[', rest[end] == ']'})
		rest = strings.TrimPrefix(strings.TrimSpace(rest[end+1:]), ",")
	}
	return r, nil
}

// accepts reports whether a version fulfils the requirement.
func (r versionRange) accepts(version string) bool {
	if r.intervals == nil {
		return true
	}
	for _, i := range r.intervals {
		low, high := compareVersions(version, i.low), compareVersions(version, i.high)
		if (i.low == "" && i.high != "" || low > 0 || low == 0 && i.includesLow) &&
			(i.high == "" && i.low != "" || high < 0 || high == 0 && i.includesHigh) {
			return true
		}
	}
	return false
}

// compareVersions orders versions by their parts: numbers by value, all else by its
// text; a missing number is 0.
func compareVersions(a, b string) int {
	as, bs := versionParts(a), versionParts(b)
	for i := range max(len(as), len(bs)) {
		x, y := "0", "0"
		if i < len(as) {
			x = as[i]
		}
		if i < len(bs) {
			y = bs[i]
		}
		n, errX := strconv.Atoi(x)
		m, errY := strconv.Atoi(y)
		switch {
		case errX == nil && errY == nil && n != m:
			return n - m
		case errX != nil && errY == nil: // a pre-release comes before the release
			return -1
		case errX == nil && errY != nil:
			return 1
		case errX != nil && x != y:
			return strings.Compare(x, y)
		}
	}
	return 0
}

func versionParts(version string) []string {
	return strings.FieldsFunc(version, func(r rune) bool { return r == '.' || r == '-' })
}

// acceptsPlugin is accepts for a plugin: the configuration of a Java worker asks for
// Kafka's own classes by Kafka's version.
func (r versionRange) acceptsPlugin(p plugin.Plugin) bool {
	return slices.ContainsFunc(versionsOf(p), r.accepts)
}

// versionsOf are the versions by which a plugin can be asked for.
func versionsOf(p plugin.Plugin) []string {
	if strings.HasPrefix(p.Class, "org.apache.kafka.connect.") && p.Version != buildinfo.KafkaVersion {
		return []string{p.Version, buildinfo.KafkaVersion}
	}
	return []string{p.Version}
}

// missingVersion says that a plugin is not there in the version asked for.
func missingVersion(p plugin.Plugin, r versionRange) string {
	return fmt.Sprintf("Plugin %s not found that matches the version range %s, available versions: [%s]", p.Class, r.text, strings.Join(versionsOf(p), ", "))
}
