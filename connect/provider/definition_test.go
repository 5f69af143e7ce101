package provider

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-multierror"
)

const builtInNames = "org.apache.kafka.common.config.provider.DirectoryConfigProvider, " +
	"org.apache.kafka.common.config.provider.EnvVarConfigProvider, " +
	"org.apache.kafka.common.config.provider.FileConfigProvider " +
	"(or, in short, DirectoryConfigProvider, EnvVarConfigProvider, FileConfigProvider)"

func TestNewNamesEveryMistakeWithKeyValueAndRemedy(t *testing.T) {
	for _, c := range []struct {
		name  string
		props map[string]string
		want  []string
	}{
		{
			name:  "a listed provider without class",
			props: map[string]string{"config.providers": "vault"},
			want:  []string{"config.providers.vault.class: not set, though config.providers lists vault; set it to one of " + builtInNames},
		},
		{
			name: "an unknown class, in any package",
			props: map[string]string{
				"config.providers":             "vault,file",
				"config.providers.vault.class": "com.acme.VaultConfigProvider",
				"config.providers.file.class":  "com.acme.FileConfigProvider",
			},
			want: []string{
				`config.providers.vault.class: "com.acme.VaultConfigProvider" is not a config provider known here; built in are ` + builtInNames,
				`config.providers.file.class: "com.acme.FileConfigProvider" is not a config provider known here; built in are ` + builtInNames,
			},
		},
		{
			name: "empty and repeated names, and a wrong param all the same",
			props: map[string]string{
				"config.providers":                             "env,,env",
				"config.providers.env.class":                   "EnvVarConfigProvider",
				"config.providers.env.param.allowlist.pattern": "[",
			},
			want: []string{
				`config.providers: "env,,env" holds an empty name; separate the names of providers by single commas`,
				`config.providers: "env,,env" names env more than once; list each provider once`,
				`config.providers.env.param.allowlist.pattern: "[" must be a Java regular expression for names of environment variables: unclosed character class`,
			},
		},
		{
			name: "all wrong allowed paths",
			props: map[string]string{
				"config.providers":                         "dir",
				"config.providers.dir.class":               "DirectoryConfigProvider",
				"config.providers.dir.param.allowed.paths": "/, /etc,relative,/no/such/place",
			},
			want: []string{
				`config.providers.dir.param.allowed.paths: "/, /etc,relative,/no/such/place" must be absolute paths that exist, separated by commas without blanks: ` +
					`" /etc" is not absolute, "relative" is not absolute, "/no/such/place" does not exist or cannot be reached`,
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := New(c.props)
			if p != nil {
				t.Errorf("New returns providers beside the error")
			}
			all, ok := errors.AsType[*multierror.Error](err)
			if !ok {
				t.Fatalf("New: %v (%T), want a multierror", err, err)
			}
			var got []string
			for _, e := range all.Errors {
				got = append(got, e.Error())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewTakesFullAndSimpleClassNamesAndBlanksInTheList(t *testing.T) {
	t.Setenv("TRIBUTARY_ONE", "1")
	p := mustNew(t, map[string]string{
		"config.providers":              " full , simple ",
		"config.providers.full.class":   "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
		"config.providers.simple.class": " EnvVarConfigProvider ",
		// Not listed, so never looked at.
		"config.providers.unused.class": "com.acme.None",
	})
	got, err := p.Resolve(map[string]string{"k": "${full:TRIBUTARY_ONE}${simple:TRIBUTARY_ONE}${unused:TRIBUTARY_ONE}"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "11${unused:TRIBUTARY_ONE}"; got["k"] != want {
		t.Errorf("got %q, want %q", got["k"], want)
	}
}
