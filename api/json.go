package api

import (
	"bytes"
	"encoding/json"
)

// UndefinedVersion is the version of a plugin that has none.
const UndefinedVersion = "undefined"

// Marshal encodes v as the Java worker does: compact, and without escaping the
// characters that matter to HTML alone.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// MarshalJSON leaves out an undefined version.
func (s InstanceStatus) MarshalJSON() ([]byte, error) {
	type shown InstanceStatus
	if s.Version == nil || *s.Version != UndefinedVersion {
		return Marshal(shown(s))
	}
	return Marshal(struct {
		State    string `json:"state"`
		WorkerID string `json:"worker_id"`
		Trace    string `json:"trace,omitempty"`
	}{s.State, s.WorkerID, s.Trace})
}

// MarshalJSON leaves out an undefined version.
func (s TaskStatus) MarshalJSON() ([]byte, error) {
	type shown TaskStatus
	if s.Version == nil || *s.Version != UndefinedVersion {
		return Marshal(shown(s))
	}
	return Marshal(struct {
		ID       int    `json:"id"`
		State    string `json:"state"`
		WorkerID string `json:"worker_id"`
		Trace    string `json:"trace,omitempty"`
	}{s.ID, s.State, s.WorkerID, s.Trace})
}
