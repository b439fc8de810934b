package api

// DeleteAcls (key 31, KIP-140)
//
//	v1  pattern types; the client throttles itself (KIP-290, KIP-219)
//	v2  tagged fields
//	v3  the resource type USER (KIP-373)

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteACLs says for each filter that there is no authorizer. A request with an unknown element cannot be parsed.
func (f *Security) DeleteACLs(_ *Call, req *kmsg.DeleteACLsRequest) Reply {
	resp := req.ResponseKind().(*kmsg.DeleteACLsResponse)
	for _, c := range req.Filters {
		if unknownACL(c.ResourceType, c.ResourcePatternType, c.Operation, c.PermissionType) {
			return Close()
		}
		at := kmsg.NewDeleteACLsResponseResult()
		at.ErrorCode, at.ErrorMessage = kerr.SecurityDisabled.Code, kmsg.StringPtr(noAuthorizer)
		resp.Results = append(resp.Results, at)
	}
	return Done(resp)
}
