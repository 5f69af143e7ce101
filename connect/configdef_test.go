package connect

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func one(k ConfigKey) *ConfigDef {
	k.Name = "k"
	return NewConfigDef(k)
}

func TestValuesAreParsedByType(t *testing.T) {
	for _, test := range []struct {
		typ  ConfigType
		text string
		want string // FormatConfigValue of the value, or the error after "Invalid value … for configuration k: "
		ok   bool
	}{
		{TypeBoolean, " True ", "true", true},
		{TypeBoolean, "yes", "Expected value to be either true or false", false},
		{TypeInt, " -7 ", "-7", true},
		{TypeInt, "+7", "7", true},
		{TypeInt, "2147483648", "Not a number of type INT", false},
		{TypeInt, "1.0", "Not a number of type INT", false},
		{TypeInt, "", "Not a number of type INT", false},
		{TypeShort, "32768", "Not a number of type SHORT", false},
		{TypeLong, "9223372036854775807", "9223372036854775807", true},
		{TypeDouble, "1", "1.0", true},
		{TypeDouble, "0.05", "0.05", true},
		{TypeDouble, "1e10", "1.0E10", true},
		{TypeDouble, "x", "Not a number of type DOUBLE", false},
		{TypeList, " a , b,,c ", "a,b,,c", true},
		{TypeList, "  ", "", true},
		{TypeString, "  x y ", "x y", true},
		{TypeClass, " org.X ", "org.X", true},
		{TypePassword, " se cret ", "se cret", true},
	} {
		v := one(ConfigKey{Type: test.typ}).Parse(map[string]string{"k": test.text})[0]
		if test.ok {
			if got := FormatConfigValue(v.Value); got != test.want || len(v.Errors) != 0 {
				t.Errorf("%s %q: got %q, %v; want %q", test.typ, test.text, got, v.Errors, test.want)
			}
			continue
		}
		want := "Invalid value " + test.text + " for configuration k: " + test.want
		if v.Value != nil || len(v.Errors) != 1 || v.Errors[0] != want {
			t.Errorf("%s %q: got %v, %q; want %q", test.typ, test.text, v.Value, v.Errors, want)
		}
	}
}

func TestFormattedNumbersLookLikeJavas(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0.0", 0.8: "0.8", 100: "100.0", 9999999: "9999999.0", 1e7: "1.0E7", 1.25e-5: "1.25E-5", -2: "-2.0",
		math.Inf(1): "Infinity", math.Inf(-1): "-Infinity",
	} {
		if got := FormatConfigValue(value); got != want {
			t.Errorf("%v: got %s, want %s", value, got, want)
		}
	}
	if got := FormatConfigValue(math.NaN()); got != "NaN" {
		t.Errorf("got %s, want NaN", got)
	}
}

func TestAbsentKeysTakeTheirDefaultOrAreMissing(t *testing.T) {
	d := NewConfigDef(
		ConfigKey{Name: "list", Type: TypeList, Default: []string{"a"}},
		ConfigKey{Name: "null", Type: TypeLong},
		ConfigKey{Name: "least", Type: TypeInt, Default: int64(0), Validate: AtLeast(1)},
		ConfigKey{Name: "must", Type: TypeString, Required: true},
	)
	got := d.Parse(map[string]string{"undeclared": "x"})
	if FormatConfigValue(got[0].Value) != "a" || got[1].Value != nil || len(got) != 4 {
		t.Errorf("got %+v", got)
	}
	_, err := d.ParseValues(nil)
	want := "Invalid value 0 for configuration least: Value must be at least 1\n" +
		"Missing required configuration \"must\" which has no default value."
	if all, ok := errors.AsType[ConfigErrors](err); !ok || len(all) != 2 || err.Error() != want {
		t.Errorf("got %v", err)
	}
	v, err := d.ParseValues(map[string]string{"must": "m", "least": "3"})
	if err != nil || v.String("must") != "m" || v.Int("least") != 3 || !v.IsNull("null") || v.Int("null") != 0 || v.List("list")[0] != "a" {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestPasswordsAreNeverShown(t *testing.T) {
	d := one(ConfigKey{Type: TypePassword, Validate: func(any) string { return "too short" }})
	got := d.Parse(map[string]string{"k": "hunter2"})[0].Errors
	if len(got) != 1 || got[0] != "Invalid value [hidden] for configuration k: too short" {
		t.Errorf("got %q", got)
	}
}

func TestValidatorsSayWhatJavaSays(t *testing.T) {
	for _, test := range []struct {
		key        ConfigKey
		text, want string
	}{
		{ConfigKey{Type: TypeInt, Validate: AtLeast(1)}, "0", "Invalid value 0 for configuration k: Value must be at least 1"},
		{ConfigKey{Type: TypeString, Validate: OneOf("a", "b")}, "A", "Invalid value A for configuration k: String must be one of: a, b"},
		{ConfigKey{Type: TypeString, Validate: OneOfFold("a", "b")}, "c", "Invalid value c for configuration k: String must be one of (case insensitive): A, B"},
		{ConfigKey{Type: TypeString, Validate: OneOfFold("a", "b")}, "B", ""},
		{ConfigKey{Type: TypeString, Validate: NonEmpty}, " ", "Invalid value  for configuration k: String may not be empty"},
		{ConfigKey{Type: TypeString, Validate: NonEmpty}, "a\x01b\u0085", "Invalid value a\x01b\u0085 for configuration k: String may not contain control sequences but had the following ASCII chars: 1, 133"},
		{ConfigKey{Type: TypeList, Items: UniqueItems}, "a,b", ""},
		{ConfigKey{Type: TypeList, Items: UniqueItems}, "a,b,a", "Configuration 'k' values must not be duplicated."},
		{ConfigKey{Type: TypeList, Items: UniqueItems}, "a,", "Configuration 'k' values must not be empty."},
		{ConfigKey{Type: TypeList, Items: UniqueItems}, "", ""},
		{ConfigKey{Type: TypeList, Items: SomeUniqueItems}, "", "Configuration 'k' must not be empty. Valid values include: any non-empty value"},
	} {
		got := strings.Join(one(test.key).Parse(map[string]string{"k": test.text})[0].Errors, "\n")
		if got != test.want {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
}

// A configuration with repeated items is refused when it is made, but one that is there works without them.
func TestRepeatedItemsDoNotCountWhereAListIsUsed(t *testing.T) {
	v, err := one(ConfigKey{Type: TypeList, Items: UniqueItems}).ParseValues(map[string]string{"k": "b,a,b"})
	if err != nil || strings.Join(v.List("k"), " ") != "b a" {
		t.Errorf("got %v, %v", v.List("k"), err)
	}
	v, err = one(ConfigKey{Type: TypeList}).ParseValues(map[string]string{"k": "b,a,b"})
	if err != nil || strings.Join(v.List("k"), " ") != "b a b" {
		t.Errorf("a list that may have them: got %v, %v", v.List("k"), err)
	}
}

func TestWithReplacesInPlaceAndAppends(t *testing.T) {
	base := NewConfigDef(ConfigKey{Name: "a", Type: TypeInt}, ConfigKey{Name: "b", Type: TypeInt})
	more := base.With(ConfigKey{Name: "c", Type: TypeInt}, ConfigKey{Name: "a", Type: TypeString})
	var got []string
	for _, k := range more.Keys() {
		got = append(got, k.Name+" "+string(k.Type))
	}
	if s := strings.Join(got, ", "); s != "a STRING, b INT, c INT" {
		t.Errorf("got %s", s)
	}
	if k, _ := base.Key("a"); k.Type != TypeInt || len(base.Keys()) != 2 {
		t.Error("the definition it came from was changed")
	}
	if _, ok := base.Key("c"); ok {
		t.Error("a key was added to the definition it came from")
	}
}

func TestProgrammingErrorsPanic(t *testing.T) {
	v, err := one(ConfigKey{Type: TypeInt, Default: int64(1)}).ParseValues(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(){
		"a key defined twice":     func() { NewConfigDef(ConfigKey{Name: "a"}, ConfigKey{Name: "a"}) },
		"a key that is not there": func() { v.String("nope") },
		"a key of another type":   func() { v.Bool("k") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			f()
		}()
	}
}

func TestEqualSourcePartitionsHaveEqualKeys(t *testing.T) {
	fields := map[string]any{"topic": "t", "partition": 3, "cluster": "a"}
	a := NewSourcePartition(fields)
	fields["topic"] = "changed afterwards"
	b := NewSourcePartition(map[string]any{"cluster": "a", "partition": int32(3), "topic": "t"})
	if a.Key() != b.Key() || a.Key() != `{"cluster":"a","partition":3,"topic":"t"}` || a.Fields()["topic"] != "t" {
		t.Errorf("keys %s and %s, fields %v", a.Key(), b.Key(), a.Fields())
	}
	if c := NewSourcePartition(map[string]any{"cluster": "a", "partition": "3", "topic": "t"}); c.Key() == a.Key() {
		t.Error("a number and a text have the same key")
	}
}

func TestErrorsKeepTheirCause(t *testing.T) {
	cause := errors.New("cause")
	if Retriable(nil) != nil {
		t.Error("no error became one")
	}
	if err := Retriable(cause); !errors.Is(err, cause) || err.Error() != "cause" {
		t.Errorf("got %v", err)
	}
	if err := error(&DataError{Message: "bad", Err: cause}); !errors.Is(err, cause) || err.Error() != "bad: cause" {
		t.Errorf("got %v", err)
	}
	if err := (&DataError{Message: "bad"}).Error(); err != "bad" {
		t.Errorf("got %v", err)
	}
}
