// Command oracle starts Apache Kafka 3.9.2 in ZooKeeper mode on free loopback ports, prints where it is, and ends it on a signal.
// It is for a developer who wants to ask Kafka itself; the tests start their own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"barnabas/integration/peers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "oracle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	soon, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	z, err := peers.StartZooKeeper(soon, filepath.Join(dir, "zookeeper"))
	if err != nil {
		return err
	}
	defer z.Kill()
	b, err := peers.StartBroker(soon, filepath.Join(dir, "kafka"), peers.Options{Kind: peers.Kafka, ZooKeeper: z.Addr})
	if err != nil {
		return err
	}
	fmt.Printf("kafka %s zookeeper %s logs %s\n", b.Addr, z.Addr, dir)
	<-ctx.Done()
	return b.Stop(30 * time.Second)
}
