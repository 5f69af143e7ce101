package connect

// Project fits a value of one schema to another, as a reader does who knows a later or
// earlier version of the writer's schema: numbers are widened, fields that the target
// does not know are left out, missing ones take their default. A *DataError says why the
// schemas do not fit.
func Project(source *Schema, value any, target *Schema) (any, error) {
	if err := checkProjection(source, target); err != nil {
		return nil, err
	}
	if value != nil {
		return projectValue(source, value, target)
	}
	if source.Optional && !target.Optional {
		return target.Default, nil
	}
	return nil, nil
}

func checkProjection(source, target *Schema) error {
	switch {
	case source.Type != target.Type && !promotable(source.Type, target.Type):
		return dataErrorf("Schema type mismatch. source type: %s and target type: %s", source.Type, target.Type)
	case source.Name != target.Name:
		return dataErrorf("Schema name mismatch. source name: %s and target name: %s", source.Name, target.Name)
	case !source.Parameters.equal(target.Parameters):
		return dataErrorf("Schema parameters not equal. source parameters: %v and target parameters: %v", source.Parameters, target.Parameters)
	case source.Optional && !target.Optional && target.Default == nil:
		return dataErrorf("Writer schema is optional, however, target schema does not provide a default value.")
	}
	return nil
}

// promotable reports whether numbers of one type fit the other, which is the order of
// the constants.
func promotable(source, target Type) bool { return source <= target && target <= Float64 }

func projectValue(source *Schema, value any, target *Schema) (any, error) {
	switch target.Type {
	case Struct:
		return projectStruct(source, value, target)
	case Array:
		list, ok := value.([]any)
		if !ok {
			return nil, notA(source, value)
		}
		out := make([]any, len(list))
		for i, v := range list {
			var err error
			if out[i], err = Project(source.Elements, v, target.Elements); err != nil {
				return nil, err
			}
		}
		return out, nil
	case Map:
		return projectMap(source, value, target)
	}
	if source.Type != target.Type {
		return widen(value, target.Type), nil
	}
	return value, nil
}

func projectMap(source *Schema, value any, target *Schema) (any, error) {
	entries := EntriesOf(value)
	if entries == nil {
		return nil, notA(source, value)
	}
	out := make(MapEntries, 0, len(entries))
	for _, e := range entries {
		key, err := Project(source.Keys, e.Key, target.Keys)
		if err != nil {
			return nil, err
		}
		v, err := Project(source.Elements, e.Value, target.Elements)
		if err != nil {
			return nil, err
		}
		out = append(out, MapEntry{key, v})
	}
	return out, nil
}

func projectStruct(source *Schema, value any, target *Schema) (any, error) {
	from, ok := value.(*StructValue)
	if !ok {
		return nil, notA(source, value)
	}
	out := NewStruct(target)
	for i, f := range target.Fields {
		at := source.FieldIndex(f.Name)
		if at < 0 {
			switch {
			case f.Schema.Optional:
			case f.Schema.Default != nil:
				out.values[i] = f.Schema.Default
			default:
				return nil, dataErrorf("Required field `%s` is missing from source schema: %s", f.Name, source)
			}
			continue
		}
		v, err := from.Get(f.Name)
		if err != nil {
			return nil, err
		}
		if v, err = Project(source.Fields[at].Schema, v, f.Schema); err != nil {
			return nil, &DataError{Message: "Error projecting " + f.Name, Err: err}
		}
		if err := out.PutAt(i, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func notA(schema *Schema, value any) error {
	return dataErrorf("Invalid Java object for schema with type %s: class %s", schema.Type, ClassName(value))
}

// widen converts a number to a wider type; anything else stays as it is.
func widen(value any, target Type) any {
	var whole int64
	switch v := value.(type) {
	case int8:
		whole = int64(v)
	case int16:
		whole = int64(v)
	case int32:
		whole = int64(v)
	case int64:
		whole = v
	case float32:
		if target == Float64 {
			return float64(v)
		}
		return v
	default:
		return value
	}
	switch target {
	case Int16:
		return int16(whole)
	case Int32:
		return int32(whole)
	case Int64:
		return whole
	case Float32:
		return float32(whole)
	case Float64:
		return float64(whole)
	}
	return value
}
