// Package plugin holds the list of what a worker can run: a plain value that maps
// Java class names and their aliases to constructors. Plugins are listed by the
// composition root, not registered in init functions, so a custom build adds its
// own by passing them along.
package plugin

import (
	"fmt"
	"sort"
	"strings"

	"tributary/connect"
)

// Kind says what a plugin is, with the names of GET /connector-plugins.
type Kind string

// The kinds of plugins.
const (
	Source          Kind = "source"
	Sink            Kind = "sink"
	Converter       Kind = "converter"
	HeaderConverter Kind = "header_converter"
	Transformation  Kind = "transformation"
	Predicate       Kind = "predicate"
)

// suffix is what an alias may leave out of a simple class name.
var suffix = map[Kind]string{
	Source: "Connector", Sink: "Connector", Converter: "Converter",
	HeaderConverter: "HeaderConverter", Transformation: "Transformation", Predicate: "Predicate",
}

// Plugin describes one plugin. New returns a fresh instance of the interface that
// Kind stands for: connect.SourceConnector, connect.Converter,
// connect.HeaderConverter, connect.Transformation or connect.Predicate.
type Plugin struct {
	// Class is the full Java class name by which configurations select the plugin; a
	// plugin without a Java counterpart chooses a name of that form.
	Class string
	Kind  Kind
	// TaskClass is written into task configurations as task.class; connectors only.
	TaskClass string
	// HeaderConverter is the header converter of a connector's records where neither the
	// connector's nor the worker's configuration names one; "" is the worker's default.
	HeaderConverter string
	Version         string
	New             func() any
}

// SimpleName is the class name without its package, in which nested classes keep
// their dollar sign.
func (p Plugin) SimpleName() string { return p.Class[strings.LastIndexByte(p.Class, '.')+1:] }

// Registry is an immutable set of plugins. Safe for concurrent use.
type Registry struct {
	plugins []Plugin
	byClass map[Kind]map[string]int
	byAlias map[Kind]map[string][]int
}

// NewRegistry returns a registry of the given plugins; two of one kind with the same
// class are an error.
func NewRegistry(plugins ...Plugin) (*Registry, error) {
	r := &Registry{byClass: map[Kind]map[string]int{}, byAlias: map[Kind]map[string][]int{}}
	r.plugins = append(r.plugins, plugins...)
	sort.SliceStable(r.plugins, func(i, j int) bool { return r.plugins[i].Class < r.plugins[j].Class })
	for i, p := range r.plugins {
		if r.byClass[p.Kind] == nil {
			r.byClass[p.Kind], r.byAlias[p.Kind] = map[string]int{}, map[string][]int{}
		}
		if _, dup := r.byClass[p.Kind][p.Class]; dup {
			return nil, fmt.Errorf("two %s plugins are both named %s", p.Kind, p.Class)
		}
		r.byClass[p.Kind][p.Class] = i
		names := []string{p.SimpleName()}
		if short := strings.TrimSuffix(names[0], suffix[p.Kind]); short != names[0] && short != "" {
			names = append(names, short)
		}
		for _, n := range names {
			r.byAlias[p.Kind][n] = append(r.byAlias[p.Kind][n], i)
		}
	}
	return r, nil
}

// All returns every plugin, sorted by class name. The slice is the caller's.
func (r *Registry) All() []Plugin { return append([]Plugin(nil), r.plugins...) }

// Find returns the plugin of one of the kinds whose class or unique alias is name.
func (r *Registry) Find(name string, kinds ...Kind) (Plugin, error) {
	var matches []int
	for _, k := range kinds {
		if i, ok := r.byClass[k][name]; ok {
			return r.plugins[i], nil
		}
		matches = append(matches, r.byAlias[k][name]...)
	}
	switch len(matches) {
	case 1:
		return r.plugins[matches[0]], nil
	case 0:
		return Plugin{}, &NotFoundError{Name: name, Kinds: kinds, Available: r.classes(kinds)}
	}
	return Plugin{}, fmt.Errorf("%s is the short name of %d plugins; use the full class name", name, len(matches))
}

// Connector returns the source or sink connector plugin with that class or alias.
func (r *Registry) Connector(name string) (Plugin, error) { return r.Find(name, Source, Sink) }

// NewConnector returns a fresh instance of the connector with that class or alias.
func (r *Registry) NewConnector(name string) (connect.Connector, Plugin, error) {
	p, err := r.Connector(name)
	if err != nil {
		return nil, Plugin{}, err
	}
	return p.New().(connect.Connector), p, nil
}

func (r *Registry) classes(kinds []Kind) []string {
	var out []string
	for _, p := range r.plugins {
		for _, k := range kinds {
			if p.Kind == k {
				out = append(out, p.Class)
			}
		}
	}
	return out
}

// NotFoundError says that no plugin has the name, and which ones there are.
type NotFoundError struct {
	Name      string
	Kinds     []Kind
	Available []string
}

func (e *NotFoundError) Error() string {
	what := "plugin"
	if len(e.Kinds) > 0 {
		what = strings.ReplaceAll(string(e.Kinds[0]), "_", " ")
		if e.Kinds[0] == Source || e.Kinds[0] == Sink {
			what = "connector"
		}
	}
	return fmt.Sprintf("Failed to find any %s class which name matches %s, available are: %s", what, e.Name, strings.Join(e.Available, ", "))
}
