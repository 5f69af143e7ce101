package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"tributary/internal/properties"
	"tributary/storage"
)

// connectorFile is what a connector's file on the command line asks for.
type connectorFile struct {
	path    string
	name    string
	config  storage.ConnectorConfig
	initial *storage.TargetState
}

// readConnectorFile reads a file of one of three forms, tried in this order as Java does:
// a flat JSON object with the configuration, the JSON body of POST /connectors, or
// properties. The errors are of one line and name the file.
func readConnectorFile(path string) (connectorFile, error) {
	f := connectorFile{path: path}
	content, err := os.ReadFile(path)
	var inFile *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, fmt.Errorf("the connector file %s does not exist", path)
	case errors.As(err, &inFile):
		return f, fmt.Errorf("the connector file %s cannot be read: %w", path, inFile.Err)
	case err != nil:
		return f, fmt.Errorf("the connector file %s cannot be read: %w", path, err)
	}
	if err := f.parse(content); err != nil {
		return f, fmt.Errorf("the connector file %s %w", path, err)
	}
	return f, nil
}

// parse fills in all but the path. The error continues "the connector file x".
func (f *connectorFile) parse(content []byte) error {
	object, jsonErr := parseObject(content)
	if jsonErr == nil {
		if config, err := flat(object); err == nil {
			return f.fromConfig(config, `has no name: add "name"`)
		}
		return f.fromRequest(object)
	}
	props, err := properties.Parse(bytes.NewReader(content))
	config := storage.ConnectorConfig{}
	for k, v := range props {
		config[k] = &v
	}
	// Almost any text is properties of some kind: what begins like JSON, or is called so,
	// and makes no connector was meant to be JSON.
	meant := bytes.HasPrefix(bytes.TrimSpace(content), []byte{'{'}) || strings.HasSuffix(f.path, ".json")
	switch {
	case meant && (err != nil || config["name"] == nil):
		return fmt.Errorf("is no JSON object: %w", jsonErr)
	case err != nil:
		return fmt.Errorf("is neither JSON nor properties: %w", err)
	}
	return f.fromConfig(config, "has no name: add name=…")
}

func (f *connectorFile) fromConfig(config storage.ConnectorConfig, noName string) error {
	if config["name"] == nil || *config["name"] == "" {
		return errors.New(noName)
	}
	f.name, f.config = *config["name"], config
	return nil
}

// initialStates are the values of initial_state, in upper case.
var initialStates = map[string]storage.TargetState{"RUNNING": storage.Started, "PAUSED": storage.Paused, "STOPPED": storage.Stopped}

// fromRequest reads the body of POST /connectors. Unknown fields are ignored, as Java
// does here but not over REST.
func (f *connectorFile) fromRequest(object map[string]json.RawMessage) error {
	var nested map[string]json.RawMessage
	if json.Unmarshal(object["config"], &nested) != nil || nested == nil {
		return errors.New(`is neither a flat object of texts nor {"name": …, "config": {…}}`)
	}
	config, err := flat(nested)
	if err != nil {
		return fmt.Errorf(`has a "config" that is not a flat object of texts: %w`, err)
	}
	name, err := scalar(object["name"])
	if err != nil || name == nil || *name == "" {
		return errors.New(`has no name: add "name" beside "config"`)
	}
	if inner := config["name"]; inner != nil && *inner != *name {
		return fmt.Errorf(`has two names: "name" is %q, "name" in "config" is %q`, *name, *inner)
	}
	config["name"] = name
	f.name, f.config = *name, config
	text, err := scalar(object["initial_state"])
	if text == nil && err == nil {
		return nil
	}
	if err == nil {
		if state, ok := initialStates[strings.ToUpper(*text)]; ok {
			f.initial = &state
			return nil
		}
	}
	return fmt.Errorf(`has the "initial_state" %s: it must be RUNNING, PAUSED or STOPPED`, object["initial_state"])
}

// parseObject reads a document that is one JSON object. The error says in which line it
// is not.
func parseObject(content []byte) (map[string]json.RawMessage, error) {
	content = bytes.TrimPrefix(content, []byte("\xEF\xBB\xBF"))
	d := json.NewDecoder(bytes.NewReader(content))
	var object map[string]json.RawMessage
	err := d.Decode(&object)
	at := d.InputOffset()
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("it ends in the middle of the object")
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("line %d: %w", 1+bytes.Count(content[:min(syntax.Offset, int64(len(content)))], []byte{'\n'}), err)
	case err != nil || object == nil:
		return nil, errors.New("it is another kind of value")
	}
	if rest := bytes.TrimSpace(content[at:]); len(rest) > 0 {
		return nil, fmt.Errorf("line %d: something follows the object", 1+bytes.Count(content[:len(content)-len(rest)], []byte{'\n'}))
	}
	return object, nil
}

// flat reads an object without lists and objects in it. Numbers and booleans become the
// text that stands there.
func flat(object map[string]json.RawMessage) (storage.ConnectorConfig, error) {
	config := storage.ConnectorConfig{}
	for key, raw := range object {
		value, err := scalar(raw)
		if err != nil {
			return nil, fmt.Errorf("%q %w", key, err)
		}
		config[key] = value
	}
	return config, nil
}

// scalar reads a text, number or boolean; nil is null or no value at all.
func scalar(raw json.RawMessage) (*string, error) {
	text := string(raw)
	switch {
	case text == "" || text == "null":
		return nil, nil
	case text[0] == '"':
		err := json.Unmarshal(raw, &text)
		return &text, err
	case text[0] == '{':
		return nil, errors.New("is an object")
	case text[0] == '[':
		return nil, errors.New("is a list")
	}
	return &text, nil
}
