// Package fieldpath finds fields by name or, in nested values, by path (KIP-821).
package fieldpath

import (
	"fmt"
	"strings"

	"tributary/connect"
)

// SyntaxKey is the setting that chooses the syntax of paths.
var SyntaxKey = connect.ConfigKey{Name: "field.syntax.version", Type: connect.TypeString, Default: "V1", Importance: connect.High,
	Validate: connect.OneOfFold("V1", "V2"),
	Doc:      "V1 takes the name of a field as it is. V2 takes a path: dots separate the names of nested fields, and a name with dots stands between backticks."}

// Path leads to a field, through nested ones.
type Path []string

// Parse reads a path of syntax version V1 or V2.
func Parse(text, version string) (Path, error) {
	if strings.EqualFold(version, "V1") {
		return Path{text}, nil
	}
	var path Path
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

// Schema returns the schema of the field, nil when there is none. It must be asked of the
// schema of a struct.
func (p Path) Schema(s *connect.Schema) *connect.Schema {
	for _, step := range p {
		if s == nil {
			return nil
		}
		s = s.Field(step)
	}
	return s
}

// In returns the field's value in a struct or map; what is missing on the way, or null, is
// null. The default of the field stands for null if withDefault says so, that of those on
// the way always does. A *connect.DataError says that something on the way has no fields.
func (p Path) In(value any, withDefault bool) (any, error) {
	for n, step := range p {
		last := n == len(p)-1
		switch v := value.(type) {
		case nil:
			return nil, nil
		case *connect.StructValue:
			i := v.Schema().FieldIndex(step)
			switch {
			case i < 0:
				return nil, nil
			case last && !withDefault:
				value = v.RawAt(i)
			default:
				value = v.At(i)
			}
			if _, nested := value.(*connect.StructValue); value != nil && !nested && !last {
				return nil, notA("Only Struct objects supported for", value)
			}
		case map[string]any:
			value = v[step]
		case connect.MapEntries:
			value, _ = v.Get(step)
		default:
			return nil, notA("Only Map objects supported in absence of schema for", value)
		}
	}
	return value, nil
}

func notA(wanted string, value any) error {
	return &connect.DataError{Message: fmt.Sprintf("%s [nested field access], found: %s", wanted, connect.ClassName(value))}
}
