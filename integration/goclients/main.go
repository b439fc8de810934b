// Command goclients drives the Go clients that barnabas itself does not use: goclients sarama|kafka-go HOST:PORT. It exits 0 when
// producing with each codec, consuming in a group through a rebalance, and administration all worked.
package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

var codecNames = []string{"none", "gzip", "snappy", "lz4", "zstd"}

const perCodec = 20

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: goclients sarama|kafka-go HOST:PORT")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	clients := map[string]func(context.Context, string) error{"sarama": useSarama, "kafka-go": useKafkaGo}
	use, ok := clients[os.Args[1]]
	if !ok {
		fmt.Fprintln(os.Stderr, "no such client:", os.Args[1])
		os.Exit(2)
	}
	if err := use(ctx, os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	fmt.Println(os.Args[1] + ": passed")
}

func name(what string) string { return fmt.Sprintf("go-%s-%x", what, time.Now().UnixNano()) }

func step(title string) { fmt.Println("..", title) }
