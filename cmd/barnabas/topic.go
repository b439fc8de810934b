package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
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
	}
	conn.addTo(cmd)
	cmd.AddCommand(newTopicCreate(conn), newTopicList(conn), newTopicDescribe(conn), newTopicAlter(conn), newTopicDelete(conn))
	return cmd
}

func newTopicCreate(conn *connection) *cobra.Command {
	var partitions int32
	var replicas int16
	var settings []string
	var ifNotExists, validateOnly bool
	cmd := &cobra.Command{
		Use:   "create TOPIC...",
		Short: "Create topics",
		Example: `  barnabas topic create orders
  barnabas topic create orders --partitions 6 --replication-factor 3
  barnabas topic create users --config cleanup.policy=compact --if-not-exists`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, topics []string) error {
			configs, err := pairs("--config", settings)
			if err != nil {
				return err
			}
			cl, err := conn.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			create := cl.adm.CreateTopics
			if validateOnly {
				create = cl.adm.ValidateCreateTopics
			}
			ctx, cancel := cl.limit(cmd.Context())
			defer cancel()
			answers, err := create(ctx, partitions, replicas, configs, topics...)
			if err != nil {
				return cl.explain(err, "create topics", "")
			}
			for _, a := range answers.Sorted() {
				if ifNotExists && errors.Is(a.Err, kerr.TopicAlreadyExists) {
					fmt.Fprintf(cmd.OutOrStdout(), "topic %s exists\n", a.Topic)
					continue
				}
				if a.Err != nil {
					return cl.explain(a.Err, fmt.Sprintf("topic %q", a.Topic), a.ErrMessage)
				}
				verb := "created"
				if validateOnly {
					verb = "could be created"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "topic %s %s", a.Topic, verb)
				if a.NumPartitions > 0 {
					fmt.Fprintf(cmd.OutOrStdout(), " (partitions %d, replication factor %d)", a.NumPartitions, a.ReplicationFactor)
				}
				fmt.Fprintln(cmd.OutOrStdout())
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.Int32VarP(&partitions, "partitions", "p", -1, "number of partitions, -1 for the broker's default")
	f.Int16VarP(&replicas, "replication-factor", "r", -1, "number of replicas of each partition, -1 for the broker's default")
	f.StringArrayVarP(&settings, "config", "c", nil, "a topic setting as key=value; may be given several times")
	f.BoolVar(&ifNotExists, "if-not-exists", false, "be content with topics that exist")
	f.BoolVar(&validateOnly, "validate-only", false, "only check whether the topics could be created")
	return cmd
}

func newTopicList(conn *connection) *cobra.Command {
	var internal, namesOnly bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List topics",
		Example: "  barnabas topic list\n  barnabas topic list --internal --names",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := conn.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			ctx, cancel := cl.limit(cmd.Context())
			defer cancel()
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
				if namesOnly {
					fmt.Fprintln(cmd.OutOrStdout(), t.Topic)
					continue
				}
				rows = append(rows, []string{t.Topic, fmt.Sprint(len(t.Partitions)), fmt.Sprint(t.Partitions.NumReplicas())})
			}
			if namesOnly {
				return nil
			}
			return table(cmd.OutOrStdout(), "TOPIC PARTITIONS REPLICAS", rows)
		},
	}
	cmd.Flags().BoolVar(&internal, "internal", false, "list internal topics too")
	cmd.Flags().BoolVar(&namesOnly, "names", false, "print nothing but names")
	return cmd
}

func newTopicDescribe(conn *connection) *cobra.Command {
	return &cobra.Command{
		Use:     "describe TOPIC...",
		Short:   "Show the partitions of topics and the settings that differ from the defaults",
		Example: "  barnabas topic describe orders",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			cl, err := conn.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			details, err := cl.existing(cmd.Context(), names...)
			if err != nil {
				return err
			}
			ctx, cancel := cl.limit(cmd.Context())
			defer cancel()
			configs, err := cl.adm.DescribeTopicConfigs(ctx, names...)
			if err != nil {
				return cl.explain(err, "settings of topics", "")
			}
			for i, t := range details.Sorted() {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				if err := describeTopic(cmd, t, configs); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func describeTopic(cmd *cobra.Command, t kadm.TopicDetail, configs kadm.ResourceConfigs) error {
	out := cmd.OutOrStdout()
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
	cmd := &cobra.Command{
		Use:     "alter TOPIC",
		Short:   "Add partitions to a topic or change its settings",
		Example: "  barnabas topic alter orders --partitions 12\n  barnabas topic alter orders --config retention.ms=3600000 --delete-config segment.ms",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if partitions == 0 && len(set) == 0 && len(unset) == 0 {
				return errors.New("nothing to change: give --partitions, --config or --delete-config")
			}
			changes, err := alterations(set, unset, nil, nil)
			if err != nil {
				return err
			}
			cl, err := conn.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			topic := args[0]
			if _, err := cl.existing(cmd.Context(), topic); err != nil {
				return err
			}
			if err := growTopic(cmd.Context(), cl, topic, partitions); err != nil {
				return err
			}
			if len(changes) > 0 {
				ctx, cancel := cl.limit(cmd.Context())
				defer cancel()
				answers, err := cl.adm.AlterTopicConfigs(ctx, changes, topic)
				if err := alterError(cl, answers, err, fmt.Sprintf("topic %q", topic), changes, topicDefs); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "topic %s altered\n", topic)
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVarP(&partitions, "partitions", "p", 0, "number of partitions that the topic shall have; it can only grow")
	f.StringArrayVarP(&set, "config", "c", nil, "a setting as key=value; may be given several times")
	f.StringSliceVar(&unset, "delete-config", nil, "settings to put back to their defaults")
	return cmd
}

func growTopic(ctx context.Context, cl *client, topic string, partitions int) error {
	if partitions == 0 {
		return nil
	}
	ctx, cancel := cl.limit(ctx)
	defer cancel()
	answers, err := cl.adm.UpdatePartitions(ctx, partitions, topic)
	if err != nil {
		return cl.explain(err, fmt.Sprintf("topic %q", topic), "")
	}
	for _, a := range answers.Sorted() {
		if a.Err != nil {
			return cl.explain(a.Err, fmt.Sprintf("topic %q", topic), a.ErrMessage)
		}
	}
	return nil
}

func newTopicDelete(conn *connection) *cobra.Command {
	var ifExists bool
	cmd := &cobra.Command{
		Use:     "delete TOPIC...",
		Short:   "Delete topics and all their records",
		Example: "  barnabas topic delete orders",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, topics []string) error {
			cl, err := conn.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			ctx, cancel := cl.limit(cmd.Context())
			defer cancel()
			answers, err := cl.adm.DeleteTopics(ctx, topics...)
			if err != nil {
				return cl.explain(err, "delete topics", "")
			}
			sorted := answers.Sorted()
			for _, a := range sorted {
				if a.Err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "topic %s deleted\n", a.Topic)
				}
			}
			failed := slices.IndexFunc(sorted, func(a kadm.DeleteTopicResponse) bool {
				return a.Err != nil && !(ifExists && errors.Is(a.Err, kerr.UnknownTopicOrPartition))
			})
			if failed >= 0 {
				return cl.topicError(cmd.Context(), sorted[failed].Err, sorted[failed].Topic, sorted[failed].ErrMessage)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&ifExists, "if-exists", false, "be content when a topic does not exist")
	return cmd
}
