// connect-standalone runs a worker of its own, without a group:
//
//	connect-standalone worker.properties [connector.properties|connector.json ...]
package main

import (
	"os"

	"tributary/connect/cli"
	"tributary/connectors/standard"
)

func main() {
	os.Exit(cli.Standalone(os.Args[1:], cli.WithPlugins(standard.Plugins()...)))
}
