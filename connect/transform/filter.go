package transform

import "tributary/connect"

// Filter drops every record that it is applied to; its predicate says which.
type Filter struct {
	stateless
	copying
}

// ConfigDef implements connect.Transformation.
func (*Filter) ConfigDef() *connect.ConfigDef { return noSettings }

// Configure implements connect.Transformation; there is nothing to configure.
func (*Filter) Configure(map[string]string) error { return nil }

// Apply implements connect.Transformation.
func (*Filter) Apply(*connect.Record) (*connect.Record, error) { return nil, nil }
