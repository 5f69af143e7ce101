package herder

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tributary/connect"
	"tributary/connect/plugin"
	"tributary/connect/worker"
)

// classKey is a key that may name a class.
type classKey struct {
	connect.ConfigKey
	class classResolver
}

// converterKinds are the keys that choose converters, in the order in which Java shows
// the converters' settings.
var converterKinds = []struct {
	key  string
	kind plugin.Kind
	word string // what converter.type is
}{
	{"header.converter", plugin.HeaderConverter, "header"},
	{"key.converter", plugin.Converter, "key"},
	{"value.converter", plugin.Converter, "value"},
}

// plainFramework says that a connector declares the framework's keys among its own, as
// MirrorMaker's in Java do: they are shown without the worker's defaults then.
func plainFramework(p plugin.Plugin) bool {
	return strings.HasPrefix(p.Class, "org.apache.kafka.connect.mirror.")
}

// declared are the keys that a connector declares.
func declared(p plugin.Plugin, instance connect.Connector) []*connect.ConfigKey {
	own := instance.ConfigDef()
	if !plainFramework(p) {
		return own.Keys()
	}
	keys := make([]connect.ConfigKey, 0, len(own.Keys()))
	for _, k := range own.Keys() {
		keys = append(keys, *k)
	}
	return worker.ConnectorDef("").With(keys...).Keys()
}

// frameworkKeys are those of any connector of the kind, with the worker's defaults.
func (c *check) frameworkKeys() []classKey {
	var out []classKey
	for _, k := range worker.ConnectorDef(c.plugin.Kind).Keys() {
		key := classKey{ConfigKey: *k, class: c.classOf(k.Name)}
		if k.Name == "connector.plugin.version" {
			key.Default = c.plugin.Version
			key.Recommend = func(map[string]string) []string { return []string{c.plugin.Version} }
		}
		for _, converter := range converterKinds {
			worker := c.validator.workerConverter(converter.key)
			switch k.Name {
			case converter.key:
				if worker != "" {
					key.Default = worker
				}
				key.Recommend = func(map[string]string) []string { return c.validator.classes(converter.kind) }
			case converter.key + ".plugin.version":
				class := worker
				if own := c.config[converter.key]; own != nil {
					class = *own
				}
				if p, err := c.validator.Plugins.Find(class, converter.kind); err == nil {
					key.Default = p.Version
				}
			}
		}
		out = append(out, key)
	}
	return out
}

// simpleHeaderConverter is the worker's where it names none.
const simpleHeaderConverter = "org.apache.kafka.connect.storage.SimpleHeaderConverter"

// workerConverter is the class of one of the worker's converters, "" if it names none.
func (v *Validator) workerConverter(key string) string {
	name := v.Worker[key]
	kind := plugin.Converter
	if key == "header.converter" {
		name, kind = cmp.Or(name, simpleHeaderConverter), plugin.HeaderConverter
	}
	if p, err := v.Plugins.Find(name, kind); err == nil {
		return p.Class
	}
	return name
}

func (v *Validator) classes(kind plugin.Kind) []string {
	var classes []string
	for _, p := range v.Plugins.All() {
		if p.Kind == kind {
			classes = append(classes, p.Class)
		}
	}
	return classes
}

// classOf finds the classes that a key of the framework names, nil if it names none.
func (c *check) classOf(key string) classResolver {
	for _, converter := range converterKinds {
		if key != converter.key {
			continue
		}
		return func(text string) (class, reason string) {
			p, err := c.validator.Plugins.Find(text, converter.kind)
			if err == nil {
				return p.Class, ""
			}
			other, err := c.validator.Plugins.Find(text, plugin.Converter, plugin.HeaderConverter, plugin.Transformation, plugin.Predicate, plugin.Source, plugin.Sink)
			if err != nil {
				return "", noSuchClass(key, text)
			}
			name := "Converter"
			if converter.kind == plugin.HeaderConverter {
				name = "HeaderConverter"
			}
			return other.Class, fmt.Sprintf("Class class %s does not implement the %s interface", other.Class, name)
		}
	}
	return nil
}

func noSuchClass(key, class string) string {
	return fmt.Sprintf("Invalid value %s for configuration %s: Class %s could not be found.", class, key, class)
}

// showConverterVersions hides the versions of converters that nobody named, and
// recommends those that there are.
func (c *check) showConverterVersions(index map[string]*item, recommend bool) {
	for _, converter := range converterKinds {
		chosen, version := index[converter.key], index[converter.key+".plugin.version"]
		class, named := chosen.value.(string)
		version.visible = named
		if p, err := c.validator.Plugins.Find(class, converter.kind); named && recommend && err == nil {
			version.recommended = []string{p.Version}
			c.checkVersion(version, p)
		}
	}
}

// checkVersion holds the version asked for in a configuration against the one there is.
func (c *check) checkVersion(i *item, p plugin.Plugin) {
	wanted, err := parseVersionRange(c.config[i.name])
	switch {
	case err != nil:
		i.fail(err.Error())
	case !wanted.acceptsPlugin(p):
		i.fail(missingVersion(p, wanted))
	}
}

// aliasKind is a family of plugins that a connector's configuration names by aliases.
type aliasKind struct {
	list, group, name, word string
	kind                    plugin.Kind
	implicit                []connect.ConfigKey
}

var (
	transformAliases = aliasKind{list: "transforms", group: "Transforms", name: "Transformation", word: "transformation", kind: plugin.Transformation,
		implicit: []connect.ConfigKey{
			{Name: "predicate", Type: connect.TypeString, Importance: connect.Medium, Doc: "Alias of the predicate that decides whether the transformation applies."},
			{Name: "negate", Type: connect.TypeBoolean, Default: false, Importance: connect.Medium, Doc: "Whether the transformation applies where the predicate does not."},
		}}
	predicateAliases = aliasKind{list: "predicates", group: "Predicates", name: "Predicate", word: "predicate", kind: plugin.Predicate}
)

// aliases evaluates the keys of each transformation or predicate that is named.
func (c *check) aliases(kind aliasKind) {
	names, _ := c.index[kind.list].value.([]string)
	seen := map[string]bool{}
	for _, alias := range names {
		if !seen[alias] {
			seen[alias] = true
			c.alias(kind, alias)
		}
	}
}

func (c *check) alias(kind aliasKind, alias string) {
	prefix := kind.list + "." + alias + "."
	group := kind.group + ": " + alias
	var found *plugin.Plugin
	class := evaluateClass(&connect.ConfigKey{
		Name: prefix + "type", Type: connect.TypeClass, Required: true, Importance: connect.High, Group: group, Width: "LONG",
		DisplayName: kind.name + " type for " + alias, Doc: "Class of the " + kind.word + " " + alias + ".",
		Recommend: func(map[string]string) []string { return c.validator.classes(kind.kind) },
	}, "", c.settings, func(text string) (string, string) {
		p, err := c.validator.Plugins.Find(text, kind.kind)
		if err != nil {
			return "", noSuchClass(prefix+"type", text)
		}
		found = &p
		return p.Class, ""
	})
	if _, negated := c.config[prefix+"negate"]; negated && kind.kind == plugin.Transformation {
		if _, has := c.config[prefix+"predicate"]; !has {
			class.fail("Config '" + prefix + "negate' was provided but there is no config '" + prefix + "predicate' defining a predicate to be negated.")
		}
	}
	c.add(class)
	key := &connect.ConfigKey{
		Name: prefix + "plugin.version", Type: connect.TypeString, Importance: connect.High, Group: group, OrderInGroup: 1, Width: "LONG",
		DisplayName: kind.name + " version for " + alias, Doc: "Version of the " + kind.word + " " + alias + ", or a range of versions.",
	}
	if found != nil {
		key.Default = found.Version
	}
	version := evaluate(key, key.Name, c.settings)
	c.add(version)
	if found == nil {
		return
	}
	version.recommended = []string{found.Version}
	if c.checkVersion(version, *found); len(version.errors) > 0 {
		return
	}
	for n, k := range sortedForDisplay(kind.implicit, definitionOf(*found)) {
		own := k.Name
		k.Name, k.Group, k.OrderInGroup = prefix+own, group, 2+n
		if k.DisplayName == "" {
			k.DisplayName = own
		}
		i := evaluate(&k, own, c.settings)
		if own == "predicate" && kind.kind == plugin.Transformation {
			c.checkListed(i)
		}
		c.add(i)
	}
}

func (c *check) listPredicates() {
	names, _ := c.index[predicateAliases.list].value.([]string)
	c.predicates = make(map[string]bool, len(names))
	for _, alias := range names {
		c.predicates[alias] = true
	}
}

// checkListed refuses the alias of a predicate that is not there, with which the tasks would
// fail (Java lets them).
func (c *check) checkListed(predicate *item) {
	if alias, ok := predicate.value.(string); ok && !c.predicates[alias] {
		predicate.fail(fmt.Sprintf("Invalid value %s for configuration %s: It is not listed in predicates", predicate.value, predicate.name))
	}
}

// sortedForDisplay orders keys as Java does when it puts one definition into another;
// implicit keys mask equal ones.
func sortedForDisplay(implicit []connect.ConfigKey, def *connect.ConfigDef) []connect.ConfigKey {
	keys := slices.Clone(implicit)
	groups := map[string]int{"": 0}
	for _, k := range def.Keys() {
		if _, known := groups[k.Group]; !known {
			groups[k.Group] = len(groups)
		}
		if !slices.ContainsFunc(implicit, func(i connect.ConfigKey) bool { return i.Name == k.Name }) {
			keys = append(keys, *k)
		}
	}
	importance := map[connect.Importance]int{connect.High: 0, connect.Medium: 1, connect.Low: 2}
	required := map[bool]int{true: 0, false: 1}
	slices.SortStableFunc(keys, func(a, b connect.ConfigKey) int {
		return cmp.Or(groups[a.Group]-groups[b.Group], a.OrderInGroup-b.OrderInGroup, required[a.Required]-required[b.Required],
			importance[a.Importance]-importance[b.Importance], strings.Compare(a.Name, b.Name))
	})
	return keys
}

// definitionOf is what a plugin declares, nothing when it does not say.
func definitionOf(p plugin.Plugin) *connect.ConfigDef {
	if d, ok := p.New().(interface{ ConfigDef() *connect.ConfigDef }); ok {
		return d.ConfigDef()
	}
	return connect.NewConfigDef()
}

// converters evaluates the settings of the converters that the connector chooses.
func (c *check) converters() []*item {
	var items []*item
	for _, converter := range converterKinds {
		chosen, version := c.index[converter.key], c.index[converter.key+".plugin.version"]
		if c.config[converter.key] == nil || len(chosen.errors) > 0 || len(version.errors) > 0 {
			continue
		}
		p, err := c.validator.Plugins.Find(chosen.value.(string), converter.kind)
		if err != nil { // it was found before
			continue
		}
		given := map[string]*string{"converter.type": &converter.word}
		prefix := converter.key + "."
		for key, value := range c.config {
			if own, ok := strings.CutPrefix(key, prefix); ok {
				given[own] = value
			}
		}
		settings := newSettings(given)
		for _, k := range definitionOf(p).Keys() {
			i := evaluate(k, k.Name, settings)
			i.name = prefix + k.Name
			items = append(items, i)
		}
	}
	return items
}
