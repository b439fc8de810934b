package api

// IncrementalAlterConfigs (key 44): changes single settings of a topic, broker or group, or log levels (KIP-339,
// KIP-412, KIP-848).
//
//	v0  set, delete, append to and subtract from a list
//	v1  tagged fields (KIP-482)

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/config"
)

// What an entry of the request does.
const (
	opSet      kmsg.IncrementalAlterConfigOp = 0
	opDelete   kmsg.IncrementalAlterConfigOp = 1
	opAppend   kmsg.IncrementalAlterConfigOp = 2
	opSubtract kmsg.IncrementalAlterConfigOp = 3
)

// IncrementalAlterConfigs changes settings, each resource by itself.
func (f *Configs) IncrementalAlterConfigs(c *Call, req *kmsg.IncrementalAlterConfigsRequest) Reply {
	return Later(func(ctx context.Context) Response {
		resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
		named := make([]resource, len(req.Resources))
		for i, r := range req.Resources {
			named[i] = resource{r.ResourceType, r.ResourceName}
		}
		twice := duplicates(named)
		for i, r := range req.Resources {
			answer := kmsg.NewIncrementalAlterConfigsResponseResource()
			answer.ResourceType, answer.ResourceName = r.ResourceType, r.ResourceName
			var err error = errDuplicateResource
			if !twice[i] {
				err = f.change(ctx, named[i], r.Configs, req.ValidateOnly)
			}
			answer.ErrorCode, answer.ErrorMessage = configAnswer(err)
			resp.Resources = append(resp.Resources, answer)
		}
		return resp
	})
}

func (f *Configs) change(ctx context.Context, r resource, ops []kmsg.IncrementalAlterConfigsRequestResourceConfig, validateOnly bool) error {
	var names, withoutValue []string
	for _, op := range ops {
		names = append(names, op.Name)
		if op.Value == nil && op.Op != opDelete {
			withoutValue = append(withoutValue, op.Name)
		}
	}
	if err := checkKeys(names, withoutValue); err != nil {
		return err
	}
	switch r.kind {
	case kmsg.ConfigResourceTypeTopic:
		if r.name == "" {
			return invalidRequest("Default topic resources are not allowed.")
		}
		return f.changeTopic(ctx, r, ops, validateOnly)
	case kmsg.ConfigResourceTypeBroker:
		if r.name != "" {
			if err := f.thisBroker(r.name, nodeNotANumber, unexpectedBroker); err != nil {
				return err
			}
		}
		return f.changeBroker(ctx, r, ops, validateOnly)
	case kmsg.ConfigResourceTypeGroupConfig:
		return f.changeGroup(ctx, r, ops, validateOnly)
	case kmsg.ConfigResourceTypeBrokerLogger:
		return f.changeLoggers(r, ops, validateOnly)
	case kmsg.ConfigResourceTypeClientMetrics:
		return alterUnsupported(r)
	default:
		return invalidRequest("Unknown resource type %d", r.kind)
	}
}

func (f *Configs) changeTopic(ctx context.Context, r resource, ops []kmsg.IncrementalAlterConfigsRequestResourceConfig, validateOnly bool) error {
	if topicNameProblem(r.name) != "" { // a name that cannot be a topic's may not be one for the store either
		return f.checkTopic(r, nil)
	}
	return f.edit(ctx, r, entityTopics, r.name, validateOnly, func(stored map[string]string) (map[string]string, error) {
		settings := maps.Clone(stored)
		if settings == nil {
			settings = map[string]string{}
		}
		return settings, applyOps(settings, ops, config.TopicDefs())
	})
}

func (f *Configs) changeBroker(ctx context.Context, r resource, ops []kmsg.IncrementalAlterConfigsRequestResourceConfig, validateOnly bool) error {
	for _, op := range ops {
		if op.Op < opSet || op.Op > opSubtract {
			return invalidRequest("Unknown operations type %d", op.Op)
		}
	}
	return f.edit(ctx, r, entityBrokers, r.entity(), validateOnly, func(stored map[string]string) (map[string]string, error) {
		settings := config.Usable(stored, r.name != "")
		return settings, applyOps(settings, ops, config.BrokerDefs())
	})
}

// applyOps edits settings. Kafka answers an operation that it does not know, and a list operation on a setting that it
// does not know, with UNKNOWN_SERVER_ERROR.
func applyOps(settings map[string]string, ops []kmsg.IncrementalAlterConfigsRequestResourceConfig, defs *config.Defs) error {
	for _, op := range ops {
		switch op.Op {
		case opSet:
			settings[op.Name] = *op.Value
		case opDelete:
			delete(settings, op.Name)
		case opAppend, opSubtract:
			def := defs.Get(op.Name)
			if def == nil {
				return kerr.UnknownServerError
			}
			verb := map[bool]string{true: "append", false: "subtract"}[op.Op == opAppend]
			if def.Type != config.List {
				return &config.Refusal{Err: kerr.InvalidConfig, Message: "Config value " + verb + " is not allowed for config key: " + op.Name}
			}
			list := listOf(settings, def)
			change := javaSplit(*op.Value)
			if op.Op == opAppend {
				list = appended(list, change)
			} else {
				list = subtracted(list, change)
			}
			settings[op.Name] = strings.Join(list, ",")
		default:
			return kerr.UnknownServerError
		}
	}
	return nil
}

// listOf is a list's value before the change: what is stored, else the definition's default.
func listOf(settings map[string]string, def *config.Def) []string {
	value, ok := settings[def.Name]
	if !ok && def.Default != nil {
		value = *def.Default
	}
	if value == "" {
		return nil
	}
	return javaSplit(value)
}

// javaSplit splits at commas as Java does: empty elements at the end are dropped, but what has no comma stays as it is.
func javaSplit(text string) []string {
	if !strings.Contains(text, ",") {
		return []string{text}
	}
	list := strings.Split(text, ",")
	for len(list) > 0 && list[len(list)-1] == "" {
		list = list[:len(list)-1]
	}
	return list
}

// appended adds what is not there yet.
func appended(list, more []string) []string {
	had := slices.Clone(list)
	for _, e := range more {
		if !slices.Contains(had, e) {
			list = append(list, e)
		}
	}
	return list
}

// subtracted takes each element away once.
func subtracted(list, less []string) []string {
	list = slices.Clone(list)
	for _, e := range less {
		if i := slices.Index(list, e); i >= 0 {
			list = slices.Delete(list, i, i+1)
		}
	}
	return list
}

// changeLoggers checks all operations before it does the first.
func (f *Configs) changeLoggers(r resource, ops []kmsg.IncrementalAlterConfigsRequestResourceConfig, validateOnly bool) error {
	// Kafka's text names the broker's own id twice; tools show it as it is, so it stays.
	if err := f.thisBroker(r.name, nodeNotANumber, "Unexpected node id. Expected %[1]d, but received %[1]d"); err != nil {
		return err
	}
	for _, op := range ops {
		var err error
		switch op.Op {
		case opSet:
			err = f.Loggers.CheckSet(op.Name, *op.Value)
		case opDelete:
			err = f.Loggers.CheckUnset(op.Name)
		case opAppend:
			err = invalidRequest("APPEND operation is not allowed for the BROKER_LOGGER resource")
		case opSubtract:
			err = invalidRequest("SUBTRACT operation is not allowed for the BROKER_LOGGER resource")
		default:
			err = invalidRequest("Unknown operation type %d is not allowed for the BROKER_LOGGER resource", op.Op)
		}
		if err != nil {
			return err
		}
	}
	if validateOnly {
		return nil
	}
	for _, op := range ops {
		var err error
		if op.Op == opSet {
			err = f.Loggers.Set(op.Name, *op.Value)
		} else {
			err = f.Loggers.Unset(op.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
