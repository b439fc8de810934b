package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

type consumeFlags struct {
	from          string
	group         string
	count         int64
	follow        bool
	partitions    []int32
	format        string
	readCommitted bool
	quiet         bool
}

func newConsume() *cobra.Command {
	conn := &connection{}
	f := &consumeFlags{}
	cmd := &cobra.Command{
		Use:   "consume TOPIC...",
		Short: "Print the records of topics",
		Long: `Print the records of topics: what is there now, or with --follow also what comes.
With --group the records are shared with the group's other members, and what was printed is committed.

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
  barnabas consume orders --group billing`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, topics []string) error { return consume(cmd, conn, topics, f) },
	}
	conn.addTo(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.from, "from", "o", "beginning", "where to begin: beginning, end, an offset, -N, or a time")
	flags.StringVarP(&f.group, "group", "g", "", "consume as a member of this group and commit; implies --follow")
	flags.Int64VarP(&f.count, "count", "n", 0, "stop after this many records")
	flags.BoolVarP(&f.follow, "follow", "F", false, "wait for more at the end")
	flags.Int32SliceVarP(&f.partitions, "partition", "p", nil, "only these partitions")
	flags.StringVarP(&f.format, "format", "f", `%v\n`, "how to print a record")
	flags.BoolVar(&f.readCommitted, "read-committed", false, "leave out records of open and aborted transactions")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print no count at the end")
	return cmd
}

func consume(cmd *cobra.Command, conn *connection, topics []string, f *consumeFlags) error {
	print, err := parseFormat(f.format)
	if err != nil {
		return err
	}
	if f.group != "" && len(f.partitions) > 0 {
		return errors.New("--group and --partition do not go together: a group shares out the partitions by itself")
	}
	opts, ends, err := f.plan(cmd.Context(), conn, topics)
	if err != nil {
		return err
	}
	if ends != nil && len(ends) == 0 {
		return f.report(cmd, showProgress(cmd.ErrOrStderr(), "consumed", true))
	}
	cl, err := conn.open(cmd.Context(), opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	shown := showProgress(cmd.ErrOrStderr(), "consumed", f.quiet || isTerminal(cmd.OutOrStdout()))
	err = f.poll(cmd.Context(), cl, cmd.OutOrStdout(), print, ends, shown)
	shown.stop()
	if err != nil {
		return err
	}
	return f.report(cmd, shown)
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
		return append(opts, kgo.ConsumerGroup(f.group), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(start), kgo.AutoCommitMarks()), nil, nil
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

func (f *consumeFlags) report(cmd *cobra.Command, shown *progress) error {
	if !f.quiet {
		fmt.Fprintln(cmd.ErrOrStderr(), shown.line())
	}
	return nil
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
	begins, err := cl.adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return nil, cl.explain(err, "offsets", "")
	}
	list := cl.adm.ListEndOffsets
	if committed {
		list = cl.adm.ListCommittedOffsets
	}
	listed, err := list(ctx, topics...)
	if err != nil {
		return nil, cl.explain(err, "offsets", "")
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

// poll prints until the count or the ends are reached, or for ever. An interrupt is a normal end.
func (f *consumeFlags) poll(ctx context.Context, cl *client, w io.Writer, print printer, ends map[string]map[int32]int64, shown *progress) error {
	out := bufio.NewWriter(w)
	defer out.Flush()
	for {
		fetches := cl.PollRecords(ctx, 0)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetchError(cl, fetches); err != nil {
			return err
		}
		done := false
		for it := fetches.RecordIter(); !it.Done() && !done; {
			r := it.Next()
			if !r.Attrs.IsControl() && !past(ends, r) {
				print(out, r)
				shown.add(len(r.Key) + len(r.Value))
			}
			reached(ends, r.Topic, r.Partition, r.Offset+1)
			done = f.count > 0 && shown.count.Load() >= f.count
			if f.group != "" {
				cl.MarkCommitRecords(r)
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
		if f.group != "" {
			if err := cl.CommitMarkedOffsets(ctx); err != nil && ctx.Err() == nil {
				return cl.explain(err, fmt.Sprintf("group %q", f.group), "")
			}
		}
		if done || ends != nil && len(ends) == 0 {
			return nil
		}
	}
}

// past tells whether a record came after the ends were looked up.
func past(ends map[string]map[int32]int64, r *kgo.Record) bool {
	if ends == nil {
		return false
	}
	end, ok := ends[r.Topic][r.Partition]
	return !ok || r.Offset >= end
}

// reached forgets a partition whose end is at next or before.
func reached(ends map[string]map[int32]int64, topic string, partition int32, next int64) {
	if end, ok := ends[topic][partition]; ok && next >= end {
		if delete(ends[topic], partition); len(ends[topic]) == 0 {
			delete(ends, topic)
		}
	}
}

// fetchError gives the first error that will not pass by itself.
func fetchError(cl *client, fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		var lost *kgo.ErrDataLoss
		if errors.As(e.Err, &lost) || kerr.IsRetriable(e.Err) {
			continue
		}
		return cl.explain(e.Err, fmt.Sprintf("topic %q partition %d", e.Topic, e.Partition), "")
	}
	return nil
}

// parseStart reads --from.
func parseStart(text string, now time.Time) (kgo.Offset, error) {
	switch strings.ToLower(text) {
	case "beginning", "earliest", "start":
		return kgo.NewOffset().AtStart(), nil
	case "end", "latest":
		return kgo.NewOffset().AtEnd(), nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < 0 {
			return kgo.NewOffset().AtEnd().Relative(n), nil
		}
		return kgo.NewOffset().At(n), nil
	}
	at, err := parseTime(text, now)
	if err != nil {
		return kgo.Offset{}, fmt.Errorf("--from %q is not beginning, end, an offset, -N, or a time", text)
	}
	return kgo.NewOffset().AfterMilli(at.UnixMilli()), nil
}

// parseTime reads a time: RFC 3339 (a day alone, or without a zone, is local), @ and milliseconds, or a duration and "-ago".
func parseTime(text string, now time.Time) (time.Time, error) {
	if ms, ok := strings.CutPrefix(text, "@"); ok {
		n, err := strconv.ParseInt(ms, 10, 64)
		return time.UnixMilli(n), err
	}
	if ago, ok := strings.CutSuffix(text, "-ago"); ok {
		d, err := time.ParseDuration(ago)
		return now.Add(-d), err
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999", "2006-01-02T15:04:05", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write 2025-01-31T12:00:00Z, @ and milliseconds, or 90m-ago", text)
}
