// connect-demo shows a mirror at work with no Kafka and no Java: two embedded clusters,
// a generator of orders, two workers of one group, and a mirror posted over REST.
//
// DEMO_SECONDS=20 ends it by itself: the target is compared with the source record by
// record, and the exit code is 0 only if they are equal.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Getenv("DEMO_SECONDS"))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "connect-demo:", err)
		os.Exit(1)
	}
}
