package herder

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/connect"
	"tributary/connect/plugin"
)

// awkward is a connector whose own code does what a test says.
type awkward struct {
	drain
	define, check func()
}

func (a awkward) ConfigDef() *connect.ConfigDef {
	a.define()
	return connect.NewConfigDef()
}

func (a awkward) ValidateConfig(map[string]string) map[string][]string {
	a.check()
	return nil
}

func TestAConnectorThatHangsInItsValidationCostsTheRequestItsTimeAndNoMore(t *testing.T) {
	for stage, connector := range map[string]func(hang func()) any{
		"retrieving the configuration definition from the connector": func(hang func()) any { return awkward{define: hang, check: func() {}} },
		"performing multi-property validation for the connector":     func(hang func()) any { return awkward{define: func() {}, check: hang} },
	} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			v := newValidator(t)
			var err error
			v.Plugins, err = plugin.NewRegistry(plugin.Plugin{Class: "test.AwkwardConnector", Kind: plugin.Sink, New: func() any { return connector(func() { <-release }) }})
			if err != nil {
				t.Fatal(err)
			}
			class, name, began := "test.AwkwardConnector", "a", time.Now()
			stages := &Stages{}
			ctx, cancel := context.WithTimeout(WithStages(t.Context(), stages), time.Minute)
			defer cancel()
			_, err = v.Validate(ctx, map[string]*string{"connector.class": &class, "name": &name, "topics": &name})
			if err != context.DeadlineExceeded || time.Since(began) != time.Minute {
				t.Errorf("%v after %s, want that of the request after a minute", err, time.Since(began))
			}
			if got := stages.Current(); !strings.HasPrefix(got, "The worker is currently "+stage+", which began at ") {
				t.Errorf("the stage is %q, want %s", got, stage)
			}
			close(release)
		})
	}
}

func TestAConnectorThatPanicsInItsValidationIsTold(t *testing.T) {
	v := newValidator(t)
	var err error
	v.Plugins, err = plugin.NewRegistry(plugin.Plugin{Class: "test.AwkwardConnector", Kind: plugin.Sink, New: func() any {
		return awkward{define: func() {}, check: func() { panic("no such luck") }}
	}})
	if err != nil {
		t.Fatal(err)
	}
	class := "test.AwkwardConnector"
	_, err = v.Validate(t.Context(), map[string]*string{"connector.class": &class})
	if err == nil || err.Error() != "the validation of test.AwkwardConnector panicked: no such luck" {
		t.Errorf("got %v", err)
	}
}

func TestStagesTellTheLastOneAndWhetherItHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Stages
		if s.String() != "" || s.Current() != "" {
			t.Errorf("before the first: %q, %q", s.String(), s.Current())
		}
		leave := s.Enter("asleep")
		want := "The worker is currently asleep, which began at 2000-01-01T00:00:00.000Z."
		if s.String() != want || s.Current() != want {
			t.Errorf("got %q, %q", s.String(), s.Current())
		}
		time.Sleep(1500 * time.Millisecond)
		leave()
		want = "The last operation the worker completed was asleep, which began at 2000-01-01T00:00:00.000Z and completed at 2000-01-01T00:00:01.500Z."
		if s.String() != want || s.Current() != "" {
			t.Errorf("got %q, %q", s.String(), s.Current())
		}
		EnterStage(t.Context(), "of no interest")()
	})
}
