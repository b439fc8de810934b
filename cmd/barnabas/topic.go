package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker/config"
)

func newTopic() *cobra.Command {
	conn := &connection{}
	cmd := &cobra.Command{
		Use:   "topic",
		Short: "Create, list, describe, alter and delete topics",
		Example: `  barnabas topic create orders --partitions 6 --config retention.ms=86400000
  barnabas topic list
  barnabas topic describe orders
  barnabas topic alter orders --partitions 12 --config retention.ms=3600000 --delete-config segment.ms
  barnabas topic delete orders`,
		Aliases: []string{"topics"},
	}
	conn.addTo(cmd)
	return chooses(cmd, newTopicCreate(conn), newTopicList(conn), newTopicDescribe(conn), newTopicAlter(conn), newTopicDelete(conn))
}

func newTopicCreate(conn *connection) *cobra.Command {
	var partitions int32
	var replicas int16
	var settings []string
	var configs map[string]*string
	var ifNotExists, validateOnly bool
	cmd := &cobra.Command{
		Use:   "create TOPIC...",
		Short: "Create topics",
		Example: `  barnabas topic create orders
  barnabas topic create orders --partitions 6 --replication-factor 3
  barnabas topic create users --config cleanup.policy=compact --if-not-exists`,
		Args:              arguments(1, -1),
		ValidArgsFunction: cobra.NoFileCompletions,
		PreRunE: func(*cobra.Command, []string) (err error) {
			configs, err = pairs("--config", settings)
			return err
		},
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, topics []string) error {
			create, verb := cl.adm.CreateTopics, "created"
			if validateOnly {
				create, verb = cl.adm.ValidateCreateTopics, "could be created"
			}
			answers, err := create(ctx, partitions, replicas, configs, topics...)
			if err != nil {
				return cl.explain(err, "create topics", "")
			}
			var failed error
			for _, a := range answers.Sorted() {
				switch {
				case a.Err == nil && a.NumPartitions > 0:
					fmt.Fprintf(cmd.OutOrStdout(), "topic %s %s (partitions %d, replication factor %d)\n", a.Topic, verb, a.NumPartitions, a.ReplicationFactor)
				case a.Err == nil:
					fmt.Fprintf(cmd.OutOrStdout(), "topic %s %s\n", a.Topic, verb)
				case ifNotExists && errors.Is(a.Err, kerr.TopicAlreadyExists):
					fmt.Fprintf(cmd.OutOrStdout(), "topic %s exists\n", a.Topic)
				default:
					failed = errors.Join(failed, meant(cl.explain(a.Err, fmt.Sprintf("topic %q", a.Topic), a.ErrMessage), slices.Sorted(maps.Keys(configs)), config.TopicDefs()))
				}
			}
			return failed
		}),
	}
	f := cmd.Flags()
	f.Int32VarP(&partitions, "partitions", "p", -1, "number of partitions, -1 for the broker's default")
	f.Int16VarP(&replicas, "replication-factor", "r", -1, "number of replicas of each partition, -1 for the broker's default")
	f.StringArrayVarP(&settings, "config", "c", nil, "a topic setting as key=value; may be given several times")
	f.BoolVar(&ifNotExists, "if-not-exists", false, "be content with topics that exist")
	f.BoolVar(&validateOnly, "validate-only", false, "only check whether the topics could be created")
	completeSettings(cmd, config.TopicDefs, "config")
	return cmd
}

func newTopicList(conn *connection) *cobra.Command {
	var internal, namesOnly bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List topics",
		Example: "  barnabas topic list\n  barnabas topic list --internal --names",
		Args:    arguments(0, 0),
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, _ []string) error {
			list := cl.adm.ListTopics
			if internal {
				list = cl.adm.ListTopicsWithInternal
			}
			topics, err := list(ctx)
			if err != nil {
				return cl.explain(err, "list topics", "")
			}
			var rows [][]string
			for _, t := range topics.Sorted() {
				rows = append(rows, []string{t.Topic, fmt.Sprint(len(t.Partitions)), fmt.Sprint(t.Partitions.NumReplicas())})
			}
			if !namesOnly {
				return table(cmd.OutOrStdout(), "TOPIC PARTITIONS REPLICAS", rows)
			}
			for _, row := range rows {
				fmt.Fprintln(cmd.OutOrStdout(), row[0])
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&internal, "internal", false, "list internal topics too")
	cmd.Flags().BoolVar(&namesOnly, "names", false, "print nothing but names")
	return cmd
}

func newTopicDescribe(conn *connection) *cobra.Command {
	return &cobra.Command{
		Use:               "describe [TOPIC...]",
		Short:             "Show the partitions of topics and the settings that differ from the defaults",
		Example:           "  barnabas topic describe orders\n  barnabas topic describe",
		ValidArgsFunction: conn.completeTopics,
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, names []string) error {
			details, err := cl.existing(ctx, names...)
			if err != nil {
				return err
			}
			if len(names) == 0 {
				details.FilterInternal()
				if names = details.Names(); len(names) == 0 {
					return nil
				}
			}
			configs, err := cl.adm.DescribeTopicConfigs(ctx, names...)
			if err != nil {
				return cl.explain(err, "settings of topics", "")
			}
			for i, t := range details.Sorted() {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				if err := describeTopic(cmd.OutOrStdout(), t, configs); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func describeTopic(out io.Writer, t kadm.TopicDetail, configs kadm.ResourceConfigs) error {
	fmt.Fprintf(out, "topic %s\n", t.Topic)
	if t.ID != (kadm.TopicID{}) {
		fmt.Fprintf(out, "id %s\n", base64.RawURLEncoding.EncodeToString(t.ID[:])) // as Kafka prints it
	}
	for _, r := range configs {
		if r.Name != t.Topic {
			continue
		}
		for _, c := range r.Configs {
			if c.Source == kmsg.ConfigSourceDynamicTopicConfig {
				fmt.Fprintf(out, "%s=%s\n", c.Key, c.MaybeValue())
			}
		}
	}
	var rows [][]string
	for _, p := range t.Partitions.Sorted() {
		leader := "none"
		if p.Leader >= 0 {
			leader = fmt.Sprint(p.Leader)
		}
		rows = append(rows, []string{fmt.Sprint(p.Partition), leader, fmt.Sprint(p.LeaderEpoch), ids(p.Replicas), ids(p.ISR), ids(p.OfflineReplicas)})
	}
	return table(out, "PARTITION LEADER EPOCH REPLICAS ISR OFFLINE", rows)
}

func newTopicAlter(conn *connection) *cobra.Command {
	var partitions int
	var set, unset []string
	var changes []kmsg.IncrementalAlterConfigsRequestResourceConfig
	cmd := &cobra.Command{
		Use:               "alter TOPIC",
		Short:             "Add partitions to a topic or change its settings",
		Example:           "  barnabas topic alter orders --partitions 12\n  barnabas topic alter orders --config retention.ms=3600000 --delete-config segment.ms",
		Args:              arguments(1, 1),
		ValidArgsFunction: conn.completeTopics,
		PreRunE: func(*cobra.Command, []string) (err error) {
			if partitions == 0 && len(set) == 0 && len(unset) == 0 {
				return errors.New("nothing to change: give --partitions, --config or --delete-config")
			}
			changes, err = alterations(set, unset, nil, nil)
			return err
		},
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, args []string) error {
			e := topicEntity(args[0])
			if _, err := cl.existing(ctx, e.name); err != nil {
				return err
			}
			if partitions != 0 {
				answers, err := cl.adm.UpdatePartitions(ctx, partitions, e.name)
				if err != nil {
					return cl.explain(err, e.String(), "")
				}
				for _, a := range answers {
					if a.Err != nil {
						return cl.explain(a.Err, e.String(), a.ErrMessage)
					}
				}
			}
			if len(changes) > 0 {
				if err := cl.alter(ctx, e, changes, false); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "topic %s altered\n", e.name)
			return nil
		}),
	}
	f := cmd.Flags()
	f.IntVarP(&partitions, "partitions", "p", 0, "number of partitions that the topic shall have; it can only grow")
	f.StringArrayVarP(&set, "config", "c", nil, "a setting as key=value; may be given several times")
	f.StringSliceVar(&unset, "delete-config", nil, "settings to put back to their defaults")
	completeSettings(cmd, config.TopicDefs, "config", "delete-config")
	return cmd
}

func newTopicDelete(conn *connection) *cobra.Command {
	var ifExists bool
	cmd := &cobra.Command{
		Use:               "delete TOPIC...",
		Short:             "Delete topics and all their records",
		Example:           "  barnabas topic delete orders",
		Args:              arguments(1, -1),
		ValidArgsFunction: conn.completeTopics,
		RunE: conn.ask(func(ctx context.Context, cmd *cobra.Command, cl *client, topics []string) error {
			answers, err := cl.adm.DeleteTopics(ctx, topics...)
			if err != nil {
				return cl.explain(err, "delete topics", "")
			}
			var failed error
			for _, a := range answers.Sorted() {
				switch {
				case a.Err == nil:
					fmt.Fprintf(cmd.OutOrStdout(), "topic %s deleted\n", a.Topic)
				case ifExists && errors.Is(a.Err, kerr.UnknownTopicOrPartition):
				default:
					failed = errors.Join(failed, cl.topicError(ctx, a.Err, a.Topic, a.ErrMessage))
				}
			}
			return failed
		}),
	}
	cmd.Flags().BoolVar(&ifExists, "if-exists", false, "be content when a topic does not exist")
	return cmd
}
