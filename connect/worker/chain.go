package worker

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-multierror"

	"tributary/connect"
	"tributary/connect/plugin"
)

// buildPipeline creates and configures what a connector's configuration names:
// config is the connector's with references resolved, worker the worker's.
func buildPipeline(plugins *plugin.Registry, worker, config map[string]string, v connect.Values, tol *tolerance) (*pipeline, error) {
	p := &pipeline{tolerance: tol}
	var err error
	if p.key, err = buildConverter(plugins, worker, config, "key.converter", stageKeyConverter); err != nil {
		return nil, err
	}
	if p.value, err = buildConverter(plugins, worker, config, "value.converter", stageValueConverter); err != nil {
		return nil, err
	}
	if p.header, err = buildHeaderConverter(plugins, worker, config); err != nil {
		return nil, err
	}
	for _, alias := range v.List("transforms") {
		s, err := buildStep(plugins, config, alias, v.List("predicates"))
		if err != nil {
			_ = p.close() // the first error says more
			return nil, err
		}
		p.steps = append(p.steps, s)
	}
	p.shareOwn()
	return p, nil
}

// converterConfig is the class and the settings of a converter: the connector's, or
// the worker's when the connector names none. The two are never mixed.
func converterConfig(worker, config map[string]string, key string) (class string, settings map[string]string) {
	from := config
	if class = config[key]; class == "" {
		from, class = worker, worker[key]
	}
	settings = withPrefix(from, key+".")
	settings["converter.type"] = strings.TrimSuffix(key, ".converter")
	return class, settings
}

// CheckConverters looks up the converters that the worker's properties name.
func CheckConverters(plugins *plugin.Registry, properties map[string]string) error {
	var errs *multierror.Error
	for key, kind := range map[string]plugin.Kind{"key.converter": plugin.Converter, "value.converter": plugin.Converter, "header.converter": plugin.HeaderConverter} {
		class := properties[key]
		if class == "" {
			continue // missing ones are another check's concern
		}
		if _, err := plugins.Find(class, kind); err != nil {
			errs = multierror.Append(errs, fmt.Errorf("invalid value %q for configuration %s: %w", class, key, err))
		}
	}
	return errs.ErrorOrNil()
}

func buildConverter(plugins *plugin.Registry, worker, config map[string]string, key string, at stage) (convert, error) {
	class, settings := converterConfig(worker, config, key)
	p, err := plugins.Find(class, plugin.Converter)
	if err != nil {
		return convert{}, fmt.Errorf("invalid value %q for configuration %s: %w", class, key, err)
	}
	c, ok := p.New().(connect.Converter)
	if !ok {
		return convert{}, fmt.Errorf("invalid value %q for configuration %s: the plugin is not a converter", class, key)
	}
	if err := c.Configure(settings, key == "key.converter"); err != nil {
		return convert{}, fmt.Errorf("%s %s: %w", key, p.Class, err)
	}
	return convert{converter: c, class: p.Class, stage: at, raw: isRawConverter(c)}, nil
}

func buildHeaderConverter(plugins *plugin.Registry, worker, config map[string]string) (headerConvert, error) {
	const key = "header.converter"
	class, settings := converterConfig(worker, config, key)
	if class == "" {
		class = simpleHeaderClass
		if own, err := plugins.Connector(config["connector.class"]); err == nil && own.HeaderConverter != "" {
			class = own.HeaderConverter
		}
	}
	p, err := plugins.Find(class, plugin.HeaderConverter)
	if err != nil {
		return headerConvert{}, fmt.Errorf("invalid value %q for configuration %s: %w", class, key, err)
	}
	c, ok := p.New().(connect.HeaderConverter)
	if !ok {
		return headerConvert{}, fmt.Errorf("invalid value %q for configuration %s: the plugin is not a header converter", class, key)
	}
	if err := c.Configure(settings); err != nil {
		return headerConvert{}, fmt.Errorf("%s %s: %w", key, p.Class, err)
	}
	return headerConvert{converter: c, class: p.Class, raw: isRawHeaderConverter(c)}, nil
}

func buildStep(plugins *plugin.Registry, config map[string]string, alias string, predicates []string) (step, error) {
	prefix := "transforms." + alias + "."
	class := config[prefix+"type"]
	p, err := plugins.Find(class, plugin.Transformation)
	if err != nil {
		return step{}, fmt.Errorf("invalid value %q for configuration %stype: %w", class, prefix, err)
	}
	settings := withPrefix(config, prefix)
	predicate, negate := settings["predicate"], settings["negate"]
	for _, own := range []string{"type", "plugin.version", "predicate", "negate"} {
		delete(settings, own)
	}
	s := step{class: p.Class}
	var ok bool
	if s.transformation, ok = p.New().(connect.Transformation); !ok {
		return step{}, fmt.Errorf("invalid value %q for configuration %stype: the plugin is not a transformation", class, prefix)
	}
	if err := s.transformation.Configure(settings); err != nil {
		return step{}, fmt.Errorf("transformation %s (%s): %w", alias, p.Class, err)
	}
	switch strings.ToLower(strings.TrimSpace(negate)) {
	case "", "false":
	case "true":
		s.negate = true
	default:
		return step{}, fmt.Errorf("invalid value %q for configuration %snegate: expected true or false", negate, prefix)
	}
	if predicate == "" {
		if s.negate {
			return step{}, fmt.Errorf("configuration %snegate is true, but there is no %spredicate to negate", prefix, prefix)
		}
		return s, nil
	}
	s.predicate, err = buildPredicate(plugins, config, predicate, predicates, prefix)
	return s, err
}

func buildPredicate(plugins *plugin.Registry, config map[string]string, alias string, declared []string, from string) (connect.Predicate, error) {
	known := false
	for _, d := range declared {
		known = known || d == alias
	}
	if !known {
		return nil, fmt.Errorf("invalid value %q for configuration %spredicate: it is not listed in predicates", alias, from)
	}
	prefix := "predicates." + alias + "."
	class := config[prefix+"type"]
	p, err := plugins.Find(class, plugin.Predicate)
	if err != nil {
		return nil, fmt.Errorf("invalid value %q for configuration %stype: %w", class, prefix, err)
	}
	settings := withPrefix(config, prefix)
	delete(settings, "type")
	delete(settings, "plugin.version")
	predicate, ok := p.New().(connect.Predicate)
	if !ok {
		return nil, fmt.Errorf("invalid value %q for configuration %stype: the plugin is not a predicate", class, prefix)
	}
	if err := predicate.Configure(settings); err != nil {
		return nil, fmt.Errorf("predicate %s (%s): %w", alias, p.Class, err)
	}
	return predicate, nil
}

// withPrefix returns the settings whose keys start with prefix, without it.
func withPrefix(config map[string]string, prefix string) map[string]string {
	out := make(map[string]string)
	for k, value := range config {
		if short, ok := strings.CutPrefix(k, prefix); ok {
			out[short] = value
		}
	}
	return out
}
