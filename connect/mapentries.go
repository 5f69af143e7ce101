package connect

// MapEntry is one entry of MapEntries.
type MapEntry struct{ Key, Value any }

// MapEntries is the value of a Map: keys of any type, each once, in an order that is kept.
// It is what converters read and transformations return. Source connectors may as well
// write map[string]any; StringMap makes one of what was read.
type MapEntries []MapEntry

// Get returns the value of a key.
func (m MapEntries) Get(key any) (value any, ok bool) {
	if text, is := key.(string); is {
		for i := range m {
			if own, is := m[i].Key.(string); is && own == text {
				return m[i].Value, true
			}
		}
		return nil, false
	}
	for i := range m {
		if EqualValues(m[i].Key, key) {
			return m[i].Value, true
		}
	}
	return nil, false
}

// Put sets the value of a key: in its place, or at the end. It looks at all entries; a
// MapBuilder puts many.
func (m *MapEntries) Put(key, value any) {
	for i := range *m {
		if EqualValues((*m)[i].Key, key) {
			(*m)[i].Value = value
			return
		}
	}
	*m = append(*m, MapEntry{key, value})
}

// EntriesOf returns the entries of either form of a map, those of a map[string]any in no
// particular order; nil, and not just empty, when value is no map.
func EntriesOf(value any) MapEntries {
	switch m := value.(type) {
	case MapEntries:
		if m == nil {
			return MapEntries{}
		}
		return m
	case map[string]any:
		out := make(MapEntries, 0, len(m))
		for k, v := range m {
			out = append(out, MapEntry{k, v})
		}
		return out
	}
	return nil
}

// StringMap returns either form of a map as map[string]any; false when value is no map
// or has keys that are not strings. A map[string]any is returned as it is, and so shared.
func StringMap(value any) (map[string]any, bool) {
	switch m := value.(type) {
	case map[string]any:
		return m, true
	case MapEntries:
		out := make(map[string]any, len(m))
		for _, e := range m {
			key, ok := e.Key.(string)
			if !ok {
				return nil, false
			}
			out[key] = e.Value
		}
		return out, true
	}
	return nil, false
}
