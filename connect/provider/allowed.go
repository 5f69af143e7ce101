package provider

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const allowedPathsParam = "allowed.paths"

const separator = string(filepath.Separator)

// allowedPaths limits what a provider may read (KIP-993).
type allowedPaths struct {
	limited bool
	roots   []string // clean and absolute
}

// newAllowedPaths reads the param allowed.paths: absolute paths that exist, separated by commas. Blanks
// belong to a path and commas at the end are dropped, as Java does. Nothing but commas allows nothing.
func newAllowedPaths(params map[string]string) (allowedPaths, *paramError) {
	list := params[allowedPathsParam]
	if list == "" {
		return allowedPaths{}, nil
	}
	allowed := allowedPaths{limited: true}
	var wrong []string
	if list = strings.TrimRight(list, ","); list != "" {
		for path := range strings.SplitSeq(list, ",") {
			root := filepath.Clean(path)
			if !filepath.IsAbs(path) {
				wrong = append(wrong, strconv.Quote(path)+" is not absolute")
				continue
			}
			if _, err := os.Stat(root); err != nil {
				wrong = append(wrong, strconv.Quote(path)+" does not exist or cannot be reached")
				continue
			}
			allowed.roots = append(allowed.roots, root)
		}
	}
	if wrong != nil {
		return allowedPaths{}, &paramError{allowedPathsParam, params[allowedPathsParam],
			"must be absolute paths that exist, separated by commas without blanks: " + strings.Join(wrong, ", ")}
	}
	return allowed, nil
}

// clean returns the path to open for a path that a reference names, or false if it is not allowed. When
// there is a limit, the path opened is the very text that was compared: "link/.." must not mean one
// thing here and another to the operating system.
func (a allowedPaths) clean(path string) (string, bool, error) {
	if strings.ContainsRune(path, 0) {
		return "", false, errors.New("the path holds a NUL character")
	}
	if !a.limited {
		// Only separators at the end go, which Java ignores even behind a file.
		if trimmed := strings.TrimRight(path, separator); trimmed != "" {
			path = trimmed
		}
		return path, true, nil
	}
	path = filepath.Clean(path)
	for _, root := range a.roots {
		if path == root || strings.HasPrefix(path, strings.TrimSuffix(root, separator)+separator) {
			return path, true, nil
		}
	}
	return "", false, nil
}
