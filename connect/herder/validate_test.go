package herder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/api"
	"tributary/connect"
	"tributary/connect/converter"
	"tributary/connect/plugin"
)

// fileStream is a source connector that declares what Java's FileStreamSource does.
type fileStream struct{ connect.SourceConnector }

func (fileStream) ConfigDef() *connect.ConfigDef {
	return connect.NewConfigDef(
		connect.ConfigKey{Name: "file", Type: connect.TypeString, Importance: connect.High},
		connect.ConfigKey{Name: "topic", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: connect.NonEmpty},
		connect.ConfigKey{Name: "batch.size", Type: connect.TypeInt, Default: int64(2000), Importance: connect.Low},
	)
}

// insertHeader declares what Java's InsertHeader does.
type insertHeader struct{ connect.Transformation }

func (insertHeader) ConfigDef() *connect.ConfigDef {
	notNull := func(v any) string {
		if v == nil {
			return "entry must be non null"
		}
		return ""
	}
	return connect.NewConfigDef(
		connect.ConfigKey{Name: "header", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: notNull},
		connect.ConfigKey{Name: "value.literal", Type: connect.TypeString, Required: true, Importance: connect.High, Validate: notNull},
	)
}

// judge is a connector with checks of its own that span keys.
type judge struct{ fileStream }

func (judge) ConfigDef() *connect.ConfigDef {
	return fileStream{}.ConfigDef().With(connect.ConfigKey{Name: "pass", Type: connect.TypePassword, Importance: connect.High,
		Validate: func(v any) string {
			if v == "weak" {
				return "too weak"
			}
			return ""
		}})
}

func (judge) ValidateConfig(map[string]string) map[string][]string {
	return map[string][]string{"topic": {"not this one"}, "exactly.once.support": {"never"}, "own.unknown": {"what is this"}}
}

type drain struct{ connect.Connector }

func (drain) ConfigDef() *connect.ConfigDef { return connect.NewConfigDef() }

func newValidator(t *testing.T) *Validator {
	t.Helper()
	plugins := append(converter.Plugins("4.3.1"),
		plugin.Plugin{Class: "org.apache.kafka.connect.file.FileStreamSourceConnector", Kind: plugin.Source, Version: "4.3.1", New: func() any { return fileStream{} }},
		plugin.Plugin{Class: "test.JudgeConnector", Kind: plugin.Source, Version: "1", New: func() any { return judge{} }},
		plugin.Plugin{Class: "test.DrainConnector", Kind: plugin.Sink, Version: "1", New: func() any { return drain{} }},
		plugin.Plugin{Class: "org.apache.kafka.connect.transforms.InsertHeader", Kind: plugin.Transformation, Version: "4.3.1", New: func() any { return insertHeader{} }},
	)
	r, err := plugin.NewRegistry(plugins...)
	if err != nil {
		t.Fatal(err)
	}
	return &Validator{Plugins: r, GroupID: "connect-group", Worker: map[string]string{
		"key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "JsonConverter"}}
}

func validate(t *testing.T, v *Validator, config string) api.ConfigInfos {
	t.Helper()
	var values map[string]*string
	if err := json.Unmarshal([]byte(config), &values); err != nil {
		t.Fatal(err)
	}
	infos, err := v.Validate(context.Background(), values)
	if err != nil {
		t.Fatal(err)
	}
	return infos
}

// testdata/java-answers.txt holds answers of a Java worker 4.3.1, without documentation
// and recommended values, which depend on what is installed.
func TestValidationAnswersAsJava(t *testing.T) {
	content, err := os.ReadFile("testdata/java-answers.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for block := range strings.SplitSeq(string(content), "=== ") {
		name, rest, _ := strings.Cut(block, "\n")
		if name == "" {
			continue
		}
		cases++
		t.Run(name, func(t *testing.T) {
			config, want, _ := strings.Cut(strings.TrimSuffix(rest, "\n"), "\n")
			infos := validate(t, newValidator(t), config)
			got := []string{fmt.Sprintf("errors %d, groups %s", infos.ErrorCount, strings.Join(infos.Groups, ", "))}
			for _, c := range infos.Configs {
				got = append(got, line(t, c))
			}
			if d := cmp.Diff(strings.Split(want, "\n"), got); d != "" {
				t.Error(d)
			}
		})
	}
	if cases != 3 {
		t.Errorf("%d cases", cases)
	}
}

// line is what testdata/java-answers.txt says of one key.
func line(t *testing.T, c api.ConfigInfo) string {
	t.Helper()
	definition := "null"
	if c.Definition != nil {
		definition = encode(t, c.Definition)
		before, rest, _ := strings.Cut(definition, `"documentation":"`)
		_, after, _ := strings.Cut(rest, `","group"`)
		definition = before + `"group"` + after
		definition = strings.Replace(definition, `""group"`, `"group"`, 1)
	}
	for i, e := range c.Value.Errors {
		if strings.HasPrefix(e, "The connector does not say whether") {
			c.Value.Errors[i] = "(no answer on exactly-once)"
		}
	}
	value := encode(t, c.Value)
	before, rest, _ := strings.Cut(value, `"recommended_values":[`)
	_, after, _ := strings.Cut(rest, `],`)
	return definition + " " + before + after
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := api.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func value(t *testing.T, infos api.ConfigInfos, name string) api.ConfigValueInfo {
	t.Helper()
	for _, c := range infos.Configs {
		if c.Value.Name == name {
			return *c.Value
		}
	}
	t.Fatalf("%s is not in the answer", name)
	return api.ConfigValueInfo{}
}

func TestPasswordsAreNeverShown(t *testing.T) {
	infos := validate(t, newValidator(t), `{"name":"a","connector.class":"Judge","topic":"t","pass":"weak","producer.override.ssl.key.password":"geheim"}`)
	if v := value(t, infos, "pass"); *v.Value != "[hidden]" || v.Errors[0] != "Invalid value [hidden] for configuration pass: too weak" {
		t.Errorf("pass: %s %v", *v.Value, v.Errors)
	}
	if v := value(t, infos, "producer.override.ssl.key.password"); *v.Value != "[hidden]" {
		t.Errorf("override: %s", *v.Value)
	}
	if text := encode(t, infos) + Refusal(infos).Error(); strings.Contains(text, "geheim") || strings.Contains(text, `"weak"`) {
		t.Errorf("a password is in the answer: %s", text)
	}
}

func TestConnectorsOwnChecksAddToTheirKeysAndReplaceTheFrameworks(t *testing.T) {
	infos := validate(t, newValidator(t), `{"name":"a","connector.class":"Judge","topic":"","exactly.once.support":"required"}`)
	for name, want := range map[string][]string{
		"topic":                {"Invalid value  for configuration topic: String may not be empty", "not this one"},
		"exactly.once.support": {"never"},
		"own.unknown":          {"what is this"},
	} {
		if v := value(t, infos, name); !slices.Equal(v.Errors, want) {
			t.Errorf("%s: %v, want %v", name, v.Errors, want)
		}
	}
	if first := infos.Configs[0]; first.Definition != nil || first.Value.Name != "own.unknown" {
		t.Errorf("first is %s, want the key that is not declared", first.Value.Name)
	}
	want := "Connector configuration is invalid and contains the following 4 error(s):\nwhat is this\nnever\n"
	if err := Refusal(infos); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("refusal %v, want %s…", err, want)
	}
}

func TestSinkTopicsAndGroupsMustNotClash(t *testing.T) {
	for name, test := range map[string]struct {
		config string
		want   map[string]string
	}{
		"no topics":                            {`{"name":"a"}`, map[string]string{"topics": "Must configure one of topics or topics.regex", "topics.regex": "Must configure one of topics or topics.regex"}},
		"both":                                 {`{"name":"a","topics":"t","topics.regex":"r"}`, map[string]string{"topics": "topics and topics.regex are mutually exclusive options, but both are set."}},
		"topics named twice":                   {`{"name":"a","topics":"t,u,t"}`, map[string]string{"topics": "Configuration 'topics' values must not be duplicated."}},
		"a topic without a name":               {`{"name":"a","topics":"t,,u"}`, map[string]string{"topics": "Configuration 'topics' values must not be empty."}},
		"dead letters":                         {`{"name":"a","topics":"t,d","errors.deadletterqueue.topic.name":"d"}`, map[string]string{"topics": "The DLQ topic 'd' may not be included in the list of topics ('topics=[t, d]') consumed by the connector"}},
		"dead letters that match":              {`{"name":"a","topics.regex":"d[a-z]+","errors.deadletterqueue.topic.name":"dead"}`, map[string]string{"topics.regex": "The DLQ topic 'dead' may not be matched by the regex for the topics ('topics.regex=d[a-z]+') consumed by the connector"}},
		"dead letters whose beginning matches": {`{"name":"a","topics.regex":"d[a-z]","errors.deadletterqueue.topic.name":"dead"}`, map[string]string{"topics.regex": ""}},
		"own group":                            {`{"name":"group","topics":"t"}`, map[string]string{"name": "Consumer group for sink connector named group conflicts with Connect worker group connect-group"}},
		"group override":                       {`{"name":"group","topics":"t","consumer.override.group.id":"connect-group"}`, map[string]string{"consumer.override.group.id": "Consumer group connect-group conflicts with Connect worker group connect-group"}},
	} {
		t.Run(name, func(t *testing.T) {
			infos := validate(t, newValidator(t), `{"connector.class":"Drain",`+test.config[1:])
			for key, want := range test.want {
				if v := value(t, infos, key); strings.Join(v.Errors, "; ") != want {
					t.Errorf("%s: %q, want %q", key, v.Errors, want)
				}
			}
		})
	}
}

func TestOverridePolicyDecidesWhatMayBeChanged(t *testing.T) {
	for _, test := range []struct {
		policy  string
		allowed []string
		key     string
		refused string
	}{
		{"All", nil, "acks", ""},
		{"org.apache.kafka.connect.connector.policy.AllConnectorClientConfigOverridePolicy", nil, "acks", ""},
		{"None", nil, "sasl.mechanism", "None"},
		{"Principal", nil, "sasl.mechanism", ""},
		{"Principal", nil, "acks", "Principal"},
		{"Allowlist", []string{"acks"}, "acks", ""},
		{"Allowlist", nil, "acks", "Allowlist"},
		// Keys that name files are no exception.
		{"All", nil, "ssl.keystore.location", ""},
		{"None", nil, "ssl.truststore.location", "None"},
		{"Principal", nil, "ssl.keystore.location", "Principal"},
		{"Principal", nil, "sasl.oauthbearer.token.endpoint.url", "Principal"},
		{"Allowlist", []string{"ssl.keystore.location"}, "ssl.keystore.location", ""},
		{"Allowlist", []string{"acks"}, "sasl.oauthbearer.assertion.file", "Allowlist"},
	} {
		v := newValidator(t)
		var err error
		if v.Overrides, err = ParseOverridePolicy(test.policy, test.allowed); err != nil {
			t.Fatal(err)
		}
		infos := validate(t, v, `{"name":"a","connector.class":"FileStreamSource","topic":"t","producer.override.`+test.key+`":"all"}`)
		want := []string{}
		if test.refused != "" {
			want = []string{"The '" + test.refused + "' policy does not allow '" + test.key + "' to be overridden in the connector configuration."}
		}
		if got := value(t, infos, "producer.override."+test.key).Errors; !slices.Equal(got, want) || infos.ErrorCount != len(want) {
			t.Errorf("%s of %s: %v (%d)", test.key, test.policy, got, infos.ErrorCount)
		}
	}
	if _, err := ParseOverridePolicy("Some", nil); err == nil || !strings.Contains(err.Error(), `is "Some"`) {
		t.Errorf("an unknown policy: %v", err)
	}
}

func TestConnectorThatCannotBeFoundIsABadRequest(t *testing.T) {
	for config, want := range map[string]string{
		`{"name":"a"}`:                 "contains no connector type",
		`{"connector.class":null}`:     "contains no connector type",
		`{"connector.class":"Nosuch"}`: "which name matches Nosuch",
		`{"connector.class":"Drain","connector.plugin.version":"[1"}`: "Invalid version specification: [1",
	} {
		var values map[string]*string
		if err := json.Unmarshal([]byte(config), &values); err != nil {
			t.Fatal(err)
		}
		var bad *BadRequestError
		if _, err := newValidator(t).Validate(context.Background(), values); !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a BadRequestError with %q", config, err, want)
		}
	}
}

func TestVersionThatIsNotThereEndsValidation(t *testing.T) {
	infos := validate(t, newValidator(t), `{"name":"a","connector.class":"Drain","connector.plugin.version":"2"}`)
	want := []string{"Plugin test.DrainConnector not found that matches the version range [2,2], available versions: [1]"}
	if infos.ErrorCount != 2 || !slices.Equal(value(t, infos, "connector.class").Errors, want) || !slices.Equal(value(t, infos, "connector.plugin.version").Errors, want) {
		t.Errorf("%+v", infos)
	}
	if v := value(t, infos, "connector.plugin.version"); !slices.Equal(v.RecommendedValues, []string{"1"}) {
		t.Errorf("recommended %v", v.RecommendedValues)
	}
}

func TestKafkasOwnPluginsCanBeAskedForByItsVersion(t *testing.T) {
	own := plugin.Plugin{Class: "org.apache.kafka.connect.mirror.MirrorSourceConnector", Version: "0.1.0"}
	other := plugin.Plugin{Class: "acme.CounterConnector", Version: "0.1.0"}
	for spec, want := range map[string][2]bool{
		"4.3.1": {true, false}, "[4.3,5)": {true, false}, "0.1.0": {true, true}, "4.3.0": {false, false}, "latest": {true, true},
	} {
		wanted, err := parseVersionRange(&spec)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{wanted.acceptsPlugin(own), wanted.acceptsPlugin(other)}; got != want {
			t.Errorf("%s accepts Kafka's and another plugin: %v, want %v", spec, got, want)
		}
	}
	wanted, err := parseVersionRange(new("3"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := missingVersion(own, wanted), "Plugin "+own.Class+" not found that matches the version range [3,3], available versions: [0.1.0, 4.3.1]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestVersionRanges(t *testing.T) {
	for _, test := range []struct {
		spec, version string
		want          bool
	}{
		{"latest", "1", true}, {"1.0", "1", true}, {"1.0", "1.1", false}, {"[1,2)", "1.9.9", true}, {"[1,2)", "2", false}, {"(1,2]", "1", false},
		{"(1,2]", "2.0", true}, {"[1,)", "7", true}, {"(,1]", "0.9", true}, {"[1],[3,4]", "3.5", true}, {"[1],[3,4]", "2", false},
		{"[1,2)", "2-rc1", true}, {"1.0", "1.0-rc1", false}, {"", "1", false}, {"dev", "dev", true},
	} {
		r, err := parseVersionRange(&test.spec)
		if err != nil || r.accepts(test.version) != test.want {
			t.Errorf("%q accepts %q: %v, %v", test.spec, test.version, !test.want, err)
		}
	}
	for _, spec := range []string{"[1", "1]", "1,2", "[1,2)x"} {
		if _, err := parseVersionRange(&spec); err == nil || err.Error() != "Invalid version specification: "+spec {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

func TestWhatAReferenceStandsForIsNotShown(t *testing.T) {
	v := newValidator(t)
	v.Resolve = func(_ context.Context, _ string, config map[string]string) (map[string]string, error) {
		for key, value := range config {
			config[key] = strings.ReplaceAll(value, "${vault:x}", "planted")
		}
		return config, nil
	}
	infos := validate(t, v, `{"name":"a","connector.class":"FileStreamSource","topic":"${vault:x}","tasks.max":"${vault:x}","transforms":"one,${vault:x}"}`)
	text := ""
	for _, config := range infos.Configs {
		if config.Value.Value != nil {
			text += config.Value.Name + "=" + *config.Value.Value + "\n"
		}
		text += strings.Join(config.Value.Errors, "\n") + "\n"
	}
	for _, part := range []string{"topic=${vault:x}\n", "Invalid value ${vault:x} for configuration tasks.max", "transforms=one,${vault:x}\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
	if strings.Contains(text, "planted") {
		t.Errorf("shown:\n%s", text)
	}
	class := "${vault:x}"
	_, err := v.Validate(t.Context(), map[string]*string{"connector.class": &class})
	if err == nil || !strings.Contains(err.Error(), class) || strings.Contains(err.Error(), "planted") {
		t.Errorf("a class that is none: %v", err)
	}
}

// nervous is a connector that panics with what it was given.
type nervous struct{ fileStream }

func (nervous) ValidateConfig(config map[string]string) map[string][]string {
	panic("cannot do with " + config["topic"])
}

func TestAPanicDoesNotShowWhatAReferenceStandsFor(t *testing.T) {
	v := newValidator(t)
	plugins, err := plugin.NewRegistry(plugin.Plugin{Class: "test.NervousConnector", Kind: plugin.Source, New: func() any { return nervous{} }})
	if err != nil {
		t.Fatal(err)
	}
	v.Plugins, v.Worker = plugins, nil
	v.Resolve = func(_ context.Context, _ string, config map[string]string) (map[string]string, error) {
		config["topic"] = "planted"
		return config, nil
	}
	class, topic := "test.NervousConnector", "${vault:x}"
	_, err = v.Validate(t.Context(), map[string]*string{"connector.class": &class, "topic": &topic})
	if want := "the validation of test.NervousConnector panicked: cannot do with ${vault:x}"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestReferencesAreResolvedBeforeValidation(t *testing.T) {
	v := newValidator(t)
	v.Resolve = func(_ context.Context, connector string, config map[string]string) (map[string]string, error) {
		if connector != "a" {
			return nil, errors.New("no such vault")
		}
		config["tasks.max"] = "7"
		return config, nil
	}
	infos := validate(t, v, `{"name":"a","connector.class":"FileStreamSource","topic":"t","tasks.max":"${vault:n}","zz":null}`)
	if got := value(t, infos, "tasks.max"); *got.Value != "${vault:n}" || infos.ErrorCount != 1 {
		t.Errorf("tasks.max %s, %d errors; the one expected is of zz", *got.Value, infos.ErrorCount)
	}
	name := "b"
	if _, err := v.Validate(context.Background(), map[string]*string{"name": &name}); err == nil || err.Error() != "no such vault" {
		t.Errorf("a provider that fails: %v", err)
	}
}

func TestPluginConfigListsOwnKeysFirst(t *testing.T) {
	v := newValidator(t)
	names := func(plugin string) (out []string) {
		keys, err := v.PluginConfig(plugin, "latest")
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			out = append(out, k.Name)
		}
		return out
	}
	got := names("FileStreamSource")
	if len(got) != 27 || !slices.Equal(got[:5], []string{"file", "topic", "batch.size", "name", "connector.class"}) || got[26] != "offsets.storage.topic" {
		t.Errorf("FileStreamSource: %v", got)
	}
	if got := names("StringConverter"); !slices.Equal(got, []string{"converter.type", "converter.encoding"}) {
		t.Errorf("StringConverter: %v", got)
	}
	if got := names("org.apache.kafka.connect.storage.SimpleHeaderConverter"); got != nil {
		t.Errorf("SimpleHeaderConverter: %v", got)
	}
	if got := names("InsertHeader"); !slices.Equal(got, []string{"header", "value.literal"}) {
		t.Errorf("InsertHeader: %v", got)
	}
	var missing *NotFoundError
	var bad *BadRequestError
	for _, name := range []string{"FileConfigProvider", "org.apache.kafka.common.config.provider.EnvVarConfigProvider"} {
		if _, err := v.PluginConfig(name, "latest"); !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), "Invalid plugin class "+name+". Valid types are sink, ") {
			t.Errorf("a provider has no configuration to show, got %v", err)
		}
	}
	if _, err := v.PluginConfig("Nosuch", "latest"); !errors.As(err, &missing) || err.Error() != "Unknown plugin Nosuch." {
		t.Errorf("Nosuch: %v", err)
	}
	if _, err := v.PluginConfig("Drain", "9"); !errors.As(err, &bad) {
		t.Errorf("a version that is not there: %v", err)
	}
}
