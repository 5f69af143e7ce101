package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// suite is one class of Apache's tests.
type suite struct {
	Class string
	// TestWorker says that the class needs the worker with the tests' own connectors.
	TestWorker bool
	// Defaults are settings of Java's worker that the class relies on without setting them, and that Tributary leaves at
	// another value on purpose.
	Defaults map[string]string
	// Skip holds the methods that do not apply, with the reason.
	Skip map[string]string
	// WhollySkipped is why no method of the class applies, or empty.
	WhollySkipped string
	// Quick holds the methods of the short run.
	Quick []string

	// only are the methods to run; none is all.
	only []string
}

func (s suite) simpleName() string { return s.Class[strings.LastIndexByte(s.Class, '.')+1:] }

func (s suite) describe() string {
	switch {
	case s.WhollySkipped != "":
		return "does not apply: " + s.WhollySkipped
	case len(s.only) > 0:
		return strings.Join(s.only, ", ")
	case len(s.Skip) > 0:
		return fmt.Sprintf("all methods but %d", len(s.Skip))
	}
	return "all methods"
}

// include and exclude are patterns of the full names of methods, for JUnit; empty is no pattern.
func (s suite) include() string { return methodPattern(s.only) }

func (s suite) exclude() string { return methodPattern(slices.Sorted(maps.Keys(s.Skip))) }

func methodPattern(names []string) string {
	if len(names) == 0 {
		return ""
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = regexp.QuoteMeta(n)
	}
	return `.*[.#](` + strings.Join(quoted, "|") + `)`
}

// choose picks the suites and methods that the user asks for. Names of classes may leave out IntegrationTest.
func choose(all []suite, only []string, quick bool) ([]suite, error) {
	if len(only) == 0 {
		if !quick {
			return all, nil
		}
		var out []suite
		for _, s := range all {
			if len(s.Quick) > 0 {
				s.only = s.Quick
				out = append(out, s)
			}
		}
		return out, nil
	}
	wanted := map[string][]string{}
	for _, name := range only {
		class, method, one := strings.Cut(name, ".")
		i := slices.IndexFunc(all, func(s suite) bool { return s.named(class) })
		if i < 0 {
			return nil, fmt.Errorf("%q is none of the classes that run: %s", class, strings.Join(names(all), ", "))
		}
		methods := wanted[all[i].Class]
		if one {
			methods = append(methods, method)
		}
		wanted[all[i].Class] = methods
	}
	var out []suite
	for _, s := range all {
		if methods, ok := wanted[s.Class]; ok {
			s.only = methods
			out = append(out, s)
		}
	}
	return out, nil
}

func (s suite) named(name string) bool {
	simple := s.simpleName()
	return name == simple || name == strings.TrimSuffix(simple, "IntegrationTest") || name == strings.TrimSuffix(simple, "Test")
}

func names(all []suite) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = s.simpleName()
	}
	return out
}
