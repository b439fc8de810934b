package main

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// tool runs a command line and gives its exit code and what it printed.
func tool(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestToolsAgainstABroker(t *testing.T) {
	f := newFakeBroker(t)
	f.topics["orders"], f.topics["payments"] = 2, 1
	f.configs["orders"] = map[string]string{"retention.ms": "5"}
	for _, c := range []struct {
		line string
		code int
		// out and err are what must be printed, with runs of blanks as one; "" is not looked at.
		out, err string
	}{
		{"topic list", 0, "TOPIC PARTITIONS REPLICAS orders 2 1 payments 1 1", ""},
		{"topic list --names", 0, "orders payments", ""},
		{"topic describe orders", 0, "topic orders id AAAAAAAAAAAAAAAAAAAABg retention.ms=5 PARTITION LEADER EPOCH REPLICAS ISR OFFLINE 0 1 3 1 1 - 1 1 3 1 1 -", ""},
		{"topic describe ordres", 1, "", `barnabas: topic "ordres" does not exist; did you mean "orders"?`},
		{"topic describe invoices", 1, "", `barnabas: topic "invoices" does not exist`},
		{"topic create users -p 3 -c retention.ms=7", 0, "topic users created (partitions 3, replication factor 1)", ""},
		{"topic create users", 1, "", `barnabas: topic "users": Topic 'users' already exists. (TOPIC_ALREADY_EXISTS)`},
		{"topic create users --if-not-exists", 0, "topic users exists", ""},
		{"topic create x --validate-only", 0, "topic x could be created (partitions 1, replication factor 1)", ""},
		{"topic create x -c retention", 1, "", `barnabas: --config "retention" is not of the form key=value`},
		{"config describe topic users", 0, "SETTING VALUE SOURCE retention.ms 7 dynamic topic", ""},
		{"config describe topic users --all", 0, "SETTING VALUE SOURCE retention.ms 7 dynamic topic segment.bytes 1073741824 default", ""},
		{"config describe topic users -k segment.bytes --synonyms", 0, "SETTING VALUE SOURCE SYNONYMS segment.bytes 1073741824 default -", ""},
		{"config describe topic user", 1, "", `barnabas: topic "user" does not exist; did you mean "users"?`},
		{"config describe broker one", 1, "", `barnabas: broker "one": give its id, a number, or default`},
		{"config describe tenant x", 1, "", `barnabas: "tenant" has no settings here: TYPE is topic, broker or group. A broker's NAME is its id, or "default" for the settings of all brokers.`},
		{"config alter topic users --set segment.bytes=100 --delete retention.ms", 0, `topic "users" altered`, ""},
		{"config describe topic users", 0, "SETTING VALUE SOURCE segment.bytes 100 dynamic topic", ""},
		{"config alter topic users --set retention.m=5", 1, "", `barnabas: topic "users": Unknown topic config name: retention.m (INVALID_CONFIG); did you mean retention.ms?`},
		{"config alter topic users", 1, "", "barnabas: nothing to change: give --set, --delete, --append or --subtract"},
		{"topic alter users -c retention.ms=9", 0, "topic users altered", ""},
		{"topic alter users", 1, "", "barnabas: nothing to change: give --partitions, --config or --delete-config"},
		{"topic alter user -p 4", 1, "", `barnabas: topic "user" does not exist; did you mean "users"?`},
		{"topic delete users", 0, "topic users deleted", ""},
		{"topic delete users", 1, "", `barnabas: topic "users" does not exist`},
		{"topic delete users --if-exists", 0, "", ""},
		{"offsets orders", 0, "TOPIC PARTITION START END COUNT orders 0 5 12 7 orders 1 5 12 7", ""},
		{"offsets orders --at latest", 0, "TOPIC PARTITION OFFSET TIME orders 0 12 - orders 1 12 -", ""},
		{"offsets orders --at soon", 1, "", `barnabas: --at: "soon" is not a time: write 2025-01-31T12:00:00Z, @ and milliseconds, or 90m-ago`},
		{"group list", 0, "GROUP TYPE STATE PROTOCOL COORDINATOR audit - Empty consumer 1 billing - Stable consumer 1", ""},
		{"produce order", 1, "", `barnabas: topic "order" does not exist; did you mean "orders"?`},
		{"produce orders -p 2", 1, "", `barnabas: topic "orders" has no partition 2: it has 2, numbered from 0`},
		{"produce orders -p -2", 1, "", "barnabas: --partition -2: give a partition's number, or -1 to choose by key"},
		{"group list --state empty,stable", 0, "GROUP TYPE STATE PROTOCOL COORDINATOR audit - Empty consumer 1 billing - Stable consumer 1", ""},
		{"group list --state Empy", 1, "", `barnabas: --state "Empy" is not a state of groups: there are Stable, Empty, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, Dead`},
		{"produce orders -z brotli", 1, "", `barnabas: compression "brotli" is not none, gzip, snappy, lz4 or zstd`},
		{"produce orders --acks two", 1, "", `barnabas: acks "two" is not all, 1 or 0`},
		{"produce orders -H x", 1, "", `barnabas: --header "x" is not of the form key=value`},
		{"consume order", 1, "", `barnabas: topic "order" does not exist; did you mean "orders"?`},
		{"consume orders -p 7", 1, "", `barnabas: topic "orders" has no partition 7: it has 2, numbered from 0`},
		{"consume orders --from end -q", 0, "", ""},
		{"consume orders --group g -p 0", 1, "", "barnabas: --group and --partition do not go together: a group shares out the partitions by itself"},
		{"consume orders -f %q", 1, "", "barnabas: --format has %q: there are %t %p %o %k %v %h %T %d %s and %%"},
	} {
		args := append(strings.Fields(c.line), "-b", f.addr())
		code, out, errOut := tool(t, args...)
		if code != c.code || c.out != "" && squeezed(out) != c.out || c.err != "" && squeezed(errOut) != c.err || c.code == 0 && c.out == "" && out != "" {
			t.Errorf("%s: exit code %d\n out %s\nwant %s\n err %s\nwant %s", c.line, code, squeezed(out), c.out, squeezed(errOut), c.err)
		}
	}
}

func squeezed(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestErrorsWithoutABroker(t *testing.T) {
	for line, want := range map[string]string{
		"topic list -b 127.0.0.1:1":         "barnabas: no broker reachable at 127.0.0.1:1: nothing listens there; is the broker running? (see --bootstrap-server)",
		"topic create":                      "barnabas: usage: barnabas topic create TOPIC... [flags] (--help says more)",
		"topc list":                         `barnabas: unknown command "topc" for "barnabas"; did you mean topic?`,
		"topic list --borker x":             "barnabas: unknown flag: --borker; barnabas topic list --help lists those there are",
		"consume x --key":                   "barnabas: unknown flag: --key; barnabas consume --help lists those there are",
		"produce x --key":                   "barnabas: unknown flag: --key; did you mean --key-separator?",
		"group reset g --to latest":         "barnabas: unknown flag: --to; did you mean --to-current or --to-datetime or --to-earliest or --to-latest or --to-offset?",
		"consume x --from soon":             `barnabas: --from "soon" is not beginning, end, an offset, -N, or a time`,
		"group reset g --to-earliest":       "barnabas: one of these is needed: --topic, --all-topics",
		"dump-log /no/such/file":            "barnabas: dump: /no/such/file: not a file of a log directory",
		"topic list -b 127.0.0.1:1 --timeo": "barnabas: unknown flag: --timeo; did you mean --timeout?",
	} {
		code, out, errOut := tool(t, strings.Fields(line)...)
		if code != 1 || strings.TrimSpace(errOut) != want || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: exit code %d, %s\nwant %s (%s)", line, code, errOut, want, out)
		}
	}
}

// The first question about a group has Apache Kafka create __consumer_offsets and answer that there is no coordinator.
func TestAGroupIsAskedAgainUntilThereIsACoordinator(t *testing.T) {
	f := newFakeBroker(t)
	asked := 0
	f.answers[10] = func(r kmsg.Request) kmsg.Response {
		req := r.(*kmsg.FindCoordinatorRequest)
		resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
		for _, key := range req.CoordinatorKeys {
			c := kmsg.NewFindCoordinatorResponseCoordinator()
			c.Key, c.NodeID, c.Host, c.Port = key, 1, "127.0.0.1", int32(f.listener.Addr().(*net.TCPAddr).Port)
			if asked++; asked <= 2 {
				c.ErrorCode, c.NodeID = kerr.CoordinatorNotAvailable.Code, -1
			}
			resp.Coordinators = append(resp.Coordinators, c)
		}
		return resp
	}
	f.answers[42] = func(r kmsg.Request) kmsg.Response {
		resp := r.(*kmsg.DeleteGroupsRequest).ResponseKind().(*kmsg.DeleteGroupsResponse)
		for _, name := range r.(*kmsg.DeleteGroupsRequest).Groups {
			g := kmsg.NewDeleteGroupsResponseGroup()
			g.Group = name
			resp.Groups = append(resp.Groups, g)
		}
		return resp
	}
	code, out, errOut := tool(t, "group", "delete", "billing", "-b", f.addr())
	if code != 0 || out != "group billing deleted\n" || asked != 3 {
		t.Errorf("exit code %d after %d questions: %s%s", code, asked, out, errOut)
	}
}

// A port that takes a connection and closes it, as one that speaks TLS does.
func TestAPortThatDoesNotSpeakKafka(t *testing.T) {
	f := newFakeBroker(t)
	delete(f.answers, 18) // what it does not know closes the connection
	code, _, errOut := tool(t, "topic", "list", "--timeout", "2s", "-b", f.addr())
	if code != 1 || !strings.Contains(errOut, "does the port speak Kafka") {
		t.Errorf("exit code %d: %s", code, errOut)
	}
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var o, e bytes.Buffer
	if code := run(ctx, []string{"topic", "list", "-b", "127.0.0.1:1"}, nil, &o, &e); code != 130 || e.String() != "barnabas: interrupted\n" {
		t.Errorf("exit code %d: %s", code, e.String())
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	root := newRoot()
	for _, c := range root.Commands() {
		if c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		for _, c := range append(c.Commands(), c) {
			if c.Short == "" || c.Example == "" && c.Name() != "version" {
				t.Errorf("%s has no short text or no example", c.CommandPath())
			}
		}
	}
	for _, args := range [][]string{{"version"}, {"--version"}} {
		if code, out, _ := tool(t, args...); code != 0 || !strings.HasPrefix(out, "barnabas ") {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
	if code, out, _ := tool(t, "completion", "bash"); code != 0 || !strings.Contains(out, "barnabas") {
		t.Errorf("completion: %d", code)
	}
}

func TestFormat(t *testing.T) {
	r := &kgo.Record{Topic: "t", Partition: 2, Offset: 7, Key: []byte("k"), Value: []byte("v w"), Timestamp: time.UnixMilli(1700000000123).UTC(),
		Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("2")}}}
	for format, want := range map[string]string{
		`%v\n`:                     "v w\n",
		`%t/%p@%o %k=%v [%h] %s%%`: "t/2@7 k=v w [a=1,b=2] 3%",
		`%T\t%d\\\0`:               "1700000000123\t2023-11-14T22:13:20.123Z\\\x00",
		``:                         "",
	} {
		print, err := parseFormat(format)
		if err != nil {
			t.Errorf("%q: %v", format, err)
			continue
		}
		var b bytes.Buffer
		w := bufio.NewWriter(&b)
		print(w, r)
		if w.Flush(); b.String() != want {
			t.Errorf("%q: %q, want %q", format, b.String(), want)
		}
	}
	for _, bad := range []string{`%`, `\`, `%z`, `\z`} {
		if _, err := parseFormat(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestStartsAndTimes(t *testing.T) {
	now := time.Date(2025, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]kgo.Offset{
		"beginning": kgo.NewOffset().AtStart(), "END": kgo.NewOffset().AtEnd(), "17": kgo.NewOffset().At(17),
		"-5": kgo.NewOffset().AtEnd().Relative(-5), "@1700000000000": kgo.NewOffset().AfterMilli(1700000000000),
		"1h-ago": kgo.NewOffset().AfterMilli(now.Add(-time.Hour).UnixMilli()), "2025-01-31T11:00:00Z": kgo.NewOffset().AfterMilli(now.Add(-time.Hour).UnixMilli()),
	} {
		got, err := parseStart(text, now)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "soon", "@x", "x-ago", "2025-13-01"} {
		if _, err := parseStart(bad, now); err == nil {
			t.Errorf("%q is a start", bad)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestLogger(t *testing.T) {
	for _, c := range []struct{ level, format, want string }{
		{"info", "auto", `"msg":"hello"`}, {"info", "console", "INFO hello"}, {"warn", "json", ""},
	} {
		var out bytes.Buffer
		logger, err := newLogger(&out, c.level, c.format)
		if err != nil {
			t.Fatal(err)
		}
		logger.Info("hello")
		if !strings.Contains(out.String(), c.want) || c.want == "" && out.Len() > 0 {
			t.Errorf("%+v: %s", c, out.String())
		}
	}
	if _, err := newLogger(nil, "loud", "auto"); err == nil {
		t.Error("a level that does not exist")
	}
	if _, err := newLogger(nil, "info", "xml"); err == nil {
		t.Error("a format that does not exist")
	}
}
