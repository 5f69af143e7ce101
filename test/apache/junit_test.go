package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const junitReport = `<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="JUnit Jupiter" tests="5" skipped="1" failures="1" errors="1" time="90.1">
<properties><property name="java.io.tmpdir" value="/tmp"/></properties>
<testcase name="testReplication()" classname="a.b.T" time="51.73"><system-out><![CDATA[unique-id]]></system-out></testcase>
<testcase name="testOffsets(String)[2]" classname="a.b.T" time="1.5">
<failure message="Condition not met within timeout 1000.&#10;second line" type="org.opentest4j.AssertionFailedError"><![CDATA[stack]]></failure></testcase>
<testcase name="testCrash()" classname="a.b.T" time="0.25"><error type="java.lang.NullPointerException"><![CDATA[java.lang.NullPointerException: at home
	at a.b.T]]></error></testcase>
<testcase name="testEmpty()" classname="a.b.T" time="0"><failure type="java.lang.Error"></failure></testcase>
<testcase name="testOff()" classname="a.b.T" time="0"><skipped><![CDATA[KAFKA-1 is open]]></skipped></testcase>
</testsuite>`

func TestAReportTellsTheOutcomeAndTheReasonOfEveryMethod(t *testing.T) {
	got, err := parseReport([]byte(junitReport))
	if err != nil {
		t.Fatal(err)
	}
	want := []result{
		{Method: "testCrash", Outcome: failed, Reason: "java.lang.NullPointerException: at home", Took: 250 * time.Millisecond},
		{Method: "testEmpty", Outcome: failed, Reason: "java.lang.Error"},
		{Method: "testOff", Outcome: notApplicable, Reason: "skipped by Apache: KAFKA-1 is open"},
		{Method: "testOffsets(String)[2]", Outcome: failed, Reason: "Condition not met within timeout 1000.", Took: 1500 * time.Millisecond},
		{Method: "testReplication", Outcome: passed, Took: 51730 * time.Millisecond},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := parseReport([]byte("<testsuite><testcase")); err == nil || !strings.Contains(err.Error(), "read JUnit's report") {
		t.Errorf("a report that is cut off: %v", err)
	}
}

func TestTheMarkdownCountsByClassAndListsEveryMethod(t *testing.T) {
	r := report{Date: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), Kafka: "4.3.1"}
	r.add(suite{Class: "a.b.T"}, []result{{Method: "testA", Outcome: passed, Took: 51600 * time.Millisecond}, {Method: "testB", Outcome: failed, Reason: "a|b"}})
	r.add(suite{Class: "a.b.U"}, []result{{Method: "testC", Outcome: notApplicable, Reason: readsReporter}, {Method: "testD", Outcome: passed}})
	text := r.text()
	for _, want := range []string{
		"Tests of Kafka 4.3.1, Tributary ", ", 2026-02-03.\n",
		"| T | 1 | 1 | 0 |\n| U | 1 | 0 | 1 |\n| **all** | 2 | 1 | 1 |\n",
		"\n## a.b.T\n", "| testA | passed | 52 |  |\n| testB | failed | 0 | a\\|b |\n",
		"| testC | n/a | 0 | " + readsReporter + " |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}
