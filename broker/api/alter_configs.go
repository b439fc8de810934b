package api

// AlterConfigs (key 33): replaces the whole config of a topic, broker or group (KIP-848). Superseded by IncrementalAlterConfigs, but
// what older clients have.
//
//	v0  KIP-133
//	v1  throttled answers are sent before the wait
//	v2  tagged fields (KIP-482)

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/coordinator/controller"
)

// AlterConfigs replaces configs, each resource by itself.
func (f *Configs) AlterConfigs(c *Call, req *kmsg.AlterConfigsRequest) Reply {
	return Later(func(ctx context.Context) Response {
		resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
		named := make([]resource, len(req.Resources))
		for i, r := range req.Resources {
			named[i] = resource{r.ResourceType, r.ResourceName}
		}
		twice := duplicates(named)
		for i, r := range req.Resources {
			answer := kmsg.NewAlterConfigsResponseResource()
			answer.ResourceType, answer.ResourceName = r.ResourceType, r.ResourceName
			var err error = errDuplicateResource
			if !twice[i] {
				err = f.replace(ctx, named[i], r.Configs, req.ValidateOnly)
			}
			answer.ErrorCode, answer.ErrorMessage = configAnswer(err)
			resp.Resources = append(resp.Resources, answer)
		}
		return resp
	})
}

func (f *Configs) replace(ctx context.Context, r resource, configs []kmsg.AlterConfigsRequestResourceConfig, validateOnly bool) error {
	settings := make(map[string]string, len(configs))
	var names, withoutValue []string
	for _, c := range configs {
		names = append(names, c.Name)
		if c.Value == nil {
			withoutValue = append(withoutValue, c.Name)
			continue
		}
		settings[c.Name] = *c.Value
	}
	if err := checkKeys(names, withoutValue); err != nil {
		return err
	}
	switch r.kind {
	case kmsg.ConfigResourceTypeTopic:
	case kmsg.ConfigResourceTypeBroker:
		if r.name != "" {
			if err := f.thisBroker(r.name, nodeNotANumber, unexpectedBroker); err != nil {
				return err
			}
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		if err := groupNameProblem(r.name); err != nil {
			return err
		}
	case kmsg.ConfigResourceTypeClientMetrics:
		return alterUnsupported(r)
	default:
		return invalidRequest("Unknown resource type %d", r.kind)
	}
	return f.alter(ctx, r, settings, controller.AnyConfig, validateOnly)
}

const (
	nodeNotANumber   = "Node id must be an integer, but it is: %s"
	unexpectedBroker = "Unexpected broker id, expected %d, but received %s"
)

func alterUnsupported(r resource) error {
	return invalidRequest("AlterConfigs is only supported for topics and brokers, but resource type is %s", r.kindName())
}
