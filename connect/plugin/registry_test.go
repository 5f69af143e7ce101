package plugin

import (
	"errors"
	"testing"

	"tributary/connect"
)

func registry(t *testing.T, plugins ...Plugin) *Registry {
	t.Helper()
	r, err := NewRegistry(plugins...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPluginsAreFoundByClassSimpleNameAndPrunedName(t *testing.T) {
	r := registry(t,
		Plugin{Class: "org.acme.FileSourceConnector", Kind: Source},
		Plugin{Class: "org.acme.JsonConverter", Kind: Converter},
		Plugin{Class: "org.acme.SimpleHeaderConverter", Kind: HeaderConverter},
		Plugin{Class: "org.acme.Cast$Key", Kind: Transformation},
		Plugin{Class: "org.acme.Connector", Kind: Sink},
		Plugin{Class: "NoPackageConnector", Kind: Sink},
	)
	for name, want := range map[string]string{
		"org.acme.FileSourceConnector": "org.acme.FileSourceConnector",
		"FileSourceConnector":          "org.acme.FileSourceConnector",
		"FileSource":                   "org.acme.FileSourceConnector",
		"Json":                         "org.acme.JsonConverter",
		"Simple":                       "org.acme.SimpleHeaderConverter",
		"Cast$Key":                     "org.acme.Cast$Key",
		"Connector":                    "org.acme.Connector",
		"NoPackage":                    "NoPackageConnector",
	} {
		got, err := r.Find(name, Source, Sink, Converter, HeaderConverter, Transformation)
		if err != nil || got.Class != want {
			t.Errorf("%s: got %s, %v; want %s", name, got.Class, err, want)
		}
	}
}

func TestAnAliasOfSeveralPluginsIsRefusedAndTheClassIsNot(t *testing.T) {
	r := registry(t, Plugin{Class: "a.XConnector", Kind: Source}, Plugin{Class: "b.XConnector", Kind: Sink})
	for _, alias := range []string{"X", "XConnector"} {
		_, err := r.Connector(alias)
		if want := alias + " is the short name of 2 plugins; use the full class name"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if p, err := r.Connector("b.XConnector"); err != nil || p.Kind != Sink {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestAPluginThatIsNotThereIsNamedWithThoseThatAre(t *testing.T) {
	r := registry(t, Plugin{Class: "b.B", Kind: Sink}, Plugin{Class: "a.A", Kind: Source}, Plugin{Class: "c.C", Kind: Converter})
	_, _, err := r.NewConnector("C")
	want := "Failed to find any connector class which name matches C, available are: a.A, b.B"
	if _, ok := errors.AsType[*NotFoundError](err); !ok || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = r.Find("X", HeaderConverter)
	if want := "Failed to find any header converter class which name matches X, available are: "; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestOneClassMayBeOfSeveralKindsButNotTwiceOfOne(t *testing.T) {
	r := registry(t, Plugin{Class: "a.StringConverter", Kind: Converter, Version: "1"}, Plugin{Class: "a.StringConverter", Kind: HeaderConverter, Version: "2"})
	if p, err := r.Find("StringConverter", HeaderConverter); err != nil || p.Version != "2" {
		t.Errorf("got %+v, %v", p, err)
	}
	_, err := NewRegistry(Plugin{Class: "a.A", Kind: Sink}, Plugin{Class: "a.A", Kind: Sink})
	if err == nil || err.Error() != "two sink plugins are both named a.A" {
		t.Errorf("got %v", err)
	}
}

type instance struct{ connect.Connector }

func TestEachConnectorIsAFreshInstance(t *testing.T) {
	r := registry(t, Plugin{Class: "a.A", Kind: Source, TaskClass: "a.Task", New: func() any { return &instance{} }})
	first, p, err := r.NewConnector("A")
	if err != nil || p.TaskClass != "a.Task" {
		t.Fatalf("got %+v, %v", p, err)
	}
	if second, _, _ := r.NewConnector("a.A"); first == second {
		t.Error("the same instance was returned twice")
	}
	all := r.All()
	all[0].Class = "changed"
	if r.All()[0].Class != "a.A" {
		t.Error("the list of plugins can be changed from outside")
	}
}
