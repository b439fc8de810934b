package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
		Aliases: []string{"groups"},
	}
	conn.addTo(cmd)
	return chooses(cmd, newGroupList(conn), newGroupDescribe(conn), newGroupReset(conn), newGroupDelete(conn))
}

func newGroupList(conn *connection) *cobra.Command {
	var states []string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List groups of all brokers",
		Example: "  barnabas group list\n  barnabas group list --state Empty",
		Args:    arguments(0, 0),
		PreRunE: func(*cobra.Command, []string) error { return checkStates(states) },
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, _ []string) error {
			groups, err := cl.listGroups(ctx, states)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, g := range groups {
				rows = append(rows, []string{g.Group, orDash(g.GroupType), orDash(g.GroupState), orDash(g.ProtocolType), fmt.Sprint(g.coordinator)})
			}
			return table(cmd.OutOrStdout(), "GROUP TYPE STATE PROTOCOL COORDINATOR", rows)
		}),
	}
	cmd.Flags().StringSliceVar(&states, "state", nil, "only groups in these states, such as Stable,Empty")
	completeWords(cmd, "state", groupStates...)
	return cmd
}

// groupStates are those of classic groups and of KIP-848's.
var groupStates = []string{"Stable", "Empty", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling", "Dead"}

// checkStates refuses a state that no group can be in, which brokers would answer with an empty list.
func checkStates(states []string) error {
	for i, state := range states {
		known := slices.IndexFunc(groupStates, func(s string) bool { return strings.EqualFold(s, state) })
		if known < 0 {
			return fmt.Errorf("--state %q is not a state of groups: there are %s", state, strings.Join(groupStates, ", "))
		}
		states[i] = groupStates[known]
	}
	return nil
}

func newGroupDescribe(conn *connection) *cobra.Command {
	var members, all bool
	cmd := &cobra.Command{
		Use:               "describe GROUP...",
		Short:             "Show a group's committed offsets with their lag, and its members",
		Example:           "  barnabas group describe billing\n  barnabas group describe billing --members\n  barnabas group describe --all-groups",
		ValidArgsFunction: conn.completeGroups,
		Args: func(cmd *cobra.Command, args []string) error {
			if all {
				return arguments(0, 0)(cmd, args)
			}
			return arguments(1, -1)(cmd, args)
		},
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, names []string) error {
			if all {
				groups, err := cl.adm.ListGroups(ctx)
				if err != nil {
					return cl.explain(err, "list groups", "")
				}
				if names = groups.Groups(); len(names) == 0 {
					return nil
				}
			}
			pictures, err := cl.describeGroups(ctx, names...)
			if err != nil {
				return err
			}
			for i, g := range pictures {
				err := g.Error()
				if err == nil && g.unknown() && len(g.Lag) == 0 {
					err = kerr.GroupIDNotFound
				}
				if err != nil {
					return cl.groupError(err, g.Group, "")
				}
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				if err := describeGroup(cmd.OutOrStdout(), g, members); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().BoolVarP(&members, "members", "m", false, "show members instead of offsets")
	cmd.Flags().BoolVar(&all, "all-groups", false, "describe every group")
	return cmd
}

// betweenAsks is how long a broker that has no coordinator yet is left alone before it is asked again.
const betweenAsks = 100 * time.Millisecond

// whenLed asks again while there is no coordinator: the first question about any group has Apache Kafka create
// __consumer_offsets, and is refused meanwhile.
func whenLed[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	for {
		answer, err := ask()
		if !errors.Is(unsplit(err), kerr.CoordinatorNotAvailable) {
			return answer, err
		}
		select {
		case <-time.After(betweenAsks):
		case <-ctx.Done():
			return answer, err
		}
	}
}

// unsplit is the first error of those of the brokers that a request was split between.
func unsplit(err error) error {
	var some *kadm.ShardErrors
	if errors.As(err, &some) && len(some.Errs) > 0 {
		return some.Errs[0].Err
	}
	return err
}

// groupError explains an error about a group.
func (c *client) groupError(err error, group, message string) error {
	what := fmt.Sprintf("group %q", group)
	switch {
	case errors.Is(err, kerr.GroupIDNotFound):
		return fmt.Errorf("%s does not exist", what)
	case errors.Is(err, kerr.NonEmptyGroup):
		return fmt.Errorf("%s still has members: stop its consumers first", what)
	}
	return c.explain(err, what, message)
}

func describeGroup(out io.Writer, g *groupPicture, members bool) error {
	fmt.Fprintf(out, "group %s\nstate %s\ncoordinator %d\nmembers %d\n", g.Group, g.State, g.Coordinator.NodeID, len(g.Members))
	if g.consumer != nil {
		fmt.Fprintf(out, "type consumer\nepoch %d\ntarget epoch %d\n", g.consumer.Epoch, g.consumer.AssignmentEpoch)
	}
	if g.Protocol != "" {
		fmt.Fprintf(out, "assignor %s\n", g.Protocol)
	}
	var rows [][]string
	if members && g.consumer != nil {
		return printConsumerMembers(out, g.consumer)
	}
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
		Use:               "delete GROUP...",
		Short:             "Delete groups that have no members, with their committed offsets",
		Example:           "  barnabas group delete billing",
		Args:              arguments(1, -1),
		ValidArgsFunction: conn.completeGroups,
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, names []string) error {
			answers, err := whenLed(ctx, func() (kadm.DeleteGroupResponses, error) { return cl.adm.DeleteGroups(ctx, names...) })
			if err != nil {
				return cl.explain(err, "delete groups", "")
			}
			var failed error
			for _, a := range answers.Sorted() {
				if a.Err != nil {
					failed = errors.Join(failed, cl.groupError(a.Err, a.Group, a.ErrMessage))
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "group %s deleted\n", a.Group)
			}
			return failed
		}),
	}
}
