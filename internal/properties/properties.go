package properties

import (
	"errors"
	"fmt"
	"io"
	"os"

	javaprops "github.com/magiconair/properties"
)

// SyntaxError says which line of the input cannot be read. Its text never holds the line itself,
// since properties files hold passwords.
type SyntaxError struct {
	// File is the path given to Load, empty for Parse.
	File string
	// Line counts natural lines from 1. For a continued line it is the line that is wrong.
	Line int
	// Reason is what is wrong, in a few words.
	Reason string
}

func (e *SyntaxError) Error() string {
	if e.File == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// Load reads the properties file at path. A syntax error is a *SyntaxError with the path in it.
func Load(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read properties file: %w", err)
	}
	defer f.Close()
	props, err := Parse(f)
	var syntax *SyntaxError
	if errors.As(err, &syntax) {
		syntax.File = path
		return nil, syntax
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read properties file %s: %w", path, err)
	}
	return props, nil
}

// Parse reads properties to the end of r. A syntax error is a *SyntaxError; nothing is returned with
// it, as Java's load throws.
func Parse(r io.Reader) (map[string]string, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	lines, err := logicalLines(raw)
	if err != nil {
		return nil, err
	}
	loader := javaprops.Loader{Encoding: javaprops.UTF8, DisableExpansion: true}
	loaded, err := loader.LoadBytes(lines)
	if err != nil {
		return nil, err
	}
	props := make(map[string]string, loaded.Len())
	for key, value := range loaded.Map() {
		props[key[len(keyPrefix):]] = value
	}
	return props, nil
}
