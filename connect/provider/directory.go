package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"
)

// directory is DirectoryConfigProvider: the path is a directory, the key the name of a file in it.
type directory struct{ allowed allowedPaths }

func newDirectory(params map[string]string) (source, *paramError) {
	allowed, wrong := newAllowedPaths(params)
	return directory{allowed}, wrong
}

// lookup takes names from the listing of the directory and never joins a key to the path, so that no
// key can lead out of it.
func (d directory) lookup(path string, keys []string) (map[string]string, Reason, error) {
	if path == "" {
		return nil, NoPath, nil
	}
	path, ok, err := d.allowed.clean(path)
	if err != nil || !ok {
		return nil, NotAllowed, err
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return nil, NotADirectory, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, MissingKey, withoutPath(err)
	}
	values := make(map[string]string, len(keys))
	for _, entry := range entries {
		name := entry.Name()
		if _, wanted := slices.BinarySearch(keys, name); !wanted {
			continue
		}
		member := filepath.Join(path, name)
		// Stat follows links, which is how Kubernetes lays out a mounted secret.
		if info, err := os.Stat(member); err != nil || !info.Mode().IsRegular() {
			continue
		}
		text, err := readFile(member)
		if err != nil {
			return nil, MissingKey, fmt.Errorf("file %q: %w", name, withoutPath(err))
		}
		if !utf8.Valid(text) {
			return nil, MissingKey, fmt.Errorf("file %q: %w", name, errNotUTF8)
		}
		values[name] = string(text)
	}
	return values, MissingKey, nil
}
