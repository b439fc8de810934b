package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCommandLinesOfKafkasTools(t *testing.T) {
	for _, c := range []struct{ kafka, ours string }{
		{"topic --create --topic orders --partitions 3", "topic create orders --partitions 3"},
		{"topic --bootstrap-server h:1 --list --exclude-internal", "topic list --bootstrap-server h:1"},
		{"topics --describe --topic=orders", "topics describe orders"},
		{"topic alter orders --config a=b --delete-config c", "topic alter orders --config a=b --delete-config c"},
		{"topic create --topic", "topic create --topic"},
		{"produce --broker-list h:1 --topic orders --request-required-acks 1", "produce --bootstrap-server=h:1 orders --acks=1"},
		{"produce orders -- --topic x", "produce orders -- --topic x"},
		{"consume --topic orders --from-beginning --max-messages 5 --timeout-ms 100", "consume orders --from=beginning --count=5 --idle=100ms"},
		{"consume orders --isolation-level read_committed --offset 7", "consume orders --read-committed --from=7"},
		{"consume orders --isolation-level=read_uncommitted --group g", "consume orders --group g"},
		{"group --group g --reset-offsets --to-earliest --topic orders --dry-run", "group reset g --to-earliest --topic orders"},
		{"group delete --group g", "group delete g"},
		{"config --alter --entity-type topics --entity-name orders --add-config a=1,b=[x,y],c= --delete-config d", "config alter topics orders --set=a=1 --set=b=x,y --set=c= --delete=d"},
		{"config alter topic orders --delete a", "config alter topic orders --delete a"},
		{"config --describe --entity-type brokers --entity-default", "config describe brokers default"},
		{"config --describe --broker 3", "config describe broker 3"},
		{"offsets --topic orders --time -1", "offsets orders --at=latest"},
		{"offsets --time=-2", "offsets --at=earliest"},
		{"offsets --time 1700000000000", "offsets --at=1700000000000"},
		{"dump-log --files a.log,b.log --print-data-log", "dump-log a.log b.log --deep --data"},
		{"serve --topic x", "serve --topic x"},
		{"", ""},
	} {
		if got := strings.Join(spelled(strings.Fields(c.kafka)), " "); got != c.ours {
			t.Errorf("%s\n got %s\nwant %s", c.kafka, got, c.ours)
		}
	}
}

func TestPropertiesOfTheConsoleTools(t *testing.T) {
	for properties, want := range map[string]string{
		"print.key=true": `%k\t%v\n`,
		"print.key=true key.separator=:% print.value=TRUE":                                                  `%k:%%%v\n`,
		"print.headers=true print.offset=true print.partition=true print.timestamp=true line.separator=\\;": `CreateTime:%T\tPartition:%p\tOffset:%o\t%h\t%v\\;`,
		"print.value=false": `\n`,
	} {
		got, err := consoleFormat(strings.Fields(properties))
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", properties, got, err, want)
		}
		if _, err := parseFormat(got); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
	if _, err := consoleFormat([]string{"print.everything=true"}); err == nil {
		t.Error("an unknown property of the consumer is taken")
	}
	for properties, want := range map[string]string{"parse.key=true": "\t", "key.separator=: parse.key=true": ":", "key.separator=:": "", "parse.key=false": ""} {
		var f produceFlags
		if err := f.console(strings.Fields(properties)); err != nil || f.separator != want {
			t.Errorf("%s: %q, %v, want %q", properties, f.separator, err, want)
		}
	}
	if err := new(produceFlags).console([]string{"ignore.error=true"}); err == nil {
		t.Error("an unknown property of the producer is taken")
	}
}

func TestSettingsLists(t *testing.T) {
	for list, want := range map[string][]string{
		"a=1": {"a=1"}, "a=1,b=2": {"a=1", "b=2"}, "a=[1,2],b=": {"a=1,2", "b="}, "a=[1": {"a=[1"}, "a=]1,b=2": {"a=]1", "b=2"}, "": {},
	} {
		if got := splitSettings(list); !cmp.Equal(got, want) {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "PT1H30M": 90 * time.Minute, "P7D": 7 * 24 * time.Hour,
		"P1DT2H": 26 * time.Hour, "1.5h": 90 * time.Minute, "500ms": 500 * time.Millisecond, "106751d": 106751 * 24 * time.Hour,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "P", "T", "PT", "5", "-1h", "1w", "106752d", "106751d24h", "99999999999999999999d", "1..5h"} {
		if d, err := parseDuration(bad); err == nil {
			t.Errorf("%q is %v", bad, d)
		}
	}
}
