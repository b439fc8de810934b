package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/config"
)

func newConfig() *cobra.Command {
	conn := &connection{}
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Describe and alter the settings of topics and brokers",
		Example: `  barnabas config describe topic orders
  barnabas config describe broker 1 --all --synonyms
  barnabas config alter topic orders --set retention.ms=3600000
  barnabas config alter broker default --set log.retention.ms=86400000`,
	}
	conn.addTo(cmd)
	cmd.AddCommand(newConfigDescribe(conn), newConfigAlter(conn))
	return cmd
}

const entityHelp = `TYPE is topic or broker. A broker's NAME is its id, or "default" for the settings of all brokers.`

// entity is what a config command is about.
type entity struct {
	topic  string
	broker []int32 // empty for all brokers
}

func parseEntity(args []string) (entity, error) {
	switch kind := strings.TrimSuffix(args[0], "s"); {
	case kind == "topic":
		return entity{topic: args[1]}, nil
	case kind == "broker" && args[1] == "default":
		return entity{}, nil
	case kind == "broker":
		id, err := strconv.ParseInt(args[1], 10, 32)
		if err != nil {
			return entity{}, fmt.Errorf("broker %q: give its id, a number, or default", args[1])
		}
		return entity{broker: []int32{int32(id)}}, nil
	}
	return entity{}, fmt.Errorf("%q has no settings here: %s", args[0], entityHelp)
}

func (e entity) String() string {
	switch {
	case e.topic != "":
		return fmt.Sprintf("topic %q", e.topic)
	case len(e.broker) > 0:
		return fmt.Sprintf("broker %d", e.broker[0])
	}
	return "default of all brokers"
}

func newConfigDescribe(conn *connection) *cobra.Command {
	var all, synonyms bool
	var keys []string
	cmd := &cobra.Command{
		Use:     "describe TYPE NAME",
		Short:   "Show settings with their values and where they come from",
		Long:    "Show settings with their values and where they come from: those that were set, or with --all every one.\n" + entityHelp,
		Example: "  barnabas config describe topic orders\n  barnabas config describe broker 1 --key log.retention.ms --synonyms",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := parseEntity(args)
			if err != nil {
				return err
			}
			cl, err := conn.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			ctx, cancel := cl.limit(cmd.Context())
			defer cancel()
			var found kadm.ResourceConfigs
			if e.topic != "" {
				found, err = cl.adm.DescribeTopicConfigs(ctx, e.topic)
			} else {
				found, err = cl.adm.DescribeBrokerConfigs(ctx, e.broker...)
			}
			if err != nil {
				return cl.explain(err, e.String(), "")
			}
			for _, r := range found {
				if r.Err != nil && e.topic != "" {
					return cl.topicError(cmd.Context(), r.Err, e.topic, r.ErrMessage)
				} else if r.Err != nil {
					return cl.explain(r.Err, e.String(), r.ErrMessage)
				}
				if err := printConfigs(cmd, r.Configs, all || len(keys) > 0, keys, synonyms); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&all, "all", "a", false, "show the defaults too")
	f.StringSliceVarP(&keys, "key", "k", nil, "show only these settings")
	f.BoolVar(&synonyms, "synonyms", false, "show every place that the value could come from, strongest first")
	return cmd
}

func printConfigs(cmd *cobra.Command, configs []kadm.Config, all bool, keys []string, synonyms bool) error {
	slices.SortFunc(configs, func(a, b kadm.Config) int { return strings.Compare(a.Key, b.Key) })
	var rows [][]string
	for _, c := range configs {
		if len(keys) > 0 && !slices.Contains(keys, c.Key) || !all && c.Source == kmsg.ConfigSourceDefaultConfig {
			continue
		}
		row := []string{c.Key, shownValue(c.Value, c.Sensitive), sourceName(c.Source)}
		if synonyms {
			parts := make([]string, len(c.Synonyms))
			for i, s := range c.Synonyms {
				parts[i] = fmt.Sprintf("%s=%s (%s)", s.Key, shownValue(s.Value, c.Sensitive), sourceName(s.Source))
			}
			row = append(row, orDash(strings.Join(parts, ", ")))
		}
		rows = append(rows, row)
	}
	header := "SETTING VALUE SOURCE"
	if synonyms {
		header += " SYNONYMS"
	}
	return table(cmd.OutOrStdout(), header, rows)
}

func shownValue(value *string, sensitive bool) string {
	switch {
	case sensitive:
		return "(hidden)"
	case value == nil:
		return "(unset)"
	case *value == "":
		return `""`
	}
	return *value
}

func sourceName(s kmsg.ConfigSource) string {
	return strings.ToLower(strings.TrimSuffix(strings.ReplaceAll(s.String(), "_", " "), " CONFIG"))
}

func newConfigAlter(conn *connection) *cobra.Command {
	var set, unset, add, subtract []string
	var validateOnly bool
	cmd := &cobra.Command{
		Use:   "alter TYPE NAME",
		Short: "Change settings while the broker runs",
		Long:  "Change settings while the broker runs.\n" + entityHelp,
		Example: `  barnabas config alter topic orders --set retention.ms=3600000 --delete segment.ms
  barnabas config alter topic orders --append cleanup.policy=compact
  barnabas config alter broker 1 --set max.connections=1000`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := parseEntity(args)
			if err != nil {
				return err
			}
			changes, err := alterations(set, unset, add, subtract)
			if err != nil {
				return err
			}
			if len(changes) == 0 {
				return errors.New("nothing to change: give --set, --delete, --append or --subtract")
			}
			cl, err := conn.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			ctx, cancel := cl.limit(cmd.Context())
			defer cancel()
			var answers kadm.AlterConfigsResponses
			defs := brokerDefs
			switch {
			case e.topic != "" && validateOnly:
				answers, err = cl.adm.ValidateAlterTopicConfigs(ctx, changes, e.topic)
			case e.topic != "":
				answers, err = cl.adm.AlterTopicConfigs(ctx, changes, e.topic)
			case validateOnly:
				answers, err = cl.adm.ValidateAlterBrokerConfigs(ctx, changes, e.broker...)
			default:
				answers, err = cl.adm.AlterBrokerConfigs(ctx, changes, e.broker...)
			}
			if e.topic != "" {
				defs = topicDefs
				for _, a := range answers {
					if errors.Is(a.Err, kerr.UnknownTopicOrPartition) {
						return cl.topicError(cmd.Context(), a.Err, e.topic, a.ErrMessage)
					}
				}
			}
			if err := alterError(cl, answers, err, e.String(), changes, defs); err != nil {
				return err
			}
			verb := "altered"
			if validateOnly {
				verb = "could be altered"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", e, verb)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&set, "set", "s", nil, "a setting as key=value; may be given several times")
	f.StringSliceVarP(&unset, "delete", "d", nil, "settings to put back to their defaults")
	f.StringArrayVar(&add, "append", nil, "values to add to a list, as key=a,b")
	f.StringArrayVar(&subtract, "subtract", nil, "values to take from a list, as key=a,b")
	f.BoolVar(&validateOnly, "validate-only", false, "only check whether the settings could be changed")
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

// alterError explains why settings were not changed; a name that does not exist is answered with the nearest.
func alterError(cl *client, answers kadm.AlterConfigsResponses, err error, what string, changes []kadm.AlterConfig, defs func() *config.Defs) error {
	if err != nil {
		return cl.explain(err, what, "")
	}
	for _, a := range answers {
		if a.Err == nil {
			continue
		}
		explained := cl.explain(a.Err, what, a.ErrMessage)
		for _, c := range changes {
			if near := config.Nearest(c.Name, defs()); defs().Get(c.Name) == nil && near != "" {
				return fmt.Errorf("%w; did you mean %s?", explained, near)
			}
		}
		return explained
	}
	return nil
}
