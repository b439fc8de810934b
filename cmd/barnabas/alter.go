package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/config"
)

func newConfigAlter(conn *connection) *cobra.Command {
	var set, unset, add, subtract []string
	var changes []kmsg.IncrementalAlterConfigsRequestResourceConfig
	var validateOnly bool
	cmd := &cobra.Command{
		Use:   "alter TYPE NAME",
		Short: "Change settings while the broker runs",
		Long:  "Change settings while the broker runs.\n" + entityHelp,
		Example: `  barnabas config alter topic orders --set retention.ms=3600000 --delete segment.ms
  barnabas config alter topic orders --append cleanup.policy=compact
  barnabas config alter broker 1 --set max.connections=1000`,
		Args:              entityArguments,
		ValidArgsFunction: conn.completeEntity,
		PreRunE: func(*cobra.Command, []string) (err error) {
			if changes, err = alterations(set, unset, add, subtract); err == nil && len(changes) == 0 {
				err = errors.New("nothing to change: give --set, --delete, --append or --subtract")
			}
			return err
		},
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, args []string) error {
			e, err := parseEntity(args)
			if err != nil {
				return err
			}
			if err := cl.alter(ctx, e, changes, validateOnly); err != nil {
				return err
			}
			verb := "altered"
			if validateOnly {
				verb = "could be altered"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", e, verb)
			return nil
		}),
	}
	f := cmd.Flags()
	f.StringArrayVarP(&set, "set", "s", nil, "a setting as key=value; may be given several times")
	f.StringSliceVarP(&unset, "delete", "d", nil, "settings to put back to their defaults")
	f.StringArrayVar(&add, "append", nil, "values to add to a list, as key=a,b")
	f.StringArrayVar(&subtract, "subtract", nil, "values to take from a list, as key=a,b")
	f.BoolVar(&validateOnly, "validate-only", false, "only check whether the settings could be changed")
	completeSettings(cmd, config.BrokerDefs, "set", "delete", "append", "subtract")
	return cmd
}

// alterations collects the changes that flags ask for.
func alterations(set, unset, add, subtract []string) ([]kmsg.IncrementalAlterConfigsRequestResourceConfig, error) {
	var changes []kmsg.IncrementalAlterConfigsRequestResourceConfig
	change := func(op kmsg.IncrementalAlterConfigOp, name string, value *string) {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Op, c.Name, c.Value = op, name, value
		changes = append(changes, c)
	}
	for _, f := range []struct {
		flag string
		list []string
		op   kmsg.IncrementalAlterConfigOp
	}{
		{"setting", set, kmsg.IncrementalAlterConfigOpSet}, {"list", add, kmsg.IncrementalAlterConfigOpAppend},
		{"list", subtract, kmsg.IncrementalAlterConfigOpSubtract},
	} {
		for _, text := range f.list {
			kv, err := pairs(f.flag, []string{text})
			if err != nil {
				return nil, err
			}
			for k, v := range kv {
				change(f.op, k, v)
			}
		}
	}
	for _, k := range unset {
		change(kmsg.IncrementalAlterConfigOpDelete, k, nil)
	}
	return changes, nil
}

// alter changes settings, or only asks whether they could be changed.
func (c *client) alter(ctx context.Context, e entity, changes []kmsg.IncrementalAlterConfigsRequestResourceConfig, validateOnly bool) error {
	altered := kmsg.NewIncrementalAlterConfigsRequestResource()
	altered.ResourceType, altered.ResourceName, altered.Configs = e.kind, e.name, changes
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = validateOnly
	req.Resources = append(req.Resources, altered)
	resp, err := req.RequestWith(ctx, c.Client)
	if err != nil {
		return c.explain(err, e.String(), "")
	}
	for _, r := range resp.Resources {
		if err := c.entityError(ctx, e, r.ErrorCode, r.ErrorMessage); err != nil {
			var names []string
			for _, change := range changes {
				names = append(names, change.Name)
			}
			return meant(err, names, e.defs())
		}
	}
	return nil
}

// entityError explains what was answered for an entity; nil if that is no error.
func (c *client) entityError(ctx context.Context, e entity, code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	said := ""
	if message != nil {
		said = *message
	}
	switch {
	case err == nil:
		return nil
	case e.kind == kmsg.ConfigResourceTypeTopic:
		return c.topicError(ctx, err, e.name, said)
	}
	return c.explain(err, e.String(), said)
}

// meant adds to the refusal of settings the nearest name of the first that does not exist.
func meant(refusal error, names []string, defs *config.Defs) error {
	for _, name := range names {
		if near := config.Nearest(name, defs); defs.Get(name) == nil && near != "" {
			return fmt.Errorf("%w; did you mean %s?", refusal, near)
		}
	}
	return refusal
}
