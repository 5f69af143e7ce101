package avro

import "fmt"

// readable reports why values of writer cannot be read as reader, nil if they can.
func readable(writer, reader *node) error { return readableIn(writer, reader, map[[2]*node]bool{}) }

func readableIn(w, r *node, seen map[[2]*node]bool) error {
	if seen[[2]*node{w, r}] {
		return nil
	}
	seen[[2]*node{w, r}] = true
	switch {
	case w.kind == union:
		for _, b := range w.branches {
			if err := readableIn(b, r, seen); err != nil {
				return err
			}
		}
		return nil
	case r.kind == union:
		for _, b := range r.branches {
			if readableIn(w, b, seen) == nil {
				return nil
			}
		}
		return fmt.Errorf("a value of type %s is in no branch of %s", w.kind, r)
	case w.kind != r.kind:
		if widens(w.kind, r.kind) {
			return nil
		}
		return fmt.Errorf("a value of type %s cannot be read as %s", w.kind, r.kind)
	}
	switch w.kind {
	case array, mapping:
		return readableIn(w.elements, r.elements, seen)
	case fixed:
		if w.size != r.size || w.name != r.name {
			return fmt.Errorf("fixed %s of %d bytes cannot be read as %s of %d", w.fullName(), w.size, r.fullName(), r.size)
		}
	case enum:
		for _, s := range w.symbols {
			if !contains(r.symbols, s) && r.fallback == nil {
				return fmt.Errorf("enum %s has no symbol %s", r.fullName(), s)
			}
		}
	case record:
		return recordReadable(w, r, seen)
	}
	return nil
}

func recordReadable(w, r *node, seen map[[2]*node]bool) error {
	if w.name != r.name {
		return fmt.Errorf("record %s cannot be read as %s", w.fullName(), r.fullName())
	}
	for i := range r.fields {
		f := &r.fields[i]
		own := w.field(f.name)
		switch {
		case own == nil && !f.hasAny:
			return fmt.Errorf("record %s needs field %s, which has no default", r.fullName(), f.name)
		case own == nil:
			continue
		}
		if err := readableIn(own.node, f.node, seen); err != nil {
			return fmt.Errorf("field %s: %w", f.name, err)
		}
	}
	return nil
}

// widens holds Avro's promotions.
func widens(from, to kind) bool {
	switch from {
	case integer:
		return to == long || to == float || to == double
	case long:
		return to == float || to == double
	case float:
		return to == double
	case text:
		return to == bytes
	case bytes:
		return to == text
	}
	return false
}
