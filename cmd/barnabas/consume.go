package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type consumeFlags struct {
	from          string
	group         string
	count         int64
	follow        bool
	partitions    []int32
	format        string
	idle          time.Duration
	properties    []string
	readCommitted bool
	quiet         bool

	joined atomic.Pointer[time.Time] // when the group gave out its partitions last, some to this member or none
}

func newConsume() *cobra.Command {
	conn := &connection{}
	f := &consumeFlags{}
	cmd := &cobra.Command{
		Use:   "consume TOPIC...",
		Short: "Print the records of topics",
		Long: `Print the records of topics: what is there now, or with --follow also what comes.
With --group the records are shared with the group's other members, and what was printed is committed. When the cluster
is lost on the way, --follow and --group wait for it to come back.

--from is where to begin: beginning, end, an offset, -N for the last N records of each partition, or a time as
2025-01-31T12:00:00Z, as milliseconds with a leading @, or as a duration back from now such as 90m-ago. In a group it
counts where nothing is committed.

--format is printed for every record, with these in it:
  %t topic   %p partition   %o offset   %k key   %v value   %h headers   %T time in ms   %d time   %s size   %% percent
and \n \t \0 \\ as usual.`,
		Example: `  barnabas consume orders
  barnabas consume orders --follow --from end
  barnabas consume orders --partition 0 --from 1000 --count 10 --format '%o %k: %v\n'
  barnabas consume orders --from 1h-ago
  barnabas consume orders --group billing --idle 10s`,
		Args:              arguments(1, -1),
		ValidArgsFunction: conn.completeTopics,
		RunE:              func(cmd *cobra.Command, topics []string) error { return consume(cmd, conn, topics, f) },
	}
	conn.addTo(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.from, "from", "o", "beginning", "where to begin: beginning, end, an offset, -N, or a time")
	flags.StringVarP(&f.group, "group", "g", "", "consume as a member of this group and commit; implies --follow")
	flags.Int64VarP(&f.count, "count", "n", 0, "stop after this many records")
	flags.BoolVarP(&f.follow, "follow", "F", false, "wait for more at the end")
	flags.DurationVar(&f.idle, "idle", 0, "with --follow or --group, stop when nothing came for so long")
	flags.Int32SliceVarP(&f.partitions, "partition", "p", nil, "only these partitions")
	flags.StringVarP(&f.format, "format", "f", `%v\n`, "how to print a record")
	flags.BoolVar(&f.readCommitted, "read-committed", false, "leave out records of open and aborted transactions")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print no count at the end")
	flags.StringArrayVar(&f.properties, "property", nil, "a property of Kafka's console consumer, such as print.key=true")
	must(flags.MarkHidden("property"))
	cmd.MarkFlagsMutuallyExclusive("property", "format")
	completeWords(cmd, "from", "beginning", "end")
	must(cmd.RegisterFlagCompletionFunc("group", conn.completeGroups))
	return cmd
}

func consume(cmd *cobra.Command, conn *connection, topics []string, f *consumeFlags) error {
	format := f.format
	if len(f.properties) > 0 {
		var err error
		if format, err = consoleFormat(f.properties); err != nil {
			return err
		}
	}
	print, err := parseFormat(format)
	if err != nil {
		return err
	}
	if f.count < 0 {
		return fmt.Errorf("--count %d: give how many records to print, or 0 for all", f.count)
	}
	if f.idle < 0 {
		return fmt.Errorf("--idle %v is less than nothing", f.idle)
	}
	if f.group != "" && len(f.partitions) > 0 {
		return errors.New("--group and --partition do not go together: a group shares out the partitions by itself")
	}
	opts, ends, err := f.plan(cmd.Context(), conn, topics)
	if err != nil {
		return err
	}
	shown := showProgress(cmd.ErrOrStderr(), "consumed", f.quiet || isTerminal(cmd.OutOrStdout()))
	defer shown.stop()
	if ends == nil || len(ends) > 0 {
		watch := &vigil{w: cmd.ErrOrStderr()}
		cl, err := conn.open(cmd.Context(), append(opts, kgo.WithHooks(watch))...)
		if err != nil {
			return err
		}
		defer cl.Close()
		watch.begin()
		if err := f.poll(cmd.Context(), cl, cmd.OutOrStdout(), print, ends, shown); err != nil {
			return err
		}
	}
	shown.stop()
	if !f.quiet {
		fmt.Fprintln(cmd.ErrOrStderr(), shown.line())
	}
	return nil
}

// plan finds out what to read and where it ends: nil for no end, empty for nothing to read. The client that reads has
// to know this when it is made, so a client of its own asks.
func (f *consumeFlags) plan(ctx context.Context, conn *connection, topics []string) ([]kgo.Opt, map[string]map[int32]int64, error) {
	start, err := parseStart(f.from, time.Now())
	if err != nil {
		return nil, nil, err
	}
	cl, err := conn.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer cl.Close()
	details, err := cl.existing(ctx, topics...)
	if err != nil {
		return nil, nil, err
	}
	opts := []kgo.Opt{kgo.KeepControlRecords()}
	if f.readCommitted {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if f.group != "" {
		return append(opts, kgo.ConsumerGroup(f.group), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(start), kgo.AutoCommitMarks(),
			kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { f.assigned() })), nil, nil
	}
	chosen, err := f.choose(details)
	if err != nil {
		return nil, nil, err
	}
	var ends map[string]map[int32]int64
	if !f.follow {
		if ends, err = remaining(ctx, cl, chosen, start, f.readCommitted); err != nil {
			return nil, nil, err
		}
	}
	return append(opts, kgo.ConsumePartitions(startAt(chosen, start))), ends, nil
}

// choose gives the partitions to read.
func (f *consumeFlags) choose(details kadm.TopicDetails) (map[string][]int32, error) {
	chosen := map[string][]int32{}
	for _, t := range details.Sorted() {
		if len(f.partitions) == 0 {
			chosen[t.Topic] = t.Partitions.Numbers()
			continue
		}
		for _, p := range f.partitions {
			if _, ok := t.Partitions[p]; !ok {
				return nil, fmt.Errorf("topic %q has no partition %d: it has %d, numbered from 0", t.Topic, p, len(t.Partitions))
			}
			chosen[t.Topic] = append(chosen[t.Topic], p)
		}
	}
	return chosen, nil
}

func startAt(chosen map[string][]int32, start kgo.Offset) map[string]map[int32]kgo.Offset {
	all := map[string]map[int32]kgo.Offset{}
	for t, ps := range chosen {
		all[t] = map[int32]kgo.Offset{}
		for _, p := range ps {
			all[t][p] = start
		}
	}
	return all
}

// remaining gives the end of every chosen partition that has records from start on: what to read before stopping.
func remaining(ctx context.Context, cl *client, chosen map[string][]int32, start kgo.Offset, committed bool) (map[string]map[int32]int64, error) {
	ctx, cancel := cl.limit(ctx)
	defer cancel()
	var topics []string
	for t := range chosen {
		topics = append(topics, t)
	}
	list := cl.adm.ListEndOffsets
	if committed {
		list = cl.adm.ListCommittedOffsets
	}
	begins, listed, err := cl.ranges(ctx, list, topics)
	if err != nil {
		return nil, err
	}
	at := start.EpochOffset().Offset // below 0 for what is not a plain offset
	ends := map[string]map[int32]int64{}
	for t, ps := range chosen {
		for _, p := range ps {
			end, ok := listed.Lookup(t, p)
			begin, ok2 := begins.Lookup(t, p)
			if !ok || !ok2 || end.Err != nil || begin.Err != nil {
				return nil, cl.explain(errors.Join(end.Err, begin.Err), fmt.Sprintf("topic %q partition %d", t, p), "")
			}
			if end.Offset <= begin.Offset || at >= end.Offset || start == kgo.NewOffset().AtEnd() {
				continue
			}
			if ends[t] == nil {
				ends[t] = map[int32]int64{}
			}
			ends[t][p] = end.Offset
		}
	}
	return ends, nil
}
