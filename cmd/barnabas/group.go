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

func newGroup() *cobra.Command {
	conn := &connection{}
	cmd := &cobra.Command{
		Use:   "group",
		Short: "List, describe, reset and delete consumer groups",
		Example: `  barnabas group list
  barnabas group describe billing
  barnabas group reset billing --topic orders --to-earliest --execute
  barnabas group delete billing`,
	}
	conn.addTo(cmd)
	cmd.AddCommand(newGroupList(conn), newGroupDescribe(conn), newGroupReset(conn), newGroupDelete(conn))
	return cmd
}

func newGroupList(conn *connection) *cobra.Command {
	var states []string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List groups of all brokers",
		Example: "  barnabas group list\n  barnabas group list --state Empty",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := conn.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			ctx, cancel := cl.limit(cmd.Context())
			defer cancel()
			groups, err := cl.adm.ListGroups(ctx, states...)
			if err != nil {
				return cl.explain(err, "list groups", "")
			}
			var rows [][]string
			for _, g := range groups.Sorted() {
				rows = append(rows, []string{g.Group, orDash(g.State), orDash(g.ProtocolType), fmt.Sprint(g.Coordinator)})
			}
			return table(cmd.OutOrStdout(), "GROUP STATE PROTOCOL COORDINATOR", rows)
		},
	}
	cmd.Flags().StringSliceVar(&states, "state", nil, "only groups in these states, such as Stable,Empty")
	return cmd
}

func newGroupDescribe(conn *connection) *cobra.Command {
	var members bool
	cmd := &cobra.Command{
		Use:     "describe GROUP...",
		Short:   "Show a group's committed offsets with their lag, and its members",
		Example: "  barnabas group describe billing\n  barnabas group describe billing --members",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			cl, err := conn.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			ctx, cancel := cl.limit(cmd.Context())
			defer cancel()
			lags, err := cl.adm.Lag(ctx, names...)
			if err != nil {
				return cl.explain(err, "groups", "")
			}
			for i, g := range lags.Sorted() {
				err := g.Error()
				if errors.Is(err, kerr.GroupIDNotFound) || err == nil && g.State == "Dead" && len(g.Lag) == 0 {
					return fmt.Errorf("group %q does not exist", g.Group)
				}
				if err != nil {
					return cl.explain(err, fmt.Sprintf("group %q", g.Group), "")
				}
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				if err := describeGroup(cmd, g, members); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&members, "members", "m", false, "show members instead of offsets")
	return cmd
}

func describeGroup(cmd *cobra.Command, g kadm.DescribedGroupLag, members bool) error {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "group %s\nstate %s\ncoordinator %d\nmembers %d\n", g.Group, g.State, g.Coordinator.NodeID, len(g.Members))
	if g.Protocol != "" {
		fmt.Fprintf(out, "assignor %s\n", g.Protocol)
	}
	var rows [][]string
	if members {
		for _, m := range g.Members {
			instance := "-"
			if m.InstanceID != nil {
				instance = *m.InstanceID
			}
			rows = append(rows, []string{m.MemberID, instance, m.ClientID, m.ClientHost, orDash(assigned(m))})
		}
		return table(out, "MEMBER INSTANCE CLIENT HOST ASSIGNED", rows)
	}
	for _, l := range g.Lag.Sorted() {
		committed, lag, owner := "-", "-", "-"
		if l.Commit.At >= 0 {
			committed, lag = fmt.Sprint(l.Commit.At), fmt.Sprint(l.Lag)
		}
		if l.Member != nil {
			owner = l.Member.MemberID
		}
		rows = append(rows, []string{l.Topic, fmt.Sprint(l.Partition), committed, fmt.Sprint(l.Start.Offset), fmt.Sprint(l.End.Offset), lag, owner})
	}
	return table(out, "TOPIC PARTITION COMMITTED START END LAG MEMBER", rows)
}

// assigned prints a consumer's partitions as topic:0,1 topic:2.
func assigned(m kadm.DescribedGroupMember) string {
	a, ok := m.Assigned.AsConsumer()
	if !ok {
		return ""
	}
	var parts []string
	for _, t := range a.Topics {
		slices.Sort(t.Partitions)
		parts = append(parts, t.Topic+":"+ids(t.Partitions))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func newGroupDelete(conn *connection) *cobra.Command {
	return &cobra.Command{
		Use:     "delete GROUP...",
		Short:   "Delete groups that have no members, with their committed offsets",
		Example: "  barnabas group delete billing",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			cl, err := conn.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			ctx, cancel := cl.limit(cmd.Context())
			defer cancel()
			answers, err := cl.adm.DeleteGroups(ctx, names...)
			if err != nil {
				return cl.explain(err, "delete groups", "")
			}
			var failed error
			for _, a := range answers.Sorted() {
				switch {
				case a.Err == nil:
					fmt.Fprintf(cmd.OutOrStdout(), "group %s deleted\n", a.Group)
				case errors.Is(a.Err, kerr.NonEmptyGroup):
					failed = errors.Join(failed, fmt.Errorf("group %q still has members: stop its consumers first", a.Group))
				case errors.Is(a.Err, kerr.GroupIDNotFound):
					failed = errors.Join(failed, fmt.Errorf("group %q does not exist", a.Group))
				default:
					failed = errors.Join(failed, cl.explain(a.Err, fmt.Sprintf("group %q", a.Group), a.ErrMessage))
				}
			}
			return failed
		},
	}
}

// resetFlags say where committed offsets shall go; exactly one of the targets is given.
type resetFlags struct {
	topics               []string
	execute              bool
	toEarliest, toLatest bool
	toCurrent            bool
	toOffset, shiftBy    int64
	toTime, byDuration   string
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
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return resetGroup(cmd, conn, args[0], f) },
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
	return cmd
}

func resetGroup(cmd *cobra.Command, conn *connection, group string, f *resetFlags) error {
	cl, err := conn.open(cmd.Context())
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := cl.limit(cmd.Context())
	defer cancel()
	if err := withoutMembers(ctx, cl, group); err != nil {
		return err
	}
	committed, err := cl.adm.FetchOffsets(ctx, group)
	if err != nil {
		return cl.explain(err, fmt.Sprintf("group %q", group), "")
	}
	chosen, err := f.choose(ctx, cl, committed)
	if err != nil {
		return err
	}
	plan, err := f.plan(cmd, ctx, cl, chosen, committed)
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
	return cl.explain(err, fmt.Sprintf("group %q", group), "")
}

func withoutMembers(ctx context.Context, cl *client, group string) error {
	described, err := cl.adm.DescribeGroups(ctx, group)
	if err != nil {
		return cl.explain(err, fmt.Sprintf("group %q", group), "")
	}
	g := described[group]
	if g.Err != nil && !errors.Is(g.Err, kerr.GroupIDNotFound) {
		return cl.explain(g.Err, fmt.Sprintf("group %q", group), g.ErrMessage)
	}
	if n := len(g.Members); n > 0 {
		return fmt.Errorf("group %q has %d members (%s): stop its consumers first", group, n, g.State)
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
func (f *resetFlags) plan(cmd *cobra.Command, ctx context.Context, cl *client, chosen kadm.TopicsSet, committed kadm.OffsetResponses) (kadm.Offsets, error) {
	topics := chosen.Topics()
	starts, err := cl.adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return nil, cl.explain(err, "offsets", "")
	}
	ends, err := cl.adm.ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, cl.explain(err, "offsets", "")
	}
	var byTime kadm.ListedOffsets
	if at, ok, err := f.time(time.Now()); err != nil {
		return nil, err
	} else if ok {
		if byTime, err = cl.adm.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topics...); err != nil {
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
			case cmd.Flags().Changed("to-offset"):
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

// time gives the time that offsets shall go to, if it is one.
func (f *resetFlags) time(now time.Time) (time.Time, bool, error) {
	switch {
	case f.toTime != "":
		at, err := parseTime(f.toTime, now)
		return at, true, err
	case f.byDuration != "":
		d, err := time.ParseDuration(f.byDuration)
		if err != nil {
			return time.Time{}, false, fmt.Errorf("--by-duration %q is not a duration such as 90m or 24h", f.byDuration)
		}
		return now.Add(-d), true, nil
	}
	return time.Time{}, false, nil
}
