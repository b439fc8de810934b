package api

// FindCoordinator (key 10)
//
//	v0  the coordinator of a group
//	v1  or of a transactional id; throttle time, error message (KIP-98)
//	v2  the client throttles itself (KIP-219)
//	v3  tagged fields (KIP-482)
//	v4  several keys at once (KIP-699)
//	v5  TRANSACTION_ABORTABLE (KIP-890)
//	v6  share groups (KIP-932)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/group"
	"barnabas/replication/cluster"
)

// Kinds of coordinators.
const (
	groupKey       = 0
	transactionKey = 1
	shareKey       = 2
)

// coordinator is where one is found, or why not.
type coordinator struct {
	node int32
	host string
	port int32
	err  *kerr.Error
}

func nowhere(err *kerr.Error) coordinator { return coordinator{node: -1, port: -1, err: err} }

// errNoTransactions is what whoever wants transactions is told. It is none of the errors after which clients ask again: a
// producer that waits for a coordinator would do so until its patience ends, and then not know why.
var errNoTransactions = kerr.UnsupportedVersion

// noTransactions says it in words, which clients put into their exceptions.
const noTransactions = "This broker does not support transactions yet."

// FindCoordinator names the broker that coordinates a group. The topic of the offsets is created on first need, and waited for:
// with Kafka, the first clients of a cluster are sent away until it is there.
func (g *Groups) FindCoordinator(c *Call, req *kmsg.FindCoordinatorRequest) Reply {
	listener := c.Listener
	if req.CoordinatorType != groupKey || g.Images.Current().Topics[cluster.OffsetsTopic] != nil {
		return Done(g.found(req, listener))
	}
	return Later(func(ctx context.Context) Response {
		// Whatever it says, the image says it better.
		_ = g.Internal.Ensure(ctx, cluster.OffsetsTopic)
		if ctx.Err() != nil {
			return nil
		}
		return g.found(req, listener)
	})
}

func (g *Groups) found(req *kmsg.FindCoordinatorRequest, listener string) Response {
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	if req.Version < 4 {
		at := g.find(req.Version, req.CoordinatorType, req.CoordinatorKey, listener)
		message := "NONE"
		switch {
		case req.CoordinatorType == transactionKey:
			message = noTransactions
		case at.err != nil:
			message = at.err.Description
		}
		resp.NodeID, resp.Host, resp.Port, resp.ErrorCode, resp.ErrorMessage = at.node, at.host, at.port, number(at.err), &message
		return resp
	}
	for _, key := range req.CoordinatorKeys {
		at := g.find(req.Version, req.CoordinatorType, key, listener)
		message := ""
		switch {
		case req.CoordinatorType == transactionKey:
			message = noTransactions
		case req.CoordinatorType < groupKey || req.CoordinatorType > shareKey: // Kafka refuses such a request as a whole
			message = at.err.Description
		}
		resp.Coordinators = append(resp.Coordinators, kmsg.FindCoordinatorResponseCoordinator{Key: key, NodeID: at.node,
			Host: at.host, Port: at.port, ErrorCode: number(at.err), ErrorMessage: &message})
	}
	return resp
}

func (g *Groups) find(version int16, kind int8, key, listener string) coordinator {
	switch {
	case kind == transactionKey:
		return nowhere(errNoTransactions)
	case kind == shareKey && version >= 6:
		return nowhere(kerr.CoordinatorNotAvailable)
	case kind != groupKey:
		return nowhere(kerr.InvalidRequest)
	}
	img := g.Images.Current()
	topic := img.Topics[cluster.OffsetsTopic]
	if topic == nil {
		return nowhere(kerr.CoordinatorNotAvailable)
	}
	p := img.Partition(topic.Name, group.PartitionFor(key, int32(len(topic.Partitions))))
	if p == nil || img.Brokers[p.Leader] == nil {
		return nowhere(kerr.CoordinatorNotAvailable)
	}
	e, ok := img.Brokers[p.Leader].On(listener)
	if !ok {
		return nowhere(kerr.CoordinatorNotAvailable)
	}
	return coordinator{node: p.Leader, host: e.Host, port: e.Port}
}
