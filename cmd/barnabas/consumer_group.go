package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Groups of the consumer protocol (KIP-848) have an API of their own that describes them; to that of classic groups they are unknown.

// groupPicture is a group of either protocol.
type groupPicture struct {
	kadm.DescribedGroupLag
	consumer *kadm.DescribedConsumerGroup // nil for one of the classic protocol
}

// unknown says that there is no such group, for all that the broker says.
func (g *groupPicture) unknown() bool {
	return errors.Is(g.DescribeErr, kerr.GroupIDNotFound) || g.DescribeErr == nil && g.State == "Dead" && g.consumer == nil
}

// describeGroups looks at groups of either protocol; they come in the order of their names.
func (c *client) describeGroups(ctx context.Context, names ...string) ([]*groupPicture, error) {
	lags, err := whenLed(ctx, func() (kadm.DescribedGroupLags, error) { return c.adm.Lag(ctx, names...) })
	if err != nil {
		return nil, c.explain(err, "groups", "")
	}
	var pictures []*groupPicture
	var others []string
	for _, lag := range lags.Sorted() {
		g := &groupPicture{DescribedGroupLag: lag}
		if pictures = append(pictures, g); g.unknown() {
			others = append(others, g.Group)
		}
	}
	if len(others) == 0 {
		return pictures, nil
	}
	consumers, err := c.adm.DescribeConsumerGroups(ctx, others...)
	if err != nil && ctx.Err() != nil {
		return nil, c.explain(err, "groups", "")
	} // else the broker is too old to have such groups
	for _, g := range pictures {
		found, ok := consumers[g.Group]
		switch {
		case !ok || errors.Is(found.Err, kerr.GroupIDNotFound) || errors.Is(found.Err, kerr.UnsupportedVersion):
		case found.Err != nil:
			g.DescribeErr = found.Err
		default:
			if err := c.learn(ctx, g, &found); err != nil {
				return nil, err
			}
		}
	}
	return pictures, nil
}

// learn makes a group's picture one of the consumer protocol.
func (c *client) learn(ctx context.Context, g *groupPicture, found *kadm.DescribedConsumerGroup) error {
	g.consumer, g.DescribeErr, g.FetchErr = found, nil, nil
	g.Coordinator, g.State, g.Protocol, g.Lag = found.Coordinator, found.State, found.AssignorName, kadm.GroupLag{}
	committed, err := c.adm.FetchOffsets(ctx, g.Group)
	if err != nil {
		return c.groupError(err, g.Group, "")
	}
	owners := map[string]map[int32]*kadm.DescribedGroupMember{}
	read := committed.Partitions()
	for _, m := range found.Members {
		owner := &kadm.DescribedGroupMember{MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost}
		g.Members = append(g.Members, *owner)
		read.Merge(m.Assignment)
		for t, ps := range m.Assignment {
			if owners[t] == nil {
				owners[t] = map[int32]*kadm.DescribedGroupMember{}
			}
			for p := range ps {
				owners[t][p] = owner
			}
		}
	}
	if len(read) == 0 {
		return nil
	}
	starts, ends, err := c.ranges(ctx, c.adm.ListEndOffsets, read.Topics())
	if err != nil {
		return err
	}
	read.Each(func(t string, p int32) {
		l := kadm.GroupMemberLag{Member: owners[t][p], Topic: t, Partition: p, Commit: kadm.Offset{Topic: t, Partition: p, At: -1}}
		if o, ok := committed.Lookup(t, p); ok {
			l.Commit = o.Offset
		}
		l.Start, _ = starts.Lookup(t, p)
		l.End, _ = ends.Lookup(t, p)
		if l.Lag = max(0, l.End.Offset-l.Commit.At); l.End.Err != nil {
			l.Lag = -1 // as kadm has it of classic groups
		}
		if g.Lag[t] == nil {
			g.Lag[t] = map[int32]kadm.GroupMemberLag{}
		}
		g.Lag[t][p] = l
	})
	return nil
}

// printConsumerMembers prints who is in a group of the consumer protocol: what each has, and what it is to have.
func printConsumerMembers(out io.Writer, g *kadm.DescribedConsumerGroup) error {
	var rows [][]string
	for _, m := range g.Members {
		instance, protocol := "-", "consumer"
		if m.InstanceID != nil {
			instance = *m.InstanceID
		}
		if m.MemberType == 0 {
			protocol = "classic"
		}
		rows = append(rows, []string{m.MemberID, instance, m.ClientID, m.ClientHost, protocol, fmt.Sprint(m.MemberEpoch),
			orDash(shownSet(m.Assignment)), orDash(shownSet(m.TargetAssignment))})
	}
	return table(out, "MEMBER INSTANCE CLIENT HOST PROTOCOL EPOCH ASSIGNED TARGET", rows)
}

// shownSet prints partitions as topic:0,1 topic:2.
func shownSet(set kadm.TopicsSet) string {
	var parts []string
	for _, t := range set.Sorted() {
		parts = append(parts, t.Topic+":"+ids(t.Partitions))
	}
	return strings.Join(parts, " ")
}

// listGroups lists the groups of all brokers in the order of their names, each with its coordinator; with states, only those in one
// of them.
func (c *client) listGroups(ctx context.Context, states []string) ([]listedGroup, error) {
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter = states
	var groups []listedGroup
	for _, shard := range c.RequestSharded(ctx, req) {
		err := shard.Err
		if err == nil {
			err = kerr.ErrorForCode(shard.Resp.(*kmsg.ListGroupsResponse).ErrorCode)
		}
		if err != nil {
			return nil, c.explain(err, "list groups", "")
		}
		for _, g := range shard.Resp.(*kmsg.ListGroupsResponse).Groups {
			groups = append(groups, listedGroup{g, shard.Meta.NodeID})
		}
	}
	slices.SortFunc(groups, func(a, b listedGroup) int { return strings.Compare(a.Group, b.Group) })
	return groups, nil
}

type listedGroup struct {
	kmsg.ListGroupsResponseGroup
	coordinator int32
}
