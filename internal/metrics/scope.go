package metrics

import (
	"maps"
	"sync"

	"tributary/connect"
)

// Scope is a part of a Registry that adds labels and is removed as a whole: the
// metrics of one connector, task or group membership. Safe for concurrent use.
type Scope struct {
	registry *Registry
	labels   map[string]string

	mu      sync.Mutex
	asked   []request
	removed bool
}

type request struct {
	name   string
	labels map[string]string
}

var _ connect.Metrics = (*Scope)(nil)

// Scope returns an empty Scope. A label of the scope cannot be overridden by its
// metrics.
func (r *Registry) Scope(labels map[string]string) *Scope {
	return &Scope{registry: r, labels: maps.Clone(labels)}
}

// Counter implements connect.Metrics.
func (s *Scope) Counter(name, help string, labels map[string]string) connect.Counter {
	var c connect.Counter = &series{}
	s.ask(name, labels, func(all map[string]string) { c = s.registry.Counter(name, help, all) })
	return c
}

// Gauge implements connect.Metrics.
func (s *Scope) Gauge(name, help string, labels map[string]string) connect.Gauge {
	var g connect.Gauge = &series{}
	s.ask(name, labels, func(all map[string]string) { g = s.registry.Gauge(name, help, all) })
	return g
}

// GaugeFunc is the Registry's.
func (s *Scope) GaugeFunc(name, help string, labels map[string]string, value func() float64) {
	s.ask(name, labels, func(all map[string]string) { s.registry.GaugeFunc(name, help, all, value) })
}

// ask asks the registry unless the scope is removed, which waits meanwhile: nobody would remove what is asked for after it.
func (s *Scope) ask(name string, labels map[string]string, ask func(all map[string]string)) {
	all := make(map[string]string, len(labels)+len(s.labels))
	maps.Copy(all, labels)
	maps.Copy(all, s.labels)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return
	}
	s.asked = append(s.asked, request{name, all})
	ask(all)
}

// Remove takes all metrics of the scope away. What is asked for afterwards measures
// nothing.
func (s *Scope) Remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = true
	for _, r := range s.asked {
		s.registry.Remove(r.name, r.labels)
	}
	s.asked = nil
}
