package api

// ApiVersions (key 18)
//
//	v1  throttle time
//	v3  tagged fields, client software name and version, features (KIP-482, KIP-511, KIP-584)
//	v4  features whose lowest version is 0 (KIP-1022)
//	v5  the cluster and node that the client means to talk to (KIP-1242)
//
// The response's header has version 0 always. A version that is not known is answered in version 0 with
// UNSUPPORTED_VERSION and the range of this one API (KIP-511).

import (
	"regexp"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions is the family that tells what is served.
type Versions struct {
	Images Images
	Self   int32
	// table is set by NewRoutes.
	table *Routes
}

func (v *Versions) routes() []Route { return []Route{route(v.ApiVersions, inPlace)} }

var softwareName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

// ApiVersions answers with the routes table.
func (v *Versions) ApiVersions(c *Call, req *kmsg.ApiVersionsRequest) Reply {
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	switch {
	case req.Version >= 3 && !(softwareName.MatchString(req.ClientSoftwareName) && softwareName.MatchString(req.ClientSoftwareVersion)):
		resp.ErrorCode = kerr.InvalidRequest.Code
		return Done(resp)
	case (req.ClusterID == nil) != (req.NodeID < 0):
		resp.ErrorCode = kerr.InvalidRequest.Code
		return Done(resp)
	case req.ClusterID != nil && (*req.ClusterID != v.Images.Current().ClusterID || req.NodeID != v.Self):
		resp.ErrorCode = kerr.RebootstrapRequired.Code
	}
	routes := v.table.All()
	resp.ApiKeys = make([]kmsg.ApiVersionsResponseApiKey, len(routes))
	for i := range routes {
		resp.ApiKeys[i] = kmsg.ApiVersionsResponseApiKey{ApiKey: routes[i].Key, MaxVersion: routes[i].Max}
	}
	resp.FinalizedFeaturesEpoch = 0
	return Done(resp)
}

// UnknownApiVersions is the answer to an ApiVersions request of a version outside the range, in version 0.
func UnknownApiVersions(rs *Routes) Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	r := rs.Get(18, 0)
	resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: r.Key, MaxVersion: r.Max}}
	return resp
}
