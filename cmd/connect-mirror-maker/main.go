// connect-mirror-maker mirrors Kafka clusters into each other as one properties file
// says:
//
//	connect-mirror-maker mm2.properties [--clusters alias...]
package main

import (
	"os"

	"tributary/connect/cli"
	"tributary/connectors/mirror/maker"
	"tributary/connectors/standard"
)

func main() {
	os.Exit(maker.Main(os.Args[1:], cli.WithPlugins(standard.Plugins()...)))
}
