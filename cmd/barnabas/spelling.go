package main

import (
	"slices"
	"strings"
)

// spelling is how an option of Kafka's own tools is said here.
type spelling struct {
	takesValue bool
	ours       func(value string) []string
}

// as gives the words to say instead, with %s for the option's value.
func as(words string) spelling {
	return spelling{strings.Contains(words, "%s"), func(value string) []string {
		list := strings.Fields(words)
		for i := range list {
			list[i] = strings.ReplaceAll(list[i], "%s", value)
		}
		return list
	}}
}

// given turns an option with a value into what the value means.
func given(ours func(value string) []string) spelling { return spelling{true, ours} }

// dialect is one of Kafka's tools: the subcommands that it has as flags, and the options with other names here.
type dialect struct {
	verbs   map[string]string
	options map[string]spelling
}

// dialects has the options of kafka-topics and its kin by the command that does the same. Those with equal names on
// both sides need no entry.
var dialects = map[string]dialect{
	"topic": {
		verbs: map[string]string{"list": "list", "create": "create", "describe": "describe", "alter": "alter", "delete": "delete"},
		options: map[string]spelling{
			"topic":            as("%s"),
			"exclude-internal": as(""),
		},
	},
	"produce": {options: map[string]spelling{
		"topic":                 as("%s"),
		"broker-list":           as("--bootstrap-server=%s"),
		"request-required-acks": as("--acks=%s"),
		"compression-codec":     as("--compression=%s"),
		"reader-property":       as("--property=%s"),
	}},
	"consume": {options: map[string]spelling{
		"topic":              as("%s"),
		"from-beginning":     as("--from=beginning"),
		"offset":             as("--from=%s"),
		"max-messages":       as("--count=%s"),
		"timeout-ms":         as("--idle=%sms"),
		"formatter-property": as("--property=%s"),
		"isolation-level": given(func(level string) []string {
			if level == "read_committed" {
				return []string{"--read-committed"}
			}
			return nil
		}),
	}},
	"group": {
		verbs: map[string]string{"list": "list", "describe": "describe", "reset-offsets": "reset", "delete": "delete"},
		options: map[string]spelling{
			"group":   as("%s"),
			"dry-run": as(""),
			"offsets": as(""),
		},
	},
	"config": {
		verbs: map[string]string{"describe": "describe", "alter": "alter"},
		options: map[string]spelling{
			"entity-type":     as("%s"),
			"entity-name":     as("%s"),
			"entity-default":  as("default"),
			"topic":           as("topic %s"),
			"broker":          as("broker %s"),
			"group":           as("group %s"),
			"broker-defaults": as("broker default"),
			"delete-config":   as("--delete=%s"),
			"add-config": given(func(list string) []string {
				var sets []string
				for _, kv := range splitSettings(list) {
					sets = append(sets, "--set="+kv)
				}
				return sets
			}),
		},
	},
	"offsets": {options: map[string]spelling{
		"topic":       as("%s"),
		"broker-list": as("--bootstrap-server=%s"),
		"time": given(func(at string) []string {
			switch at {
			case "-1":
				at = "latest"
			case "-2":
				at = "earliest"
			case "-3":
				at = "max-timestamp"
			}
			return []string{"--at=" + at}
		}),
	}},
	"dump-log": {options: map[string]spelling{
		"files":                   given(func(list string) []string { return strings.Split(list, ",") }),
		"deep-iteration":          as("--deep"),
		"print-data-log":          as("--deep --data"),
		"offsets-decoder":         as("--offsets"),
		"transaction-log-decoder": as("--transactions"),
		"skip-record-metadata":    as("--skip-metadata"),
		"index-sanity-check":      as("--sanity"),
		"verify-index-only":       as("--verify"),
	}},
}

// spelled turns a command line that is written as for Kafka's tools into one of ours: `topic --create --topic orders`
// into `topic create orders`. What it does not know it leaves alone, and all after "--".
func spelled(args []string) []string {
	if len(args) == 0 {
		return args
	}
	d, ok := dialects[strings.TrimSuffix(args[0], "s")]
	if !ok {
		if d, ok = dialects[args[0]]; !ok {
			return args
		}
	}
	verbless := len(args) > 1 && strings.HasPrefix(args[1], "-")
	said := []string{args[0]}
	for i := 1; i < len(args); i++ {
		if args[i] == "--" {
			said = append(said, args[i:]...)
			break
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(args[i], "--"), "=")
		if verb, ok := d.verbs[name]; ok && verbless && args[i] == "--"+name {
			said = slices.Insert(said, 1, verb)
			verbless = false
			continue
		}
		option, ok := d.options[name]
		if !ok || !strings.HasPrefix(args[i], "--") || option.takesValue && !hasValue && i+1 == len(args) {
			said = append(said, args[i])
			continue
		}
		if option.takesValue && !hasValue {
			i++
			value = args[i]
		}
		said = append(said, option.ours(value)...)
	}
	return said
}

// splitSettings splits a=1,b=[x,y],c=2 at the commas that are not in brackets, and takes the brackets off.
func splitSettings(list string) []string {
	depth := 0
	settings := strings.FieldsFunc(list, func(r rune) bool {
		switch r {
		case '[':
			depth++
		case ']':
			depth--
		}
		return r == ',' && depth <= 0
	})
	for i, kv := range settings {
		if k, v, ok := strings.Cut(kv, "=["); ok && strings.HasSuffix(v, "]") {
			settings[i] = k + "=" + strings.TrimSuffix(v, "]")
		}
	}
	return settings
}
