// Package standard lists every plugin that is built in. A build of one's own passes
// further plugins beside them.
package standard

import (
	"tributary/connect/converter"
	"tributary/connect/plugin"
	"tributary/connectors/mirror"
	"tributary/internal/buildinfo"
)

// Plugins returns the built-in plugins, with the version of the build.
func Plugins() []plugin.Plugin {
	return append(mirror.Plugins(buildinfo.Version), converter.Plugins(buildinfo.Version)...)
}
