// Package cli is the composition root of the binaries and of custom builds: it reads
// a worker's properties, puts clients, stores, group, worker, herder and REST server
// together, runs them until a signal comes, and turns the outcome into an exit code.
//
//	func main() {
//		os.Exit(cli.Distributed(os.Args[1:], cli.WithPlugins(standard.Plugins()...), cli.WithPlugins(acme.Plugins()...)))
//	}
package cli
