package api

// DescribeAcls (key 29, KIP-140)
//
//	v1  pattern types; the client throttles itself (KIP-290, KIP-219)
//	v2  tagged fields
//	v3  the resource type USER (KIP-373)

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeACLs says that there is no authorizer. A filter with an unknown element is one that cannot be parsed.
func (f *Security) DescribeACLs(_ *Call, req *kmsg.DescribeACLsRequest) Reply {
	if unknownACL(req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType) {
		return Close()
	}
	resp := req.ResponseKind().(*kmsg.DescribeACLsResponse)
	resp.ErrorCode = kerr.SecurityDisabled.Code
	resp.ErrorMessage = kmsg.StringPtr("No Authorizer is configured on the broker")
	return Done(resp)
}

// unknownACL says whether one of the elements is 0, which Java calls UNKNOWN.
func unknownACL(r kmsg.ACLResourceType, p kmsg.ACLResourcePatternType, o kmsg.ACLOperation, t kmsg.ACLPermissionType) bool {
	return r == 0 || p == 0 || o == 0 || t == 0
}

// noAuthorizer is what those are told who want to change permissions.
const noAuthorizer = "No Authorizer is configured."
