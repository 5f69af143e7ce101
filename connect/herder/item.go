package herder

import (
	"fmt"
	"strings"
	"sync"

	"tributary/api"
	"tributary/connect"
)

// item is one key of a configuration that is being validated.
type item struct {
	// key is nil for one that is not declared.
	key         *connect.ConfigKey
	name        string
	value       any
	errors      []string
	recommended []string
	visible     bool
}

func (i *item) fail(messages ...string) { i.errors = append(i.errors, messages...) }

// classResolver finds a class by what stands in a configuration, and says what is wrong
// with it. The class is "" if there is none.
type classResolver func(text string) (class, reason string)

// settings are the configuration that keys are evaluated by.
type settings struct {
	given map[string]*string
	// plain are those that are not null, for keys that recommend values. There may be many
	// such keys: all have the same map.
	plain func() map[string]string
}

func newSettings(given map[string]*string) settings {
	return settings{given, sync.OnceValue(func() map[string]string { return plainConfig(given) })}
}

// evaluate parses and checks one key. Messages of the key's own check call it own: keys
// of transforms do not know the prefix they stand under.
func evaluate(k *connect.ConfigKey, own string, config settings) *item {
	return evaluateClass(k, own, config, nil)
}

func evaluateClass(k *connect.ConfigKey, own string, config settings, resolve classResolver) *item {
	i := &item{key: k, name: k.Name, visible: true}
	text, given := config.given[k.Name]
	if !given || text != nil {
		plain := map[string]string{}
		if given {
			plain[k.Name] = *text
		}
		bare := *k
		bare.Validate, bare.Items = nil, connect.AnyItems
		parsed := connect.NewConfigDef(bare).Parse(plain)[0]
		i.value, i.errors = parsed.Value, parsed.Errors
	}
	if name, ok := i.value.(string); ok && given && resolve != nil {
		class, reason := resolve(name)
		if i.value = class; class == "" {
			i.value = nil
		}
		if reason != "" {
			i.fail(reason)
		}
	}
	if k.Recommend != nil {
		i.recommended = k.Recommend(config.plain())
	}
	if message := k.Items.Check(own, i.value); message != "" && (i.value != nil || k.Required || k.Default != nil) {
		i.fail(message)
	}
	if k.Validate == nil {
		return i
	}
	reason := k.Validate(i.value)
	if i.value == nil && reason == "" {
		reason = reasonForNull(k)
	}
	if reason != "" {
		i.fail(fmt.Sprintf("Invalid value %s for configuration %s: %s", connect.HideUserInfo(shownInMessage(k, i.value)), own, reason))
	}
	return i
}

// reasonForNull is what Java's checks say of null, which they also get for values that
// could not be parsed. Those of keys that are null by default have nothing to say.
func reasonForNull(k *connect.ConfigKey) string {
	if k.Default == nil {
		return ""
	}
	switch k.Type {
	case connect.TypeInt, connect.TypeShort, connect.TypeLong, connect.TypeDouble:
		return "Value must be non-null"
	case connect.TypeList:
		return "entry must be non null"
	case connect.TypeString:
		return k.Validate("null")
	}
	return ""
}

func shownInMessage(k *connect.ConfigKey, value any) string {
	switch {
	case k.Type == connect.TypePassword && value != nil:
		return connect.HiddenPassword
	case k.Type == connect.TypeList && value != nil:
		return "[" + strings.ReplaceAll(connect.FormatConfigValue(value), ",", ", ") + "]"
	}
	return connect.FormatConfigValue(value)
}

// info is the item in the answer's form.
func (i *item) info() api.ConfigInfo {
	value := &api.ConfigValueInfo{Name: i.name, RecommendedValues: i.recommended, Errors: i.errors, Visible: i.visible}
	if value.RecommendedValues == nil {
		value.RecommendedValues = []string{}
	}
	if value.Errors == nil {
		value.Errors = []string{}
	}
	if i.key == nil {
		value.Value = textOf("", i.value)
		return api.ConfigInfo{Value: value}
	}
	value.Value = textOf(i.key.Type, i.value)
	definition := keyInfo(i.key)
	definition.Name = i.name
	return api.ConfigInfo{Definition: &definition, Value: value}
}

// textOf is a value as the API shows it, nil for null.
func textOf(t connect.ConfigType, value any) *string {
	if value == nil {
		return nil
	}
	text := connect.FormatConfigValue(value)
	if t == connect.TypePassword {
		text = connect.HiddenPassword
	}
	return &text
}

// keyInfo is a declaration as the API shows it.
func keyInfo(k *connect.ConfigKey) api.ConfigKeyInfo {
	info := api.ConfigKeyInfo{
		Name: k.Name, Type: string(k.Type), Required: k.Required, Importance: string(k.Importance), Documentation: k.Doc,
		OrderInGroup: -1, Width: k.Width, DisplayName: k.DisplayName, Dependents: k.Dependents,
	}
	if !k.Required {
		info.DefaultValue = textOf(k.Type, k.Default)
	}
	if k.Group != "" {
		group := k.Group
		info.Group, info.OrderInGroup = &group, k.OrderInGroup
	}
	if info.Width == "" {
		info.Width = "NONE"
	}
	if info.DisplayName == "" {
		info.DisplayName = k.Name
	}
	if info.Dependents == nil {
		info.Dependents = []string{}
	}
	return info
}
