package transform

import (
	"fmt"
	"strings"

	"tributary/connect"
	"tributary/internal/javatext"
)

var fieldSyntaxKey = connect.ConfigKey{Name: "field.syntax.version", Type: connect.TypeString, Default: "V1", Importance: connect.High,
	Validate: connect.OneOfFold("V1", "V2"),
	Doc:      "V1 takes the name of a field as it is. V2 takes a path: dots separate the names of nested fields, and a name with dots stands between backticks."}

// fieldPath leads to a field, through nested ones.
type fieldPath []string

// parseFieldPath reads a path of syntax version V1 or V2 (KIP-821).
func parseFieldPath(text, version string) (fieldPath, error) {
	if strings.EqualFold(version, "V1") {
		return fieldPath{text}, nil
	}
	var path fieldPath
	rest := text
	for rest != "" {
		if rest[0] != '`' {
			step, after, more := strings.Cut(rest, ".")
			path = append(path, step)
			if rest = after; !more {
				break
			}
			continue
		}
		step, length, err := quotedStep(rest)
		if err != nil {
			return nil, fmt.Errorf("Incomplete backtick pair in path: [%s], consider adding a backslash before backtick at position %d to escape it", text, len(text)-len(rest))
		}
		path = append(path, step)
		rest = rest[min(length+1, len(rest)):] // the dot too
	}
	if strings.HasSuffix(text, ".") {
		path = append(path, "")
	}
	if len(path) == 0 {
		return nil, fmt.Errorf("the path of a field must not be empty")
	}
	return path, nil
}

// quotedStep reads a step between backticks. A backtick that neither a dot nor the end
// follows belongs to the name, and so does one behind a backslash.
func quotedStep(text string) (step string, length int, err error) {
	var name strings.Builder
	start := 1
	for i := 1; ; i++ {
		n := strings.IndexByte(text[min(i, len(text)):], '`')
		if n < 0 {
			return "", 0, fmt.Errorf("no closing backtick")
		}
		i += n
		escaped := text[i-1] == '\\'
		switch {
		case i == len(text)-1 && escaped:
			return "", 0, fmt.Errorf("no closing backtick")
		case i == len(text)-1 || text[i+1] == '.' && !escaped:
			name.WriteString(text[start:i])
			return name.String(), i + 1, nil
		case text[i+1] == '.':
			name.WriteString(text[start : i-1])
			name.WriteByte('`')
			start = i + 1
		}
	}
}

// schema returns the schema of the field, nil when there is none.
func (p fieldPath) schema(s *connect.Schema) *connect.Schema {
	for _, step := range p {
		if s == nil {
			return nil
		}
		s = s.Field(step)
	}
	return s
}

const nestedAccess = "nested field access"

// inStruct returns the field's value; null on the way is null.
func (p fieldPath) inStruct(s *connect.StructValue, withDefault bool) (any, error) {
	for n, step := range p {
		i := s.Schema().FieldIndex(step)
		if i < 0 {
			return nil, nil
		}
		if n == len(p)-1 {
			return field(s, i, withDefault), nil
		}
		next := s.At(i)
		if next == nil {
			return nil, nil
		}
		var err error
		if s, err = requireStruct(next, nestedAccess); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// inMap is inStruct for schemaless values.
func (p fieldPath) inMap(entries connect.MapEntries) (any, error) {
	for n, step := range p {
		v, _ := entries.Get(step)
		if n == len(p)-1 || v == nil {
			return v, nil
		}
		if entries = javatext.Entries(v); entries == nil {
			return requireMap(v, nestedAccess)
		}
	}
	return nil, nil
}
