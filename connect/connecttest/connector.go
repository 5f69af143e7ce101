package connecttest

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"tributary/connect"
)

// patience is how long anything may take before it counts as stuck.
const patience = 30 * time.Second

// soon is how long a call may go on after its context has ended.
const soon = 5 * time.Second

// testConnector holds a connector to what is asked of every one: new returns fresh
// instances, config is one that it accepts.
func testConnector(t *testing.T, create func() connect.Connector, config map[string]string) {
	t.Run("declares its keys", func(t *testing.T) {
		def := create().ConfigDef()
		if def == nil {
			t.Fatal("ConfigDef is nil; a connector without keys of its own has an empty one")
		}
		for _, k := range def.Keys() {
			if strings.TrimSpace(k.Doc) == "" {
				t.Errorf("the key %s has no documentation", k.Name)
			}
			if k.Required && k.Default != nil {
				t.Errorf("the key %s is required and has a default", k.Name)
			}
			if k.Validate != nil && k.Default != nil {
				if reason := k.Validate(k.Default); reason != "" {
					t.Errorf("the key %s refuses its own default %v: %s", k.Name, k.Default, reason)
				}
			}
		}
		if _, err := def.ParseValues(config); err != nil {
			t.Errorf("the configuration of this suite is refused: %v", err)
		}
	})
	t.Run("validates any configuration", func(t *testing.T) {
		v, ok := create().(connect.ConfigValidator)
		if !ok {
			return
		}
		if errs := v.ValidateConfig(maps.Clone(config)); len(errs) > 0 {
			t.Errorf("the configuration of this suite is refused: %v", errs)
		}
		v.ValidateConfig(map[string]string{}) // must not fail, whatever it says
		for key := range config {
			broken := maps.Clone(config)
			broken[key] = "\x00 not what belongs here"
			v.ValidateConfig(broken)
		}
	})
	t.Run("divides its work", func(t *testing.T) {
		c := create()
		for range 2 { // the same instance is started again after a stop
			stop := startConnector(t, c, config, nil)
			for _, limit := range []int{1, 3} {
				first := taskConfigs(t, c, limit)
				again := taskConfigs(t, c, limit)
				if !reflect.DeepEqual(first, again) {
					t.Errorf("two calls of TaskConfigs(%d) with nothing changed differ: %v and %v; tasks would be restarted for nothing", limit, first, again)
				}
			}
			stop()
		}
	})
	t.Run("ends with its context", func(t *testing.T) {
		before := runtime.NumGoroutine()
		c := create()
		startConnector(t, c, config, nil)()
		awaitGoroutines(t, before)
	})
}

// startConnector starts a connector; the result stops it.
func startConnector(t *testing.T, c connect.Connector, config map[string]string, offsets *Offsets) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	cc := NewConnectorContext(config["name"], offsets)
	if err := c.Start(ctx, cc, maps.Clone(config)); err != nil {
		cancel()
		t.Fatalf("Start: %v", err)
	}
	return func() {
		t.Helper()
		cancel()
		if err := within(t, "Stop of the connector", soon, func() error { return c.Stop(t.Context()) }); err != nil {
			t.Errorf("Stop: %v", err)
		}
		if err := cc.Raised(); err != nil {
			t.Errorf("the connector raised %v", err)
		}
	}
}

// taskConfigs asks for task configurations, again where the connector says so.
func taskConfigs(t *testing.T, c connect.Connector, limit int) []map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	configs, err := c.TaskConfigs(ctx, limit)
	for again := (*connect.RetriableError)(nil); errors.As(err, &again) && ctx.Err() == nil; configs, err = c.TaskConfigs(ctx, limit) {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("TaskConfigs(%d): %v", limit, err)
	}
	if len(configs) > limit {
		t.Fatalf("TaskConfigs(%d) has %d configurations", limit, len(configs))
	}
	return configs
}

// within fails the test when a call takes longer than limit.
func within[T any](t *testing.T, what string, limit time.Duration, call func() T) T {
	t.Helper()
	done := make(chan T, 1)
	go func() { done <- call() }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case result := <-done:
		return result
	case <-timer.C:
		t.Fatalf("%s did not return within %v", what, limit)
		panic("not reached")
	}
}

// awaitGoroutines waits until there are no more goroutines than before.
func awaitGoroutines(t *testing.T, before int) {
	t.Helper()
	deadline := time.Now().Add(soon)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines are left, there were %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(time.Millisecond)
	}
}
