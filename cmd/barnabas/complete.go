package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"barnabas/broker/config"
)

// completionTime is how long a press of the tab key may wait for the cluster.
const completionTime = 2 * time.Second

// completeTopics completes arguments to topics of the cluster.
func (c *connection) completeTopics(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return c.complete(cmd, args, func(ctx context.Context, cl *client) ([]string, error) {
		topics, err := cl.adm.ListTopics(ctx)
		return topics.Names(), err
	})
}

// completeGroups completes arguments to groups of the cluster.
func (c *connection) completeGroups(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return c.complete(cmd, args, func(ctx context.Context, cl *client) ([]string, error) {
		groups, err := cl.adm.ListGroups(ctx)
		return groups.Groups(), err
	})
}

// complete offers names that are not arguments yet, and nothing when the cluster does not answer.
func (c *connection) complete(cmd *cobra.Command, args []string, list func(context.Context, *client) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	quick := *c
	quick.timeout = min(c.timeout, completionTime)
	ctx, cancel := context.WithTimeout(cmd.Context(), quick.timeout)
	defer cancel()
	cl, err := quick.open(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer cl.Close()
	names, err := list(ctx, cl)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(args, name) }), cobra.ShellCompDirectiveNoFileComp
}

// completeWords completes a flag to one of a few words.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
}

// completeSettings completes flags to the names of settings.
func completeSettings(cmd *cobra.Command, defs func() *config.Defs, flags ...string) {
	for _, flag := range flags {
		must(cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, d := range defs().All() {
				names = append(names, d.Name)
			}
			return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}))
	}
}

// must holds an invariant of this program: a flag that is completed exists.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
