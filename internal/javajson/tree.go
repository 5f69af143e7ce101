package javajson

// Members are the fields of an object, in the order in which they stand; of repeated
// ones the last value counts.
type Members []Member

// Member is one field of an object.
type Member struct {
	Name  string
	Value any
}

// Find returns a field's value, and whether there is such a field.
func (m Members) Find(name string) (value any, ok bool) {
	for i := range m {
		if m[i].Name == name {
			return m[i].Value, true
		}
	}
	return nil, false
}

// Get returns a field's value, nil where it is missing or null.
func (m Members) Get(name string) any {
	v, _ := m.Find(name)
	return v
}

// ParseTree reads a whole value as a tree.
func ParseTree(data []byte) (any, error) {
	p, err := NewParser(data)
	if err != nil {
		return nil, err
	}
	v, err := p.Tree()
	if err != nil {
		return nil, p.Explain(err)
	}
	return v, nil
}

// Tree reads a value and keeps what Value loses: the order of fields and the text of
// numbers. It returns nil, bool, string, Number, []any or Members.
func (p *Parser) Tree() (any, error) {
	switch c := p.Peek(); {
	case p.at == len(p.data):
		return nil, errEnd
	case c == '{':
		members := Members{}
		index := map[string]int{}
		err := p.Object(func(name []byte) error {
			key := string(name)
			v, err := p.Tree()
			if at, repeated := index[key]; repeated {
				members[at].Value = v
				return err
			}
			index[key] = len(members)
			members = append(members, Member{key, v})
			return err
		})
		return members, err
	case c == '[':
		list := []any{}
		err := p.Array(func() error {
			v, err := p.Tree()
			list = append(list, v)
			return err
		})
		return list, err
	case c == '"':
		return p.String()
	case isNumber(c):
		return p.Number()
	default:
		return p.Literal()
	}
}
