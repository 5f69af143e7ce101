package realkafka

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf16"
)

// writeProperties writes a file that java.util.Properties reads as the same keys and values.
func writeProperties(path string, properties map[string]string) error {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&b, "%s=%s\n", escape(key, " =:#!"), escape(properties[key], ""))
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// escape puts a backslash before special characters, a leading blank and line ends, and writes what is not ASCII as
// \uXXXX, two of them for a character beyond 16 bits.
func escape(text, special string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == '\\' || strings.ContainsRune(special, r) || i == 0 && r == ' ':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r > '~':
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
