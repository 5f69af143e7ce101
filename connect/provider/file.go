package provider

import (
	"bytes"
	"errors"
	"unicode/utf16"
	"unicode/utf8"

	"tributary/internal/properties"
)

// file is FileConfigProvider: the path is a properties file.
type file struct{ allowed allowedPaths }

func newFile(params map[string]string) (source, *paramError) {
	allowed, wrong := newAllowedPaths(params)
	return file{allowed}, wrong
}

func (f file) lookup(path string, keys []string) (map[string]string, Reason, error) {
	if path == "" {
		return nil, NoPath, nil
	}
	path, ok, err := f.allowed.clean(path)
	if err != nil || !ok {
		return nil, NotAllowed, err
	}
	text, err := readFile(path)
	if err != nil {
		return nil, MissingKey, withoutPath(err)
	}
	props, err := parseUTF8Properties(text)
	if err != nil {
		return nil, MissingKey, err
	}
	values := make(map[string]string, len(keys))
	for _, key := range keys {
		if value, has := props[key]; has {
			values[key] = value
		}
	}
	return values, MissingKey, nil
}

// parseUTF8Properties reads properties text in UTF-8. All other properties files of Java are Latin-1;
// FileConfigProvider alone reads UTF-8 and refuses everything else.
func parseUTF8Properties(text []byte) (map[string]string, error) {
	if !utf8.Valid(text) {
		return nil, errNotUTF8
	}
	props, err := properties.Parse(bytes.NewReader(latin1(text)))
	if syntax, ok := errors.AsType[*properties.SyntaxError](err); ok {
		return nil, syntax
	}
	if err != nil {
		// Only a SyntaxError promises not to quote the file.
		return nil, errors.New("the file is not a properties file")
	}
	return props, nil
}

// latin1 writes valid UTF-8 properties text as Latin-1 properties text of the same meaning: what Latin-1
// lacks becomes \uXXXX.
func latin1(text []byte) []byte {
	out := make([]byte, 0, len(text))
	escaped := false // an odd number of backslashes stands before r
	for _, r := range string(text) {
		if r <= 0xFF {
			out = append(out, byte(r))
			escaped = r == '\\' && !escaped
			continue
		}
		// A backslash before any such character means nothing. One that is there already must serve
		// for the first escape, since two of them would stand for a backslash.
		for _, unit := range utf16.AppendRune(nil, r) {
			if !escaped {
				out = append(out, '\\')
			}
			escaped = false
			out = append(out, 'u', hexDigit(unit>>12), hexDigit(unit>>8), hexDigit(unit>>4), hexDigit(unit))
		}
	}
	return out
}

// hexDigit is the lowest four bits of unit as a digit.
func hexDigit(unit uint16) byte { return "0123456789abcdef"[unit&0xF] }
