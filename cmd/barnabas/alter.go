package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"barnabas/broker/config"
)

func newConfigAlter(conn *connection) *cobra.Command {
	var set, unset, add, subtract []string
	var changes []kadm.AlterConfig
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
	completeSettings(cmd, brokerDefs, "set", "delete", "append", "subtract")
	return cmd
}

// alterations collects the changes that flags ask for.
func alterations(set, unset, add, subtract []string) ([]kadm.AlterConfig, error) {
	var changes []kadm.AlterConfig
	for _, f := range []struct {
		flag string
		list []string
		op   kadm.IncrementalOp
	}{{"setting", set, kadm.SetConfig}, {"list", add, kadm.AppendConfig}, {"list", subtract, kadm.SubtractConfig}} {
		for _, text := range f.list {
			kv, err := pairs(f.flag, []string{text})
			if err != nil {
				return nil, err
			}
			for k, v := range kv {
				changes = append(changes, kadm.AlterConfig{Op: f.op, Name: k, Value: v})
			}
		}
	}
	for _, k := range unset {
		changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: k})
	}
	return changes, nil
}

var (
	topicDefs  = config.TopicDefs
	brokerDefs = config.BrokerDefs
)

// alter changes settings, or only asks whether they could be changed.
func (c *client) alter(ctx context.Context, e entity, changes []kadm.AlterConfig, validateOnly bool) error {
	var answers kadm.AlterConfigsResponses
	var err error
	switch {
	case e.topic != "" && validateOnly:
		answers, err = c.adm.ValidateAlterTopicConfigs(ctx, changes, e.topic)
	case e.topic != "":
		answers, err = c.adm.AlterTopicConfigs(ctx, changes, e.topic)
	case validateOnly:
		answers, err = c.adm.ValidateAlterBrokerConfigs(ctx, changes, e.broker...)
	default:
		answers, err = c.adm.AlterBrokerConfigs(ctx, changes, e.broker...)
	}
	if err != nil {
		return c.explain(err, e.String(), "")
	}
	for _, a := range answers {
		if a.Err != nil {
			var names []string
			for _, change := range changes {
				names = append(names, change.Name)
			}
			return meant(c.entityError(ctx, a.Err, e, a.ErrMessage), names, e.defs())
		}
	}
	return nil
}

func (c *client) entityError(ctx context.Context, err error, e entity, message string) error {
	if e.topic != "" {
		return c.topicError(ctx, err, e.topic, message)
	}
	return c.explain(err, e.String(), message)
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
