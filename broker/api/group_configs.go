package api

import (
	"context"
	"maps"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/config"
)

// The settings of groups (resource type 32) are of Kafka 4.0, and answered as it answers: without the words with which 3.9
// introduces a bad value.

// groupNameMax is the longest name of a group that may have settings, in bytes: the store takes a path of 32,767 bytes, in which
// each may have become three.
const groupNameMax = 10_000

func groupNameProblem(name string) error {
	switch {
	case name == "":
		return invalidRequest("Default group resources are not allowed.")
	case len(name) > groupNameMax:
		return invalidRequest("The name of a group with settings has at most %d bytes.", groupNameMax)
	}
	return nil
}

func (f *Configs) changeGroup(ctx context.Context, r resource, ops []kmsg.IncrementalAlterConfigsRequestResourceConfig, validateOnly bool) error {
	if err := groupNameProblem(r.name); err != nil {
		return err
	}
	for _, op := range ops { // no setting of a group is a list
		if verb := map[kmsg.IncrementalAlterConfigOp]string{opAppend: "APPEND to", opSubtract: "SUBTRACT from"}[op.Op]; verb != "" {
			return &config.Refusal{Err: kerr.InvalidConfig, Message: "Can't " + verb + " key " + op.Name + " because its type is not LIST."}
		}
	}
	return f.edit(ctx, r, entityGroups, r.name, validateOnly, func(stored map[string]string) (map[string]string, error) {
		settings := map[string]string{}
		maps.Copy(settings, stored)
		return settings, applyOps(settings, ops, config.GroupDefs())
	})
}
