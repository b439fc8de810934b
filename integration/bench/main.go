package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"barnabas/integration/peers"
)

type options struct {
	rounds  int           // counted ones
	records map[int]int   // size of a record -> number in a round
	pace    time.Duration // of a round at 1,000 records/s
	starts  int
	isolate bool
	write   string // file whose table is rewritten; "" = none
	dir     string // of all files; "" = a temporary one
	// partitions is how many one broker shall hold; 0 = measure speed instead
	partitions int
	alone      bool // without Apache Kafka, which cannot hold as many as barnabas can
}

func main() {
	o := options{records: map[int]int{100: 5_000_000, 1024: 1_000_000}}
	flag.IntVar(&o.rounds, "rounds", 3, "counted rounds; one more goes before them")
	flag.DurationVar(&o.pace, "pace", 20*time.Second, "how long a round at 1,000 records a second takes")
	flag.IntVar(&o.starts, "starts", 3, "starts that are timed")
	flag.BoolVar(&o.isolate, "isolate", true, "run in a network namespace of its own with congestion control cubic (root only)")
	flag.StringVar(&o.write, "write", filepath.Join(peers.Root(), "docs", "BENCHMARKS.md"), "the document whose table is rewritten; empty: none")
	flag.StringVar(&o.dir, "dir", "", "where the brokers keep their files (default: a temporary folder)")
	flag.IntVar(&o.partitions, "partitions", 0, "measure a broker that holds so many partitions, a multiple of 100, instead of speed")
	flag.BoolVar(&o.alone, "alone", false, "with -partitions: barnabas only")
	quick := flag.Bool("quick", false, "a tenth of the records, one round, nothing written")
	flag.Parse()
	if *quick {
		o.rounds, o.pace, o.starts, o.write = 1, 5*time.Second, 1, ""
		for size := range o.records {
			o.records[size] /= 10
		}
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	where := "the machine's own network"
	if o.isolate {
		moved, err := isolate()
		switch {
		case err != nil:
			fmt.Fprintln(os.Stderr, "bench: no network namespace of its own:", err)
		case moved:
			return nil // the child did everything
		default:
			where = "a network namespace of its own, congestion control cubic on loopback"
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	dir := o.dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "barnabas-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	mark, text, err := begin, "", error(nil)
	if o.partitions > 0 {
		var sides []*side
		if sides, err = many(ctx, dir, o); err == nil {
			mark, text = beginMany, manyTable(o.partitions, sides)
		}
	} else {
		text, err = speed(ctx, dir, o)
	}
	if err != nil {
		return err
	}
	text += machine(where)
	fmt.Println(text)
	if o.write == "" {
		return nil
	}
	return rewrite(o.write, mark, text)
}

func speed(ctx context.Context, dir string, o options) (string, error) {
	b, err := newBench(ctx, dir, o)
	if err != nil {
		return "", err
	}
	defer b.close()
	if err := b.all(ctx); err != nil {
		return "", err
	}
	return table(rows, b.sides, b.floor) + "\n", nil
}
