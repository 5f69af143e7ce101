// Package parsing gives transformations and predicates the built-in converters, for
// records whose keys and values are bytes, as a mirror's are.
package parsing

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"tributary/connect"
	"tributary/connect/converter"
	"tributary/connect/converter/avro"
	"tributary/connect/converter/jsonschema"
	"tributary/connect/converter/protobuf"
	"tributary/connect/plugin"
	"tributary/internal/buildinfo"
)

var builtIn = sync.OnceValues(func() (*plugin.Registry, error) {
	return plugin.NewRegistry(slices.Concat(converter.Plugins(buildinfo.Version), avro.Plugins(buildinfo.Version), jsonschema.Plugins(buildinfo.Version), protobuf.Plugins(buildinfo.Version))...)
})

// Check is the validation of a key that names a converter; null is fine.
func Check(v any) string {
	name, ok := v.(string)
	if !ok {
		return ""
	}
	all, err := builtIn()
	if err == nil {
		_, err = all.Find(name, plugin.Converter)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// New returns the built-in converter with that class or alias. Its settings are those of
// config below key, as with the converters of a worker.
func New(config map[string]string, key string, isKey bool) (connect.Converter, error) {
	all, err := builtIn()
	if err != nil {
		return nil, err
	}
	p, err := all.Find(strings.TrimSpace(config[key]), plugin.Converter)
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	for k, v := range config {
		if own, ok := strings.CutPrefix(k, key+"."); ok {
			settings[own] = v
		}
	}
	delete(settings, "converter.type")
	c := p.New().(connect.Converter)
	if err := c.Configure(settings, isKey); err != nil {
		return nil, fmt.Errorf("%s %s: %w", key, p.Class, err)
	}
	return c, nil
}
