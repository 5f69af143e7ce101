// Worker is connect-distributed or connect-standalone, by the name it is called by, with the connectors of Apache's
// integration tests. It takes orders on its standard input, one a line.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"tributary/connect/cli"
	"tributary/connectors/standard"
	"tributary/test/apache/plugins"
)

func main() {
	os.Exit(run())
}

func run() int {
	programs := map[string]func(args []string, options ...cli.Option) int{"connect-distributed": cli.Distributed, "connect-standalone": cli.Standalone}
	program, ok := programs[filepath.Base(os.Args[0])]
	if !ok {
		fmt.Fprintln(os.Stderr, "Call this program connect-distributed or connect-standalone.")
		return cli.ExitUsage
	}
	channel := plugins.NewChannel(os.Getenv(plugins.ChannelVariable))
	ctx, cancel := context.WithCancel(context.Background())
	told := make(chan error, 1)
	go func() { told <- channel.Run(ctx) }()
	o := &orders{in: os.Stdin, obeyed: func(id string) error { return channel.Obeyed(ctx, id) }}
	go o.follow()
	code := program(os.Args[1:], cli.WithRESTLimit(o.restLimit), cli.WithPlugins(standard.Plugins()...), cli.WithPlugins(plugins.Plugins(channel)...))
	cancel()
	if err := <-told; err != nil {
		fmt.Fprintln(os.Stderr, "The tests were not told of all acknowledged records:", err)
		return cli.ExitFailed
	}
	return code
}
