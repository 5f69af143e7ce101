// Package properties reads Java .properties files as java.util.Properties does.
//
// The bytes are Latin-1, \uXXXX stands for a UTF-16 unit, a backslash at the end of a line
// continues it, and '=', ':' or blanks end a key. The last of several equal keys wins. Values are
// never expanded: "${...}" is left to config providers.
//
// One thing Go strings cannot hold is a lone UTF-16 surrogate (an escape such as \uD83D without its
// partner): it becomes U+FFFD.
package properties
