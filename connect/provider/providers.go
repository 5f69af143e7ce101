package provider

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
)

// Providers resolves references with the providers of one worker or MirrorMaker. It holds no values:
// files and variables are read anew at each call. Safe for concurrent use.
type Providers struct {
	sources map[string]source
	ttls    map[string]time.Duration // of those that have one
	report  func(connector string, left []Unresolved)
}

// source is one configured provider. Safe for concurrent use.
type source interface {
	// lookup returns the values of those keys that exist at path. For all others, missing says why
	// there is none. An error holds no values and need not name the path.
	lookup(path string, keys []string) (values map[string]string, missing Reason, err error)
}

// location is what one lookup of a source can answer.
type location struct{ provider, path string }

// answer is what one lookup of a source has answered.
type answer struct {
	values  map[string]string
	missing Reason
}

// Reporting returns a copy of p that calls report after each successful Transform or Resolve that left
// references as they are; they are in order of configuration key, then of place in its value. The
// connector is empty for Resolve. The call is made on the goroutine of the caller, before it is
// answered; the slice is report's.
func (p *Providers) Reporting(report func(connector string, left []Unresolved)) *Providers {
	return &Providers{sources: p.sources, ttls: p.ttls, report: report}
}

// Transform returns a copy of a connector's configuration with its references resolved. A reference to
// an unknown provider or a missing key stays as it is; what a reference stands for is not looked
// into again. A source that cannot be read is an error ([*LookupError], all of them at once). The
// context is heeded between two reads; a single read of a file is not interrupted.
//
// Values of config.providers and of all keys below it are copied as they are: providers are not
// described in terms of themselves.
func (p *Providers) Transform(ctx context.Context, connector string, config map[string]string) (map[string]string, error) {
	answers, err := p.ask(ctx, config)
	if err != nil {
		return nil, err
	}
	return p.fill(connector, config, answers), nil
}

// fill puts the answers into a copy of the configuration, and reports what is left.
func (p *Providers) fill(connector string, config map[string]string, answers map[location]answer) map[string]string {
	resolved := make(map[string]string, len(config))
	var left []Unresolved
	for _, key := range slices.Sorted(maps.Keys(config)) {
		value := config[key]
		if !isDefinition(key) {
			var more []Unresolved
			value, more = replace(key, value, answers)
			left = append(left, more...)
		}
		resolved[key] = value
	}
	if len(left) > 0 && p.report != nil {
		p.report(connector, left)
	}
	return resolved
}

// Resolve does what Transform does for a configuration that is not a connector's, such as the worker's
// own.
func (p *Providers) Resolve(config map[string]string) (map[string]string, error) {
	return p.Transform(context.Background(), "", config)
}

// ask looks up all references of config, each file or directory once.
func (p *Providers) ask(ctx context.Context, config map[string]string) (map[location]answer, error) {
	var refs []reference
	for key, value := range config {
		if !isDefinition(key) {
			refs = slices.AppendSeq(refs, references(value))
		}
	}
	return p.lookUp(ctx, refs)
}

// lookUp looks up references, those to unknown providers left out.
func (p *Providers) lookUp(ctx context.Context, refs []reference) (map[location]answer, error) {
	wanted := map[location]map[string]struct{}{}
	for _, ref := range refs {
		if _, known := p.sources[ref.provider]; !known {
			continue
		}
		at := location{ref.provider, ref.path}
		if wanted[at] == nil {
			wanted[at] = map[string]struct{}{}
		}
		wanted[at][ref.key] = struct{}{}
	}
	answers := make(map[location]answer, len(wanted))
	var failures *multierror.Error
	for _, at := range slices.SortedFunc(maps.Keys(wanted), location.compare) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		keys := slices.Sorted(maps.Keys(wanted[at]))
		values, missing, err := p.sources[at.provider].lookup(at.path, keys)
		if err != nil {
			failures = multierror.Append(failures, &LookupError{Provider: at.provider, Path: at.path, Keys: keys, Err: err})
			continue
		}
		answers[at] = answer{values, missing}
	}
	return answers, failures.ErrorOrNil()
}

func (l location) compare(other location) int {
	if c := strings.Compare(l.provider, other.provider); c != 0 {
		return c
	}
	return strings.Compare(l.path, other.path)
}

// replace puts the answers into value, which belongs to the configuration key config.
func replace(config, value string, answers map[location]answer) (string, []Unresolved) {
	var (
		out  strings.Builder
		left []Unresolved
		done int
	)
	for ref := range references(value) {
		found, known := answers[location{ref.provider, ref.path}]
		if !known {
			left = append(left, leftOver(config, ref, UnknownProvider))
			continue
		}
		text, has := found.values[ref.key]
		if !has {
			left = append(left, leftOver(config, ref, found.missing))
			continue
		}
		out.WriteString(value[done:ref.start])
		out.WriteString(text)
		done = ref.end
	}
	out.WriteString(value[done:])
	return out.String(), left
}
