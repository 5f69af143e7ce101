// connect-distributed runs a worker of a Connect group:
//
//	connect-distributed worker.properties
package main

import (
	"os"

	"tributary/connect/cli"
	"tributary/connectors/standard"
)

func main() {
	os.Exit(cli.Distributed(os.Args[1:], cli.WithPlugins(standard.Plugins()...)))
}
