// Package standard lists every plugin that is built in. A build of one's own passes
// further plugins beside them.
package standard

import (
	"slices"

	"tributary/connect/converter"
	"tributary/connect/converter/avro"
	"tributary/connect/converter/jsonschema"
	"tributary/connect/converter/protobuf"
	"tributary/connect/plugin"
	"tributary/connect/predicate"
	"tributary/connect/transform"
	"tributary/connectors/file"
	"tributary/connectors/mirror"
	"tributary/connectors/verifiable"
	"tributary/internal/buildinfo"
)

// Plugins returns the built-in plugins, with the version of the build.
func Plugins() []plugin.Plugin {
	return slices.Concat(
		mirror.Plugins(buildinfo.Version), file.Plugins(buildinfo.Version), verifiable.Plugins(buildinfo.Version),
		converter.Plugins(buildinfo.Version), avro.Plugins(buildinfo.Version), jsonschema.Plugins(buildinfo.Version), protobuf.Plugins(buildinfo.Version),
		transform.Plugins(buildinfo.Version), predicate.Plugins(buildinfo.Version),
	)
}
