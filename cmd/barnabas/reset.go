package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// resetFlags say where committed offsets shall go; exactly one of the targets is given.
type resetFlags struct {
	topics               []string
	execute              bool
	toEarliest, toLatest bool
	toCurrent            bool
	toOffset, shiftBy    int64
	toTime, byDuration   string

	absolute bool      // toOffset is the target, 0 too
	at       time.Time // toTime or byDuration, zero when neither is the target
}

func newGroupReset(conn *connection) *cobra.Command {
	f := &resetFlags{}
	cmd := &cobra.Command{
		Use:   "reset GROUP",
		Short: "Move a group's committed offsets",
		Long: `Move a group's committed offsets. The group must have no members.
Without --execute the plan is printed and nothing is changed. An offset outside of what a partition holds is moved to
the nearest that it holds.`,
		Example: `  barnabas group reset billing --topic orders --to-earliest
  barnabas group reset billing --topic orders:0,1 --to-offset 1000 --execute
  barnabas group reset billing --all-topics --shift-by -100 --execute
  barnabas group reset billing --topic orders --to-datetime 2025-01-31T12:00:00Z --execute
  barnabas group reset billing --topic orders --by-duration 2h --execute`,
		Args:              arguments(1, 1),
		ValidArgsFunction: conn.completeGroups,
		PreRunE:           func(cmd *cobra.Command, _ []string) error { return f.check(cmd, time.Now()) },
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, args []string) error {
			return f.run(ctx, cmd, cl, args[0])
		}),
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.topics, "topic", "t", nil, "a topic, or some of its partitions as topic:0,1; may be given several times")
	flags.Bool("all-topics", false, "all topics that the group has committed offsets of")
	flags.BoolVarP(&f.execute, "execute", "x", false, "commit the new offsets")
	flags.BoolVar(&f.toEarliest, "to-earliest", false, "to the first records")
	flags.BoolVar(&f.toLatest, "to-latest", false, "to the end")
	flags.BoolVar(&f.toCurrent, "to-current", false, "to where they are")
	flags.Int64Var(&f.toOffset, "to-offset", 0, "to this offset")
	flags.Int64Var(&f.shiftBy, "shift-by", 0, "by this many records, back when negative")
	flags.StringVar(&f.toTime, "to-datetime", "", "to the first records of this time or later")
	flags.StringVar(&f.byDuration, "by-duration", "", "to the first records that are at most so old, such as 90m")
	cmd.MarkFlagsOneRequired("topic", "all-topics")
	cmd.MarkFlagsMutuallyExclusive("topic", "all-topics")
	targets := []string{"to-earliest", "to-latest", "to-current", "to-offset", "shift-by", "to-datetime", "by-duration"}
	cmd.MarkFlagsOneRequired(targets...)
	cmd.MarkFlagsMutuallyExclusive(targets...)
	must(cmd.RegisterFlagCompletionFunc("topic", conn.completeTopics))
	return cmd
}

func (f *resetFlags) run(ctx context.Context, cmd *cobra.Command, cl *client, group string) error {
	if err := withoutMembers(ctx, cl, group); err != nil {
		return err
	}
	committed, err := cl.adm.FetchOffsets(ctx, group)
	if err != nil {
		return cl.groupError(err, group, "")
	}
	chosen, err := f.choose(ctx, cl, committed)
	if err != nil {
		return err
	}
	plan, err := f.plan(ctx, cl, chosen, committed)
	if err != nil {
		return err
	}
	var rows [][]string
	plan.Each(func(o kadm.Offset) {
		before := "-"
		if c, ok := committed.Lookup(o.Topic, o.Partition); ok && c.At >= 0 {
			before = fmt.Sprint(c.At)
		}
		rows = append(rows, []string{o.Topic, fmt.Sprintf("%6d", o.Partition), before, fmt.Sprint(o.At)})
	})
	slices.SortFunc(rows, func(a, b []string) int { return slices.Compare(a, b) })
	for _, r := range rows {
		r[1] = strings.TrimSpace(r[1])
	}
	if err := table(cmd.OutOrStdout(), "TOPIC PARTITION BEFORE AFTER", rows); err != nil {
		return err
	}
	if !f.execute {
		fmt.Fprintln(cmd.ErrOrStderr(), "nothing was changed: add --execute to commit these offsets")
		return nil
	}
	answers, err := cl.adm.CommitOffsets(ctx, group, plan)
	if err == nil {
		err = answers.Error()
	}
	return cl.groupError(err, group, "")
}

func withoutMembers(ctx context.Context, cl *client, group string) error {
	pictures, err := cl.describeGroups(ctx, group)
	if err != nil {
		return err
	}
	for _, g := range pictures {
		if err := g.DescribeErr; err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return cl.groupError(err, group, "")
		}
		if n := len(g.Members); n > 0 {
			return fmt.Errorf("group %q has %d members (%s): stop its consumers first", group, n, g.State)
		}
	}
	return nil
}

// choose gives the partitions to reset.
func (f *resetFlags) choose(ctx context.Context, cl *client, committed kadm.OffsetResponses) (kadm.TopicsSet, error) {
	chosen := kadm.TopicsSet{}
	if len(f.topics) == 0 {
		for t, ps := range committed {
			for p := range ps {
				chosen.Add(t, p)
			}
		}
		if len(chosen) == 0 {
			return nil, errors.New("the group has committed nothing: name a topic with --topic")
		}
		return chosen, nil
	}
	for _, text := range f.topics {
		topic, list, some := strings.Cut(text, ":")
		details, err := cl.existing(ctx, topic)
		if err != nil {
			return nil, err
		}
		if !some {
			chosen.Add(topic, details[topic].Partitions.Numbers()...)
			continue
		}
		for _, n := range strings.Split(list, ",") {
			var p int32
			if _, err := fmt.Sscan(n, &p); err != nil {
				return nil, fmt.Errorf("--topic %q: %q is not a partition's number", text, n)
			}
			if _, ok := details[topic].Partitions[p]; !ok {
				return nil, fmt.Errorf("topic %q has no partition %d: it has %d, numbered from 0", topic, p, len(details[topic].Partitions))
			}
			chosen.Add(topic, p)
		}
	}
	return chosen, nil
}

// plan computes the new offset of each chosen partition.
func (f *resetFlags) plan(ctx context.Context, cl *client, chosen kadm.TopicsSet, committed kadm.OffsetResponses) (kadm.Offsets, error) {
	topics := chosen.Topics()
	starts, ends, err := cl.ranges(ctx, cl.adm.ListEndOffsets, topics)
	if err != nil {
		return nil, err
	}
	var byTime kadm.ListedOffsets
	if !f.at.IsZero() {
		if byTime, err = cl.adm.ListOffsetsAfterMilli(ctx, f.at.UnixMilli(), topics...); err != nil {
			return nil, cl.explain(err, "offsets", "")
		}
	}
	plan := kadm.Offsets{}
	for _, t := range chosen.Sorted() {
		for _, p := range t.Partitions {
			start, _ := starts.Lookup(t.Topic, p)
			end, _ := ends.Lookup(t.Topic, p)
			if err := errors.Join(start.Err, end.Err); err != nil {
				return nil, cl.explain(err, fmt.Sprintf("topic %q partition %d", t.Topic, p), "")
			}
			current := int64(-1)
			if c, ok := committed.Lookup(t.Topic, p); ok {
				current = c.At
			}
			target := end.Offset
			switch {
			case f.toEarliest:
				target = start.Offset
			case f.toLatest:
			case byTime != nil:
				if o, ok := byTime.Lookup(t.Topic, p); ok && o.Err == nil && o.Offset >= 0 {
					target = o.Offset
				}
			case f.absolute:
				target = f.toOffset
			case current < 0:
				return nil, fmt.Errorf("topic %q partition %d has no committed offset to start from", t.Topic, p)
			default:
				target = current + f.shiftBy // --to-current is a shift by nothing
			}
			plan.AddOffset(t.Topic, p, min(max(target, start.Offset), end.Offset), -1)
		}
	}
	return plan, nil
}

// check reads what the flags alone decide.
func (f *resetFlags) check(cmd *cobra.Command, now time.Time) (err error) {
	f.absolute = cmd.Flags().Changed("to-offset")
	switch {
	case f.toTime != "":
		f.at, err = parseTime(f.toTime, now)
	case f.byDuration != "":
		d, derr := parseDuration(f.byDuration)
		if derr != nil {
			return fmt.Errorf("--by-duration: %w", derr)
		}
		f.at = now.Add(-d)
	}
	return err
}
