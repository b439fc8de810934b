package main

import (
	"fmt"
	"strings"
)

// consoleFormat makes a format of the properties of Kafka's console consumer, in its order: time, partition, offset,
// headers, key, value.
func consoleFormat(properties []string) (string, error) {
	parts := []struct {
		property, format string
		shown            bool
	}{
		{"print.timestamp", "CreateTime:%T", false},
		{"print.partition", "Partition:%p", false},
		{"print.offset", "Offset:%o", false},
		{"print.headers", "%h", false},
		{"print.key", "%k", false},
		{"print.value", "%v", true},
	}
	between, end := `\t`, `\n`
	literal := strings.NewReplacer(`\`, `\\`, "%", "%%")
next:
	for _, text := range properties {
		name, value, _ := strings.Cut(text, "=")
		switch name {
		case "key.separator":
			between = literal.Replace(value)
			continue
		case "line.separator":
			end = literal.Replace(value)
			continue
		}
		for i := range parts {
			if parts[i].property == name {
				parts[i].shown = strings.EqualFold(value, "true")
				continue next
			}
		}
		return "", fmt.Errorf("--property %s is not known here: --format says how to print a record (see --help)", name)
	}
	var shown []string
	for _, p := range parts {
		if p.shown {
			shown = append(shown, p.format)
		}
	}
	return strings.Join(shown, between) + end, nil
}

// console takes the properties of Kafka's console producer.
func (f *produceFlags) console(properties []string) error {
	separator, parse := "\t", false
	for _, text := range properties {
		switch name, value, _ := strings.Cut(text, "="); name {
		case "parse.key":
			parse = strings.EqualFold(value, "true")
		case "key.separator":
			separator = value
		default:
			return fmt.Errorf("--property %s is not known here: --key-separator and --header are (see --help)", name)
		}
	}
	if parse {
		f.separator = separator
	}
	return nil
}
