package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// options are the flags of all kinds of load; each uses some.
type options struct {
	addr       string
	pid        int
	topic      string
	duration   time.Duration
	bytes      int64
	count      int64
	conns      int
	inFlight   int
	batch      int
	record     int
	acks       int
	max        int
	rate       int
	partitions int
	groups     int
	members    int
	rounds     int
	json       bool
	command    []string
}

func main() {
	kinds := map[string]func(*options) (*result, error){"produce": produce, "fetch": fetch, "pace": pace, "bare": serveBare, "commit": commit, "crowd": crowd, "beside": beside, "coordinate": coordinate, "rebalance": rebalance, "start": start}
	if len(os.Args) < 2 || kinds[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: load produce|fetch|pace|commit|crowd|beside|coordinate|rebalance|bare|start [flags]")
		os.Exit(2)
	}
	kind := os.Args[1]
	var o options
	flags := flag.NewFlagSet(kind, flag.ExitOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:9092", "the broker's host:port")
	flags.IntVar(&o.pid, "pid", 0, "the broker's process, to tell its processor time and memory")
	flags.StringVar(&o.topic, "topic", "load", "the topic, made if it is not there")
	flags.DurationVar(&o.duration, "duration", 8*time.Second, "how long to load")
	flags.Int64Var(&o.bytes, "bytes", 4<<30, "produce: stop after so many bytes of payload; fetch: size that the log is filled to")
	flags.IntVar(&o.conns, "conns", 4, "produce: connections, each with a partition of its own; commit, crowd: connections")
	flags.IntVar(&o.inFlight, "inflight", 5, "produce, commit, crowd: requests in flight on each connection")
	flags.IntVar(&o.batch, "batch", 16<<10, "produce, fetch: size of a batch at most, in bytes")
	flags.IntVar(&o.record, "record", 100, "size of a record's value in bytes")
	flags.IntVar(&o.acks, "acks", -1, "acks: -1 or 1")
	flags.IntVar(&o.max, "max", 1<<20, "fetch: max bytes of a request")
	flags.IntVar(&o.rate, "rate", 1000, "pace: records a second; beside: pauses a second")
	flags.IntVar(&o.partitions, "partitions", 10, "commit: partitions in each commit; crowd: of the topic")
	flags.IntVar(&o.groups, "groups", 0, "commit, coordinate: groups, at least one a connection")
	flags.Int64Var(&o.count, "count", 0, "commit: stop after so many requests")
	flags.IntVar(&o.members, "members", 100, "rebalance: members of the group")
	flags.IntVar(&o.rounds, "rounds", 20, "rebalance: how many are measured")
	flags.BoolVar(&o.json, "json", false, "print one line of JSON")
	_ = flags.Parse(os.Args[2:])
	o.command = flags.Args()
	r, err := kinds[kind](&o)
	if err != nil {
		fmt.Fprintf(os.Stderr, "load %s: %v\n", kind, err)
		os.Exit(1)
	}
	r.print(kind, o.json)
}

// figure is one measured number.
type figure struct {
	name  string
	value float64
	unit  string
}

// result is what a load measured, in the order of printing.
type result struct{ figures []figure }

func (r *result) add(name string, value float64, unit string) {
	r.figures = append(r.figures, figure{name, value, unit})
}

func (r *result) print(kind string, asJSON bool) {
	if asJSON {
		m := map[string]any{"load": kind}
		for _, f := range r.figures {
			m[strings.TrimSpace(f.name+" "+f.unit)] = f.value
		}
		b, _ := json.Marshal(m) // numbers and strings
		fmt.Println(string(b))
		return
	}
	parts := make([]string, len(r.figures))
	for i, f := range r.figures {
		parts[i] = fmt.Sprintf("%s %.4g %s", f.name, f.value, f.unit)
	}
	fmt.Printf("%-8s %s\n", kind, strings.Join(parts, ", "))
}
