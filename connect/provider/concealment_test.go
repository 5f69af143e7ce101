package provider

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestConcealmentPutsReferencesBack(t *testing.T) {
	var c Concealment
	if got := c.Text("plain"); got != "plain" || c.Error(nil) != nil || c.Error(io.EOF) != io.EOF {
		t.Errorf("one without references makes %q", got)
	}
	c.Add(map[string]string{"a": "${env:A}", "l": "x,${env:L}", "n": "7"}, map[string]string{"a": "alpha", "l": "x,alphabet,beta", "n": "7"})
	c.Add(map[string]string{"b": "${env:B}"}, map[string]string{"b": "gamma"})
	for text, want := range map[string]string{
		"alpha":                 "${env:A}",
		"alphabet and x":        "x,${env:L} and x",
		"x,alphabet,beta; beta": "x,${env:L}; x,${env:L}",
		"7 gamma":               "7 ${env:B}",
	} {
		if got := c.Text(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	err := c.Error(fmt.Errorf("alpha: %w", io.EOF))
	if err.Error() != "${env:A}: EOF" || !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}
