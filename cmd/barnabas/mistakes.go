package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"barnabas/broker/config"
)

// arguments checks how many there are; most below 0 is no limit.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("usage: %s (--help says more)", cmd.UseLine())
		case most >= 0 && len(args) > most:
			return fmt.Errorf("%q is one argument too many; usage: %s", args[most], cmd.UseLine())
		case slices.Contains(args, ""): // of a variable that is not set, mostly; some requests take it for "all"
			return fmt.Errorf("an argument is empty; usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// chooses makes a command that is nothing without one of its subcommands: alone it prints its
// help. Without any given it has them already.
func chooses(cmd *cobra.Command, subcommands ...*cobra.Command) *cobra.Command {
	if len(subcommands) > 0 {
		cmd.AddCommand(subcommands...)
	} else {
		subcommands = cmd.Commands()
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		var names []string
		for _, c := range subcommands {
			names = append(names, c.Name())
		}
		if near := config.Closest(args[0], names); near != "" {
			return fmt.Errorf("unknown command %q for %q; did you mean %s?", args[0], cmd.CommandPath(), near)
		}
		return fmt.Errorf("unknown command %q for %q: there are %s", args[0], cmd.CommandPath(), strings.Join(names, ", "))
	}
	return cmd
}

// flagMistake says what is wrong with a flag in words of the command line, not of Go.
func flagMistake(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		var begun []string // what was typed is only their beginning
		for _, name := range names {
			if strings.HasPrefix(name, unknown.GetSpecifiedName()+"-") {
				begun = append(begun, "--"+name)
			}
		}
		if near := config.Closest(unknown.GetSpecifiedName(), names); near != "" {
			return fmt.Errorf("%w; did you mean --%s?", err, near)
		} else if len(begun) > 0 {
			return fmt.Errorf("%w; did you mean %s?", err, strings.Join(begun, " or "))
		}
		return fmt.Errorf("%w; %s --help lists those there are", err, cmd.CommandPath())
	case errors.As(err, &invalid):
		kind := invalid.GetFlag().Value.Type()
		switch {
		case strings.HasPrefix(kind, "int"):
			kind = "a number"
			if reason := invalid.Unwrap(); reason != nil && strings.HasSuffix(reason.Error(), "value out of range") {
				kind = "a number in range"
			}
		case kind == "duration":
			kind = "a duration such as 500ms, 15s or 2m"
		case kind == "bool":
			kind = "true or false"
		}
		return fmt.Errorf("--%s: %q is not %s", invalid.GetFlag().Name, invalid.GetValue(), kind)
	}
	return err
}

var (
	noneOf   = regexp.MustCompile(`^at least one of the flags in the group \[(.*)\] is required$`)
	bothOf   = regexp.MustCompile(`^if any flags in the group \[.*\] are set none of the others can be; \[(.*)\] were all set$`)
	goParses = regexp.MustCompile(`strconv\.\w+: parsing "[^"]*": `)
)

// oneLine puts an error's text on one line: joined errors get a semicolon between them, cobra's suggestion becomes a
// question, and groups of flags are written as they are typed.
func oneLine(text string) string {
	if what, names, ok := strings.Cut(text, "\n\nDid you mean this?\n"); ok {
		text = what + "; did you mean " + strings.Join(strings.Fields(names), " or ") + "?"
	}
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	if m := noneOf.FindStringSubmatch(text); m != nil {
		return "one of these is needed: --" + strings.ReplaceAll(m[1], " ", ", --")
	}
	if m := bothOf.FindStringSubmatch(text); m != nil {
		return "--" + strings.ReplaceAll(m[1], " ", " and --") + " do not go together"
	}
	return goParses.ReplaceAllString(text, "")
}

// startMistake adds to the commonest reasons not to start what can be done about them.
func startMistake(err error) error {
	var socket *net.OpError
	var name *net.DNSError
	advice := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = "; something listens there already: choose another port with --listen"
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.As(err, &name):
		advice = "; it must be an address of this machine: see --listen"
	case errors.Is(err, fs.ErrPermission) && errors.As(err, &socket):
		advice = "; ports below 1024 are for the privileged: choose another with --listen"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		advice = "; choose a folder that this user may write to with --data, or log.dirs in the settings"
	}
	return fmt.Errorf("start: %w%s", err, advice)
}
