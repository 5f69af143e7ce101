package jsonschema

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/dlclark/regexp2/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"tributary/connect/converter/registry"
)

// noLoader refuses what a schema refers to beyond its references in the registry: it
// could name files of this machine.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("the schema refers to %s, which is not among its references in the registry", url)
}

// base is where schemas are taken to stand, so that references by bare names find others.
const base = "registry:///"

// validator makes what checks values, with json.fail.invalid.schema.
func validator(s registry.Schema) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.DefaultDraft(jsonschema.Draft7)
	c.UseRegexpEngine(func(expr string) (jsonschema.Regexp, error) {
		re, err := regexp2.Compile(expr, regexp2.ECMAScript)
		if err != nil {
			return nil, err
		}
		return pattern{re}, nil
	})
	for _, ref := range append([]registry.Reference{{Name: "schema", Text: s.Text}}, s.References...) {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(ref.Text))
		if err != nil {
			return nil, err
		}
		at := ref.Name
		if !strings.Contains(at, ":") {
			at = base + at
		}
		if err := c.AddResource(at, doc); err != nil {
			return nil, err
		}
	}
	return c.Compile(base + "schema")
}

type pattern struct{ *regexp2.Regexp }

func (p pattern) MatchString(s string) bool {
	ok, err := p.Regexp.MatchString(s)
	return ok && err == nil
}

func validate(v *jsonschema.Schema, data []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return v.Validate(doc)
}
