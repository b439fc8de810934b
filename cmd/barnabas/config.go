package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/config"
)

func newConfig() *cobra.Command {
	conn := &connection{}
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Describe and alter the settings of topics, brokers and groups",
		Example: `  barnabas config describe topic orders
  barnabas config describe broker 1 --all --synonyms
  barnabas config alter topic orders --set retention.ms=3600000
  barnabas config alter broker default --set log.retention.ms=86400000
  barnabas config alter group payments --set consumer.session.timeout.ms=60000`,
		Aliases: []string{"configs"},
	}
	conn.addTo(cmd)
	return chooses(cmd, newConfigDescribe(conn), newConfigAlter(conn))
}

const entityHelp = `TYPE is topic, broker or group. A broker's NAME is its id, or "default" for the settings of all brokers.`

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
	kind kmsg.ConfigResourceType
	name string // "" for all brokers
}

func topicEntity(name string) entity { return entity{kmsg.ConfigResourceTypeTopic, name} }

func parseEntity(args []string) (entity, error) {
	switch kind := strings.TrimSuffix(args[0], "s"); {
	case kind == "topic":
		return topicEntity(args[1]), nil
	case kind == "group":
		return entity{kmsg.ConfigResourceTypeGroupConfig, args[1]}, nil
	case kind == "broker" && args[1] == "default":
		return entity{kmsg.ConfigResourceTypeBroker, ""}, nil
	case kind == "broker":
		id, err := strconv.ParseInt(args[1], 10, 32)
		if err != nil {
			return entity{}, fmt.Errorf("broker %q: give its id, a number, or default", args[1])
		}
		return entity{kmsg.ConfigResourceTypeBroker, strconv.FormatInt(id, 10)}, nil
	}
	return entity{}, fmt.Errorf("%q has no settings here: %s", args[0], entityHelp)
}

func (e entity) String() string {
	switch {
	case e.kind == kmsg.ConfigResourceTypeTopic:
		return fmt.Sprintf("topic %q", e.name)
	case e.kind == kmsg.ConfigResourceTypeGroupConfig:
		return fmt.Sprintf("group %q", e.name)
	case e.name != "":
		return "broker " + e.name
	}
	return "default of all brokers"
}

func (e entity) defs() *config.Defs {
	switch e.kind {
	case kmsg.ConfigResourceTypeTopic:
		return config.TopicDefs()
	case kmsg.ConfigResourceTypeGroupConfig:
		return config.GroupDefs()
	}
	return config.BrokerDefs()
}

// completeEntity completes a TYPE, then a NAME.
func (c *connection) completeEntity(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(args) == 0:
		return []string{"topic", "broker", "group"}, cobra.ShellCompDirectiveNoFileComp
	case len(args) == 1 && args[0] == "topic":
		return c.completeTopics(cmd, nil, typed)
	case len(args) == 1 && args[0] == "group":
		return c.completeGroups(cmd, nil, typed)
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
			configs, err := cl.describe(ctx, e)
			if err != nil {
				return err
			}
			if err := knownKeys(e, keys, configs); err != nil {
				return err
			}
			return printConfigs(cmd, configs, all || len(keys) > 0, keys, synonyms)
		}),
	}
	f := cmd.Flags()
	f.BoolVarP(&all, "all", "a", false, "show the defaults too")
	f.StringSliceVarP(&keys, "key", "k", nil, "show only these settings")
	f.BoolVar(&synonyms, "synonyms", false, "show every place that the value could come from, strongest first")
	completeSettings(cmd, config.BrokerDefs, "key")
	return cmd
}

// describe gives the settings of an entity.
func (c *client) describe(ctx context.Context, e entity) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	asked := kmsg.NewDescribeConfigsRequestResource()
	asked.ResourceType, asked.ResourceName = e.kind, e.name
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = true
	req.Resources = append(req.Resources, asked)
	resp, err := req.RequestWith(ctx, c.Client)
	if err != nil {
		return nil, c.explain(err, e.String(), "")
	}
	var found []kmsg.DescribeConfigsResponseResourceConfig
	for _, r := range resp.Resources {
		if err := c.entityError(ctx, e, r.ErrorCode, r.ErrorMessage); err != nil {
			return nil, err
		}
		found = append(found, r.Configs...)
	}
	return found, nil
}

// knownKeys fails on a setting that was asked for and that neither the cluster nor this program knows.
func knownKeys(e entity, keys []string, configs []kmsg.DescribeConfigsResponseResourceConfig) error {
	for _, k := range keys {
		if e.defs().Get(k) != nil || slices.ContainsFunc(configs, func(c kmsg.DescribeConfigsResponseResourceConfig) bool { return c.Name == k }) {
			continue
		}
		if near := config.Nearest(k, e.defs()); near != "" {
			return fmt.Errorf("%s has no setting %s; did you mean %s?", e, k, near)
		}
		return fmt.Errorf("%s has no setting %s", e, k)
	}
	return nil
}

func printConfigs(cmd *cobra.Command, configs []kmsg.DescribeConfigsResponseResourceConfig, all bool, keys []string, synonyms bool) error {
	slices.SortFunc(configs, func(a, b kmsg.DescribeConfigsResponseResourceConfig) int { return strings.Compare(a.Name, b.Name) })
	var rows [][]string
	for _, c := range configs {
		if len(keys) > 0 && !slices.Contains(keys, c.Name) || !all && c.Source == kmsg.ConfigSourceDefaultConfig {
			continue
		}
		row := []string{c.Name, shownValue(c.Value, c.IsSensitive), sourceName(c.Source)}
		if synonyms {
			parts := make([]string, len(c.ConfigSynonyms))
			for i, s := range c.ConfigSynonyms {
				parts[i] = fmt.Sprintf("%s=%s (%s)", s.Name, shownValue(s.Value, c.IsSensitive), sourceName(s.Source))
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
