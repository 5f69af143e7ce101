package herder

import (
	"tributary/api"
	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/connect/provider"
	"tributary/connect/worker"
)

// PluginConfig lists what a plugin declares, by its class or alias; for connectors the
// framework's keys follow. version is a requirement on the plugin's version.
func (v *Validator) PluginConfig(name, version string) ([]api.ConfigKeyInfo, error) {
	wanted, err := parseVersionRange(&version)
	if err != nil {
		return nil, &BadRequestError{Message: err.Error()}
	}
	p, err := v.find(name)
	if err != nil {
		return nil, err
	}
	if !wanted.acceptsPlugin(p) {
		return nil, &BadRequestError{Message: missingVersion(p, wanted)}
	}
	infos := []api.ConfigKeyInfo{}
	add := func(keys []*connect.ConfigKey) {
		for _, k := range keys {
			infos = append(infos, keyInfo(k))
		}
	}
	if p.Kind != plugin.Source && p.Kind != plugin.Sink {
		add(definitionOf(p).Keys())
		return infos, nil
	}
	own := declared(p, p.New().(connect.Connector))
	add(own)
	has := map[string]bool{}
	for _, k := range own {
		has[k.Name] = true
	}
	for _, k := range worker.ConnectorDef(p.Kind).Keys() {
		if has[k.Name] {
			continue
		}
		key := *k
		if key.Name == "connector.plugin.version" {
			key.Default = p.Version
		}
		add([]*connect.ConfigKey{&key})
	}
	return infos, nil
}

// find returns the plugin of any kind that has the name: a class that is of several
// kinds declares the same for all.
func (v *Validator) find(name string) (plugin.Plugin, error) {
	for _, kind := range []plugin.Kind{plugin.Sink, plugin.Source, plugin.Converter, plugin.HeaderConverter, plugin.Transformation, plugin.Predicate} {
		if p, err := v.Plugins.Find(name, kind); err == nil {
			return p, nil
		}
	}
	if provider.IsProvider(name) {
		return plugin.Plugin{}, &BadRequestError{Message: "Invalid plugin class " + name + ". Valid types are sink, source, converter, header_converter, transformation, predicate."}
	}
	return plugin.Plugin{}, &NotFoundError{Message: "Unknown plugin " + name + "."}
}
