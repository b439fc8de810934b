package api

// CreateAcls (key 30, KIP-140)
//
//	v1  pattern types; the client throttles itself (KIP-290, KIP-219)
//	v2  tagged fields
//	v3  the resource type USER (KIP-373)

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateACLs says for each creation that there is no authorizer. A request with an unknown element cannot be parsed.
func (f *Security) CreateACLs(_ *Call, req *kmsg.CreateACLsRequest) Reply {
	resp := req.ResponseKind().(*kmsg.CreateACLsResponse)
	for _, c := range req.Creations {
		if unknownACL(c.ResourceType, c.ResourcePatternType, c.Operation, c.PermissionType) {
			return Close()
		}
		at := kmsg.NewCreateACLsResponseResult()
		at.ErrorCode, at.ErrorMessage = kerr.SecurityDisabled.Code, kmsg.StringPtr(noAuthorizer)
		resp.Results = append(resp.Results, at)
	}
	return Done(resp)
}
