package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
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
		Aliases: []string{"configs"},
	}
	conn.addTo(cmd)
	return chooses(cmd, newConfigDescribe(conn), newConfigAlter(conn))
}

const entityHelp = `TYPE is topic or broker. A broker's NAME is its id, or "default" for the settings of all brokers.`

// entityArguments checks the two arguments before anybody is asked.
func entityArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 2 && strings.Contains(args[2], "=") {
		return fmt.Errorf("%q: settings are changed with barnabas config alter %s %s --set %s", args[2], args[0], args[1], args[2])
	}
	if err := arguments(2, 2)(cmd, args); err != nil {
		return err
	}
	_, err := parseEntity(args)
	return err
}

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

func (e entity) defs() *config.Defs {
	if e.topic != "" {
		return topicDefs()
	}
	return brokerDefs()
}

// completeEntity completes a TYPE, then a NAME.
func (c *connection) completeEntity(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(args) == 0:
		return []string{"topic", "broker"}, cobra.ShellCompDirectiveNoFileComp
	case len(args) == 1 && args[0] == "topic":
		return c.completeTopics(cmd, nil, typed)
	case len(args) == 1 && args[0] == "broker":
		return []string{"default"}, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func newConfigDescribe(conn *connection) *cobra.Command {
	var all, synonyms bool
	var keys []string
	cmd := &cobra.Command{
		Use:               "describe TYPE NAME",
		Short:             "Show settings with their values and where they come from",
		Long:              "Show settings with their values and where they come from: those that were set, or with --all every one.\n" + entityHelp,
		Example:           "  barnabas config describe topic orders\n  barnabas config describe broker 1 --key log.retention.ms --synonyms",
		Args:              entityArguments,
		ValidArgsFunction: conn.completeEntity,
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, args []string) error {
			e, err := parseEntity(args)
			if err != nil {
				return err
			}
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
				if r.Err != nil {
					return cl.entityError(ctx, r.Err, e, r.ErrMessage)
				}
				if err := knownKeys(e, keys, r.Configs); err != nil {
					return err
				}
				if err := printConfigs(cmd, r.Configs, all || len(keys) > 0, keys, synonyms); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.BoolVarP(&all, "all", "a", false, "show the defaults too")
	f.StringSliceVarP(&keys, "key", "k", nil, "show only these settings")
	f.BoolVar(&synonyms, "synonyms", false, "show every place that the value could come from, strongest first")
	completeSettings(cmd, brokerDefs, "key")
	return cmd
}

// knownKeys fails on a setting that was asked for and that neither the cluster nor this program knows.
func knownKeys(e entity, keys []string, configs []kadm.Config) error {
	for _, k := range keys {
		if e.defs().Get(k) != nil || slices.ContainsFunc(configs, func(c kadm.Config) bool { return c.Key == k }) {
			continue
		}
		if near := config.Nearest(k, e.defs()); near != "" {
			return fmt.Errorf("%s has no setting %s; did you mean %s?", e, k, near)
		}
		return fmt.Errorf("%s has no setting %s", e, k)
	}
	return nil
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
	if len(rows) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "nothing is set: --all shows the defaults")
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
