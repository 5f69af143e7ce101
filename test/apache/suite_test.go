package main

import (
	"regexp"
	"slices"
	"testing"
)

var threeSuites = []suite{
	{Class: "a.b.OffsetsApiIntegrationTest", Quick: []string{"testReset"}},
	{Class: "a.b.BlockingConnectorTest", Skip: map[string]string{"testLog": "reads logs", "testJMX": "reads metrics"}},
	{Class: "a.b.RebalanceIntegrationTest"},
}

func TestClassesAndMethodsAreChosenByShortNames(t *testing.T) {
	for _, c := range []struct {
		only  []string
		quick bool
		want  []string
	}{
		{want: []string{"OffsetsApiIntegrationTest all methods", "BlockingConnectorTest all methods but 2", "RebalanceIntegrationTest all methods"}},
		{quick: true, want: []string{"OffsetsApiIntegrationTest testReset"}},
		{only: []string{"Rebalance", "BlockingConnectorTest.testA", "BlockingConnector.testB"}, want: []string{"BlockingConnectorTest testA, testB", "RebalanceIntegrationTest all methods"}},
	} {
		chosen, err := choose(threeSuites, c.only, c.quick)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range chosen {
			got = append(got, s.simpleName()+" "+s.describe())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v, quick %v: got %q, want %q", c.only, c.quick, got, c.want)
		}
	}
}

func TestAnUnknownClassIsAnError(t *testing.T) {
	_, err := choose(threeSuites, []string{"Offsets"}, false)
	want := `"Offsets" is none of the classes that run: OffsetsApiIntegrationTest, BlockingConnectorTest, RebalanceIntegrationTest`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestPatternsMatchWholeMethodNames(t *testing.T) {
	pattern := regexp.MustCompile("^(?:" + threeSuites[1].exclude() + ")$")
	for name, want := range map[string]bool{"a.b.BlockingConnectorTest.testLog": true, "a.b.BlockingConnectorTest#testJMX": true, "a.b.BlockingConnectorTest.testLogs": false, "a.b.BlockingConnectorTest.xtestLog": false} {
		if pattern.MatchString(name) != want {
			t.Errorf("%s matches %s: %v", pattern, name, !want)
		}
	}
	if p := threeSuites[2].exclude(); p != "" {
		t.Errorf("nothing is excluded by %q", p)
	}
}

func TestEverySuiteIsListedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range suites {
		if seen[s.simpleName()] {
			t.Errorf("%s is listed twice", s.Class)
		}
		seen[s.simpleName()] = true
		for _, m := range s.Quick {
			if s.Skip[m] != "" || s.WhollySkipped != "" {
				t.Errorf("%s.%s does not apply and is in the short run", s.Class, m)
			}
		}
	}
}
