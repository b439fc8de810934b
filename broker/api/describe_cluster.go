package api

// DescribeCluster (key 60, KIP-700)
//
//	v0  brokers, controller, cluster id, authorized operations
//	v1  the type of endpoint that is meant (KIP-919)
//	v2  fenced brokers, which only KRaft has (KIP-1073)

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/replication/cluster"
)

// The types of endpoints: those of brokers, and those of KRaft's controllers.
const (
	brokerEndpoint     = 1
	controllerEndpoint = 2
)

// DescribeCluster answers from the image, with the brokers that are reached on the listener of the caller.
func (f *Cluster) DescribeCluster(c *Call, req *kmsg.DescribeClusterRequest) Reply {
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	switch req.EndpointType {
	case brokerEndpoint:
	case controllerEndpoint:
		resp.ErrorCode = kerr.MismatchedEndpointType.Code
		resp.ErrorMessage = kmsg.StringPtr("The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER")
		return Done(resp)
	default:
		resp.ErrorCode = kerr.UnsupportedEndpointType.Code
		resp.ErrorMessage = kmsg.StringPtr(fmt.Sprintf("Unsupported endpoint type %d", req.EndpointType))
		return Done(resp)
	}
	img := f.Images.Current()
	resp.ClusterID = img.ClusterID
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = allClusterOperations
	}
	for _, id := range img.BrokerIDs() {
		b := img.Brokers[id]
		e, ok := b.On(c.Listener)
		if !ok {
			continue
		}
		at := kmsg.NewDescribeClusterResponseBroker()
		at.NodeID, at.Host, at.Port, at.Rack = id, e.Host, e.Port, b.Rack
		resp.Brokers = append(resp.Brokers, at)
		if id == img.ControllerID { // else -1: a controller that the caller cannot reach helps nobody
			resp.ControllerID = id
		}
	}
	return Done(resp)
}

// leaderOn is a partition's leader if it can be reached on a listener, else NoLeader.
func leaderOn(img *cluster.Image, listener string, p *cluster.Partition) int32 {
	if b := img.Brokers[p.Leader]; b != nil {
		if _, ok := b.On(listener); ok {
			return p.Leader
		}
	}
	return cluster.NoLeader
}
