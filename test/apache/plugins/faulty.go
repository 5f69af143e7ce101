package plugins

import (
	"errors"

	"tributary/connect"
)

// faultyPassthrough is FaultyPassthrough: it fails for one value once, and for another always.
type faultyPassthrough struct{ failedOnce bool }

func (t *faultyPassthrough) Version() string                   { return "1.0" }
func (t *faultyPassthrough) ConfigDef() *connect.ConfigDef     { return connect.NewConfigDef() }
func (t *faultyPassthrough) Configure(map[string]string) error { return nil }
func (t *faultyPassthrough) Close() error                      { return nil }

func (t *faultyPassthrough) Apply(r *connect.Record) (*connect.Record, error) {
	switch {
	case r.Value == "value-4" && !t.failedOnce:
		t.failedOnce = true
		return nil, connect.Retriable(errors.New("Error when value='value-4'. A reattempt with this record will succeed."))
	case r.Value == "value-7":
		return nil, connect.Retriable(errors.New("Error when value='value-7'"))
	}
	return r, nil
}
