package main

import (
	"fmt"
	"slices"
)

// scenario is something that can be measured, by its name in BENCH_ONLY.
type scenario struct {
	name string
	// tools can be measured. One that is no mirror (straight, the points of a curve) always is.
	tools []string
	// leaveOut, if set, says that a point is beyond what the options allow.
	leaveOut func(o options, tool string) bool
	// byDefault says that it is measured where BENCH_ONLY names nothing.
	byDefault bool
	// describe says in half a sentence what is measured.
	describe func(options) string
	// prepare, if set, comes once before all runs.
	prepare func(b *bench, s *scope)
	measure func(b *bench, s *scope, tool string, run int) measurement
	// goals are what Tributary is to reach, by the label of the figure.
	goals map[string]goal
	// curve says that the tools are points of a curve and what the points are.
	curve string
}

// goal is a limit for one of Tributary's figures.
type goal struct {
	limit   float64
	atLeast bool
	// of names the tool whose figure the limit counts from: as its multiple, or with plus as what may be added to it.
	of   string
	plus bool
}

// the goals' forms
func atMost(limit float64) goal             { return goal{limit: limit} }
func timesJava(limit float64) goal          { return goal{limit: limit, atLeast: true, of: java} }
func shareOfJava(limit float64) goal        { return goal{limit: limit, of: java} }
func above(tool string, limit float64) goal { return goal{limit: limit, of: tool, plus: true} }
func (g goal) sign() string {
	if g.atLeast {
		return "≥"
	}
	return "≤"
}

func (g goal) String() string {
	switch {
	case g.plus:
		return fmt.Sprintf("%s %s + %s", g.sign(), g.of, number(g.limit))
	case g.of != "":
		return fmt.Sprintf("%s %s × %s", g.sign(), number(g.limit), g.of)
	}
	return g.sign() + " " + number(g.limit)
}

// reached judges Tributary's value. It is "-" where the figure that the goal counts from was not measured.
func (g goal) reached(value float64, of map[string]float64) string {
	limit := g.limit
	if g.of != "" {
		base, measured := of[g.of]
		switch {
		case !measured:
			return "-"
		case g.plus:
			limit += base
		default:
			limit *= base
		}
	}
	if value <= limit && !g.atLeast || value >= limit && g.atLeast {
		return "yes"
	}
	return "no"
}

var mirrors = []string{java, tributary}

// scenarios are in the order in which they are measured.
func scenarios() []scenario {
	return slices.Concat(throughputScenarios(), []scenario{latencyScenario(), delayedScenario(), idleScenario()},
		[]scenario{connectorsScenario(), partitionsScenario(), manyPartitionsScenario()},
		costScenarios(), linkScenarios(), []scenario{jsonScenario()})
}

func scenarioNamed(name string) scenario {
	all := scenarios()
	return all[slices.IndexFunc(all, func(s scenario) bool { return s.name == name })]
}
