package herder

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/connect/worker"
	"tributary/internal/jregex"
)

// Validator checks connector configurations, for requests that create or change a
// connector and for those that only ask. Its fields are set once; it may be used
// concurrently.
type Validator struct {
	Plugins *plugin.Registry
	// Resolve replaces ${provider:…} references in a connector's configuration; nil leaves
	// them.
	Resolve func(ctx context.Context, connector string, config map[string]string) (map[string]string, error)
	// Worker are the worker's properties: its converters are the connectors' defaults.
	Worker map[string]string
	// Overrides says which settings of its clients a connector may change.
	Overrides OverridePolicy
	// GroupID is the worker group's, "" for a worker without one. ExactlyOnce says that the
	// worker runs source connectors in transactions.
	GroupID     string
	ExactlyOnce bool
}

// Validate composes the answer that Java's worker gives: first values of keys that are
// not declared but wrong, then the framework's keys, those of transforms and
// predicates, the connector's own; then the overrides of clients and the settings of
// converters. The values of passwords are hidden, and others that references to
// configuration providers stand for are shown as those references. An error is a *BadRequestError when
// the connector is not known, or what made validation impossible; mistakes in the
// configuration are in the answer.
//
// It returns when ctx ends, also while the connector's own code hangs: that goes on, as
// there is no way to end it.
func (v *Validator) Validate(ctx context.Context, config map[string]*string) (api.ConfigInfos, error) {
	type outcome struct {
		infos api.ConfigInfos
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		var concealment concealment
		// A plugin that panics spoils its own validation, not the worker.
		defer func() {
			if p := recover(); p != nil {
				done <- outcome{err: concealment.err(fmt.Errorf("the validation of %s panicked: %v", deref(config["connector.class"]), p))}
			}
		}()
		infos, err := v.validate(ctx, config, &concealment)
		done <- outcome{infos, err}
	}()
	select {
	case o := <-done:
		return o.infos, o.err
	case <-ctx.Done():
		return api.ConfigInfos{}, ctx.Err()
	}
}

// validate sets concealment as soon as the references are resolved: also a panic may quote
// what they stand for.
func (v *Validator) validate(ctx context.Context, config map[string]*string, concealment *concealment) (api.ConfigInfos, error) {
	resolved, err := v.resolved(ctx, config)
	if err != nil {
		return api.ConfigInfos{}, err
	}
	*concealment = newConcealment(config, resolved)
	infos, err := v.validateResolved(ctx, resolved)
	return concealment.infos(infos), concealment.err(err)
}

func (v *Validator) validateResolved(ctx context.Context, config map[string]*string) (api.ConfigInfos, error) {
	class := config["connector.class"]
	if class == nil || strings.TrimSpace(*class) == "" {
		return api.ConfigInfos{}, &BadRequestError{Message: "Connector config contains no connector type: set connector.class"}
	}
	instance, p, err := v.Plugins.NewConnector(strings.TrimSpace(*class))
	if err != nil {
		return api.ConfigInfos{}, &BadRequestError{Message: err.Error()}
	}
	wanted, err := parseVersionRange(config["connector.plugin.version"])
	if err != nil {
		return api.ConfigInfos{}, &BadRequestError{Message: err.Error()}
	}
	if !wanted.acceptsPlugin(p) {
		return v.wrongVersion(p, config, wanted), nil
	}
	c := &check{validator: v, plugin: p, connector: instance, config: config, settings: newSettings(config)}
	c.framework()
	converters := c.converters()
	overrides, err := c.overrides()
	if err != nil {
		return api.ConfigInfos{}, err
	}
	c.own(ctx)
	return c.result(append(overrides, converters...)), nil
}

// Refusal is the error for a configuration with mistakes, nil for one without.
func Refusal(infos api.ConfigInfos) error {
	if infos.ErrorCount == 0 {
		return nil
	}
	var message strings.Builder
	fmt.Fprintf(&message, "Connector configuration is invalid and contains the following %d error(s):", infos.ErrorCount)
	for _, c := range infos.Configs {
		for _, e := range c.Value.Errors {
			message.WriteString("\n" + e)
		}
	}
	message.WriteString("\nYou can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`")
	return &BadRequestError{Message: message.String()}
}

// Resolved is a connector's configuration without references.
func (v *Validator) Resolved(ctx context.Context, connector string, config map[string]string) (map[string]string, error) {
	if v.Resolve == nil {
		return config, nil
	}
	return v.Resolve(ctx, connector, config)
}

// resolved is the configuration without references. Null values stay.
func (v *Validator) resolved(ctx context.Context, config map[string]*string) (map[string]*string, error) {
	out := maps.Clone(config)
	plain, err := v.Resolved(ctx, deref(config["name"]), plainConfig(config))
	if err != nil {
		return nil, err
	}
	for key, value := range plain {
		out[key] = &value
	}
	return out, nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// plainConfig leaves out null values.
func plainConfig(config map[string]*string) map[string]string {
	out := make(map[string]string, len(config))
	for key, value := range config {
		if value != nil {
			out[key] = *value
		}
	}
	return out
}

// wrongVersion is the answer when the connector is not there in the version asked for:
// nothing that depends on the connector can be said.
func (v *Validator) wrongVersion(p plugin.Plugin, config map[string]*string, wanted versionRange) api.ConfigInfos {
	c := &check{validator: v, plugin: p, config: config, settings: newSettings(config)}
	for _, k := range worker.ConnectorDef("").Keys() {
		key := *k
		if key.Name == "connector.plugin.version" {
			key.Default = p.Version
		}
		c.add(evaluate(&key, key.Name, c.settings))
	}
	for _, name := range []string{"connector.class", "connector.plugin.version"} {
		c.index[name].fail(missingVersion(p, wanted))
	}
	c.index["connector.plugin.version"].recommended = []string{p.Version}
	c.showConverterVersions(c.index, false)
	c.refuseNulls()
	return c.result(nil)
}

// check is one validation under way.
type check struct {
	validator *Validator
	plugin    plugin.Plugin
	connector connect.Connector
	config    map[string]*string
	settings  settings // of config
	// predicates are the aliases of those that are listed.
	predicates map[string]bool

	// items are the declared keys in their order, undeclared those that are not declared
	// but have an error.
	items, undeclared []*item
	index             map[string]*item
}

func (c *check) add(i *item) {
	if c.index == nil {
		c.index = map[string]*item{}
	}
	if old := c.index[i.name]; old != nil {
		*old = *i
		return
	}
	c.index[i.name] = i
	c.items = append(c.items, i)
}

// addUndeclared returns the item of a key, declared or not.
func (c *check) addUndeclared(name string) *item {
	if i := c.index[name]; i != nil {
		return i
	}
	i := &item{name: name, visible: true}
	if value := c.config[name]; value != nil {
		i.value = *value
	}
	c.index[name] = i
	c.undeclared = append(c.undeclared, i)
	return i
}

// framework evaluates the keys that are not the connector's own.
func (c *check) framework() {
	for _, k := range c.frameworkKeys() {
		c.add(evaluateClass(&k.ConfigKey, k.Name, c.settings, k.class))
	}
	c.showConverterVersions(c.index, true)
	c.listPredicates()
	c.aliases(transformAliases)
	c.aliases(predicateAliases)
	if c.plugin.Kind == plugin.Source {
		c.checkSource()
	} else {
		c.checkSink()
	}
	c.refuseNulls()
}

func (c *check) refuseNulls() {
	for _, name := range slices.Sorted(maps.Keys(c.config)) {
		if c.config[name] == nil {
			c.addUndeclared(name).fail("Null value can not be supplied as the configuration value.")
		}
	}
}

// own evaluates the connector's own keys. One that the framework has, too, replaces it.
func (c *check) own(ctx context.Context) {
	own := map[string]*item{}
	undeclared := slices.Clone(c.undeclared)
	defining := EnterStage(ctx, "retrieving the configuration definition from the connector")
	keys := declared(c.plugin, c.connector)
	defining()
	for _, k := range keys {
		i := evaluateClass(k, k.Name, c.settings, c.classOf(k.Name))
		own[k.Name] = i
		// The key is declared after all: what was said of it as an unknown one is void.
		undeclared = slices.DeleteFunc(undeclared, func(u *item) bool { return u.name == k.Name })
		if _, framework := c.index[k.Name]; framework && !slices.Contains(c.items, c.index[k.Name]) {
			delete(c.index, k.Name)
		}
		c.add(i)
	}
	c.undeclared = undeclared
	if plainFramework(c.plugin) {
		c.showConverterVersions(c.index, false)
	}
	if validator, ok := c.connector.(connect.ConfigValidator); ok {
		validating := EnterStage(ctx, "performing multi-property validation for the connector")
		further := validator.ValidateConfig(plainConfig(c.config))
		validating()
		for _, name := range slices.Sorted(maps.Keys(further)) {
			i := c.addUndeclared(name)
			if own[name] == nil {
				// What a connector says of a key of the framework replaces what that says.
				i.value, i.errors = nil, nil
			}
			i.fail(further[name]...)
		}
	}
}

// result is the answer: what was evaluated, then the further parts, whose errors Java
// counts by value.
func (c *check) result(further []*item) api.ConfigInfos {
	infos := api.ConfigInfos{Name: deref(c.config["connector.class"]), Groups: []string{}, Configs: []api.ConfigInfo{}}
	seen := map[string]bool{"": true}
	show := func(i *item) {
		infos.Configs = append(infos.Configs, i.info())
		if i.key != nil && !seen[i.key.Group] {
			seen[i.key.Group] = true
			infos.Groups = append(infos.Groups, i.key.Group)
		}
	}
	for _, i := range slices.Concat(c.undeclared, c.items) {
		show(i)
		infos.ErrorCount += len(i.errors)
	}
	for _, i := range further {
		show(i)
		if len(i.errors) > 0 {
			infos.ErrorCount++
		}
	}
	return infos
}

// checkSink holds a sink connector's topics and consumer group against each other and
// against the worker's group.
func (c *check) checkSink() {
	topics, regex := c.index["topics"], c.index["topics.regex"]
	listed, byRegex := deref(c.config["topics"]), deref(c.config["topics.regex"])
	hasTopics, hasRegex := strings.TrimSpace(listed) != "", strings.TrimSpace(byRegex) != ""
	message := ""
	switch {
	case hasTopics && hasRegex:
		message = "topics and topics.regex are mutually exclusive options, but both are set."
	case !hasTopics && !hasRegex:
		message = "Must configure one of topics or topics.regex"
	}
	if message != "" {
		topics.fail(message)
		regex.fail(message)
	}
	names, _ := topics.value.([]string)
	if dlq := strings.TrimSpace(deref(c.config["errors.deadletterqueue.topic.name"])); dlq != "" {
		if hasTopics && slices.Contains(names, dlq) {
			topics.fail(fmt.Sprintf("The DLQ topic '%s' may not be included in the list of topics ('topics=[%s]') consumed by the connector", dlq, strings.Join(names, ", ")))
		}
		// An expression that is none is the key's own error.
		if pattern, err := jregex.Compile(byRegex); hasRegex && err == nil && pattern.MatchString(dlq) {
			regex.fail(fmt.Sprintf("The DLQ topic '%s' may not be matched by the regex for the topics ('topics.regex=%s') consumed by the connector", dlq, byRegex))
		}
	}
	group := c.validator.GroupID
	if group == "" {
		return
	}
	const override = "consumer.override.group.id"
	if own, overridden := c.config[override]; overridden {
		if i := c.addUndeclared(override); deref(own) == group {
			i.fail(fmt.Sprintf("Consumer group %s conflicts with Connect worker group %s", group, group))
		}
	} else if name, _ := c.index["name"].value.(string); "connect-"+name == group {
		c.index["name"].fail(fmt.Sprintf("Consumer group for sink connector named %s conflicts with Connect worker group %s", name, group))
	}
}
