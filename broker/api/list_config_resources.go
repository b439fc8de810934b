package api

// ListConfigResources (key 74): what there is that settings can be of.
//
//	v0  the subscriptions to client metrics only, of which there are none without KRaft (KIP-1000)
//	v1  topics, brokers, their loggers, groups that have settings; some types or, without any, all (KIP-1142)

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listedKinds are in Kafka's order.
var listedKinds = []kmsg.ConfigResourceType{kmsg.ConfigResourceTypeGroupConfig, kmsg.ConfigResourceTypeClientMetrics,
	kmsg.ConfigResourceTypeBrokerLogger, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeTopic}

// ListConfigResources names what can have settings, by this broker's picture of the cluster.
func (f *Configs) ListConfigResources(c *Call, req *kmsg.ListConfigResourcesRequest) Reply {
	return Later(func(context.Context) Response {
		resp := req.ResponseKind().(*kmsg.ListConfigResourcesResponse)
		if req.Version == 0 {
			return resp
		}
		for _, kind := range req.ResourceTypes {
			if !slices.Contains(listedKinds, kmsg.ConfigResourceType(kind)) {
				resp.ErrorCode = kerr.UnsupportedVersion.Code
				return resp
			}
		}
		size := answerSize{turn: c.turn()}
		defer size.end()
		for _, kind := range listedKinds {
			if len(req.ResourceTypes) > 0 && !slices.Contains(req.ResourceTypes, int8(kind)) {
				continue
			}
			names := f.resources(kind)
			if !size.add(len(names)) {
				return nil
			}
			for _, name := range names {
				resp.ConfigResources = append(resp.ConfigResources, kmsg.ListConfigResourcesResponseConfigResource{Name: name, Type: int8(kind)})
			}
		}
		return size.made(resp)
	})
}

func (f *Configs) resources(kind kmsg.ConfigResourceType) (names []string) {
	switch kind {
	case kmsg.ConfigResourceTypeGroupConfig:
		return f.Settings.Groups()
	case kmsg.ConfigResourceTypeTopic:
		return slices.Sorted(maps.Keys(f.Images.Current().Topics))
	case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger:
		for _, id := range slices.Sorted(maps.Keys(f.Images.Current().Brokers)) {
			names = append(names, strconv.Itoa(int(id)))
		}
	}
	return names
}
