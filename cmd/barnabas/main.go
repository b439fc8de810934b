// Command barnabas is a Kafka broker in one binary, and the tools to work with any Kafka without a JVM.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals // ask for a clean stop
		cancel()
		<-signals // do not wait for it
		os.Exit(130)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program without its process: it gives the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(spelled(args))
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	root.InitDefaultCompletionCmd()                                          // it prints to what out is now
	if completion, _, err := root.Find([]string{"completion"}); err == nil { // cobra's prints its help for a shell that it does not know
		chooses(completion)
	}
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(errOut, "barnabas: interrupted")
		return 130
	}
	fmt.Fprintln(errOut, "barnabas: "+oneLine(err.Error()))
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "barnabas",
		Short: "A Kafka broker in one binary, and tools for any Kafka",
		Long: `barnabas is a Kafka broker in one binary: alone, or as a member of a ZooKeeper cluster.
It is also a set of tools that work with any Kafka, and need no JVM.`,
		Example: `  barnabas serve                                    # a broker on port 9092 with its data in ./data
  barnabas serve --config server.properties         # the broker that a Kafka configuration describes
  barnabas topic create orders --partitions 6
  echo hello | barnabas produce orders
  barnabas consume orders`,
		Version:       versionText(),
		SilenceErrors: true, // run prints them, in one line
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagMistake)
	for _, c := range commands {
		root.AddCommand(c())
	}
	return root
}

// commands makes the subcommands, in the order in which a newcomer meets them.
var commands = []func() *cobra.Command{
	newServe, newTopic, newProduce, newConsume, newGroup, newConfig, newOffsets, newDumpLog, newVersion,
}
