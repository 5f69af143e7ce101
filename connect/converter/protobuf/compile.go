package protobuf

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tributary/connect/converter/registry"
)

// schemaFile is what a schema of the registry is called when it is compiled.
const schemaFile = "schema.proto"

// compile reads the text of a schema with what it refers to. Nothing is read but that,
// and files that are known.
func compile(s registry.Schema) (protoreflect.FileDescriptor, error) {
	texts := map[string]string{schemaFile: s.Text}
	for _, ref := range s.References {
		texts[ref.Name] = ref.Text
	}
	for name, text := range known {
		if _, own := texts[name]; !own {
			texts[name] = text
		}
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(texts)}),
		MaxParallelism: 1,
	}
	files, err := compiler.Compile(context.Background(), schemaFile)
	if err != nil {
		return nil, fmt.Errorf("the schema is not one of Protobuf: %w", err)
	}
	return files[0], nil
}

// messageAt finds a message by its place among the messages of the file, and so on within.
func messageAt(file protoreflect.FileDescriptor, path []int) (protoreflect.MessageDescriptor, error) {
	all := file.Messages()
	var found protoreflect.MessageDescriptor
	for _, i := range path {
		if i < 0 || i >= all.Len() {
			return nil, fmt.Errorf("the value names message %v of a schema that has no such", path)
		}
		found = all.Get(i)
		all = found.Messages()
	}
	if found == nil {
		return nil, fmt.Errorf("the value names no message of its schema")
	}
	return found, nil
}

// messageNamed finds the message that a value of a name is written as in a schema that is
// not its own: the one of that name, else the first. path is its place.
func messageNamed(file protoreflect.FileDescriptor, name string) (found protoreflect.MessageDescriptor, path []int, err error) {
	var search func(all protoreflect.MessageDescriptors, path []int) bool
	search = func(all protoreflect.MessageDescriptors, at []int) bool {
		for i := range all.Len() {
			own := append(slices.Clip(at), i)
			m := all.Get(i)
			if string(m.FullName()) == name || string(m.Name()) == name && !strings.Contains(name, ".") {
				found, path = m, own
				return true
			}
			if search(m.Messages(), own) {
				return true
			}
		}
		return false
	}
	if search(file.Messages(), nil) {
		return found, path, nil
	}
	found, err = messageAt(file, []int{0})
	return found, []int{0}, err
}

// readable reports why values of one message cannot be read as another.
func readable(from, to protoreflect.MessageDescriptor, depth int) error {
	if depth > maxDepth {
		return nil // it was seen before
	}
	for i := range from.Fields().Len() {
		f := from.Fields().Get(i)
		other := to.Fields().ByNumber(f.Number())
		switch {
		case other == nil:
			if to.Fields().ByName(f.Name()) != nil {
				return fmt.Errorf("field %s has the number %d in one schema, and another in the other", f.FullName(), f.Number())
			}
			return fmt.Errorf("there is no field %s", f.FullName())
		case other.Name() != f.Name():
			return fmt.Errorf("field %d is called %s in one schema, and %s in the other", f.Number(), f.Name(), other.Name())
		case other.Kind() != f.Kind() || other.IsList() != f.IsList():
			return fmt.Errorf("field %s is %s in one schema, and %s in the other", f.FullName(), f.Kind(), other.Kind())
		}
		if f.Message() != nil {
			if err := readable(f.Message(), other.Message(), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
