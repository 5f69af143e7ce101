// Package buildinfo holds what the build stamped into the binary.
package buildinfo

import "runtime/debug"

// Version and Commit are set by the linker (see the Makefile). A build without it
// says "dev", and takes the commit from the module's build information if there is
// one.
var (
	Version = "dev"
	Commit  = ""
)

// KafkaVersion is the version of Apache Kafka whose tools the binary stands in for.
const KafkaVersion = "4.3.1"

func init() {
	if Commit != "" {
		return
	}
	Commit = "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			Commit = s.Value
		}
	}
}
