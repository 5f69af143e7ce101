package connect

import (
	"fmt"
	"regexp"
	"strings"
)

// ConfigType is the type of a configuration value, with Java's names.
type ConfigType string

// The types a configuration key can have. A list is comma-separated, a password is
// never shown, a class names a plugin.
const (
	TypeBoolean  ConfigType = "BOOLEAN"
	TypeString   ConfigType = "STRING"
	TypeInt      ConfigType = "INT"
	TypeShort    ConfigType = "SHORT"
	TypeLong     ConfigType = "LONG"
	TypeDouble   ConfigType = "DOUBLE"
	TypeList     ConfigType = "LIST"
	TypeClass    ConfigType = "CLASS"
	TypePassword ConfigType = "PASSWORD"
)

// Importance ranks a key for readers of its documentation.
type Importance string

// The ranks, with Java's names.
const (
	High   Importance = "HIGH"
	Medium Importance = "MEDIUM"
	Low    Importance = "LOW"
)

// HiddenPassword stands wherever a password's value would be shown.
const HiddenPassword = "[hidden]"

// ConfigKey declares one configuration key. Validation, the REST API's answers and
// the reference documentation all come from it.
type ConfigKey struct {
	Name string
	Type ConfigType
	// Default is used when the key is absent: a value of the Go type that Values
	// returns for Type, or nil for null. Required keys have none.
	Default    any
	Required   bool
	Importance Importance
	Doc        string
	// Validate gets the parsed value (nil for a null default) and returns the reason
	// why it is wrong, "" when it is right. The reason follows "Invalid value v for
	// configuration k: ".
	Validate func(value any) (reason string)
	// Items restricts the items of a LIST, before Validate sees them.
	Items ItemRule

	Group        string // "" is none
	OrderInGroup int    // 1-based, 0 when there is no group
	Width        string // NONE, SHORT, MEDIUM or LONG; "" is NONE
	DisplayName  string // "" is Name
	Dependents   []string
	// Live keys reach running tasks when they change, see LiveTask.
	Live bool
	// Recommend returns proposed values for the key, nil when any value may do. It must not
	// change config.
	Recommend func(config map[string]string) []string
}

// ConfigDef is an ordered set of keys. Build it with NewConfigDef and Define; after
// that it is read-only and may be shared.
type ConfigDef struct {
	keys  []*ConfigKey
	index map[string]*ConfigKey
}

// NewConfigDef returns a definition with the given keys, in that order. Defining a
// key twice panics: it is a programming error.
func NewConfigDef(keys ...ConfigKey) *ConfigDef {
	d := &ConfigDef{index: make(map[string]*ConfigKey, len(keys))}
	for i := range keys {
		d.define(keys[i])
	}
	return d
}

func (d *ConfigDef) define(k ConfigKey) {
	if _, dup := d.index[k.Name]; dup {
		panic(fmt.Sprintf("connect: configuration key %q defined twice", k.Name))
	}
	d.keys = append(d.keys, &k)
	d.index[k.Name] = &k
}

// With returns a new definition of d's keys followed by more; a key that d already
// has is replaced in its place.
func (d *ConfigDef) With(more ...ConfigKey) *ConfigDef {
	out := &ConfigDef{index: make(map[string]*ConfigKey, len(d.keys)+len(more))}
	replaced := make(map[string]ConfigKey, len(more))
	for _, k := range more {
		replaced[k.Name] = k
	}
	for _, k := range d.keys {
		if r, ok := replaced[k.Name]; ok {
			out.define(r)
			continue
		}
		out.define(*k)
	}
	for _, k := range more {
		if _, has := out.index[k.Name]; !has {
			out.define(k)
		}
	}
	return out
}

// Keys returns the keys in the order of definition. The slice is the caller's, the
// keys are shared.
func (d *ConfigDef) Keys() []*ConfigKey { return append([]*ConfigKey(nil), d.keys...) }

// Key returns the declaration of a key.
func (d *ConfigDef) Key(name string) (*ConfigKey, bool) {
	k, ok := d.index[name]
	return k, ok
}

// ConfigValue is the outcome of parsing one key.
type ConfigValue struct {
	Name string
	// Value is the parsed value, the default where the key is absent, or nil where it
	// could not be parsed.
	Value  any
	Errors []string
}

// Parse reads every declared key from config, in order, and says of each what is
// wrong with it. Keys that are not declared are left alone.
func (d *ConfigDef) Parse(config map[string]string) []ConfigValue {
	return d.parse(config, func(_ *ConfigKey, value any) any { return value })
}

func (d *ConfigDef) parse(config map[string]string, amend func(*ConfigKey, any) any) []ConfigValue {
	out := make([]ConfigValue, 0, len(d.keys))
	for _, k := range d.keys {
		text, given := config[k.Name]
		out = append(out, k.parse(text, given, amend))
	}
	return out
}

// parse reads the key; amend changes a value that could be read, before it is checked.
func (k *ConfigKey) parse(text string, given bool, amend func(*ConfigKey, any) any) ConfigValue {
	v := ConfigValue{Name: k.Name}
	switch {
	case given:
		parsed, reason := parseConfigText(k.Type, text)
		if reason != "" {
			v.Errors = append(v.Errors, k.invalid(text, reason))
			return v
		}
		v.Value = parsed
	case k.Required:
		v.Errors = append(v.Errors, fmt.Sprintf("Missing required configuration %q which has no default value.", k.Name))
		return v
	default:
		v.Value = k.Default
	}
	v.Value = amend(k, v.Value)
	if v.Value != nil {
		if message := k.Items.Check(k.Name, v.Value); message != "" {
			v.Errors = append(v.Errors, message)
			return v
		}
	}
	if k.Validate != nil {
		if reason := k.Validate(v.Value); reason != "" {
			shown := FormatConfigValue(v.Value)
			if k.Type == TypeList && v.Value != nil {
				shown = "[" + strings.ReplaceAll(shown, ",", ", ") + "]" // as Java prints a list
			}
			v.Errors = append(v.Errors, k.invalid(shown, reason))
		}
	}
	return v
}

// HideUserInfo is a text in which user and password of addresses are hidden, for messages.
func HideUserInfo(text string) string {
	return userInfo.ReplaceAllString(text, "${1}"+HiddenPassword+"@")
}

var userInfo = regexp.MustCompile(`(://)[^/\s,]*@`)

func (k *ConfigKey) invalid(text, reason string) string {
	if k.Type == TypePassword {
		text = HiddenPassword
	}
	return fmt.Sprintf("Invalid value %s for configuration %s: %s", HideUserInfo(text), k.Name, reason)
}

// Values gives typed access to a configuration. The getters return the zero value
// for a key that is null, and panic for a key that is not declared or is of another
// type, which is a programming error.
type Values struct{ byName map[string]any }

// ConfigErrors is every violation found in one configuration.
type ConfigErrors []string

// Error joins the violations, one a line.
func (e ConfigErrors) Error() string { return strings.Join(e, "\n") }

// ParseValues is Parse for callers that want all values or all errors: the error, if
// any, is a ConfigErrors. As in Java, where a configuration is used repeated items do
// not count, although Parse refuses them in one that is new.
func (d *ConfigDef) ParseValues(config map[string]string) (Values, error) {
	vals := Values{byName: make(map[string]any, len(d.keys))}
	var errs ConfigErrors
	for _, v := range d.parse(config, (*ConfigKey).withoutRepeated) {
		vals.byName[v.Name] = v.Value
		errs = append(errs, v.Errors...)
	}
	if len(errs) > 0 {
		return Values{}, errs
	}
	return vals, nil
}

func value[T any](v Values, name string) T {
	raw, ok := v.byName[name]
	if !ok {
		panic(fmt.Sprintf("connect: configuration key %q is not declared", name))
	}
	if raw == nil {
		var zero T
		return zero
	}
	return raw.(T)
}

// IsNull reports whether the key has no value.
func (v Values) IsNull(name string) bool { return v.byName[name] == nil }

// String returns a STRING, CLASS or PASSWORD value.
func (v Values) String(name string) string { return value[string](v, name) }

// Bool returns a BOOLEAN value.
func (v Values) Bool(name string) bool { return value[bool](v, name) }

// Int returns an INT, SHORT or LONG value.
func (v Values) Int(name string) int64 { return value[int64](v, name) }

// Double returns a DOUBLE value.
func (v Values) Double(name string) float64 { return value[float64](v, name) }

// List returns a LIST value.
func (v Values) List(name string) []string { return value[[]string](v, name) }
