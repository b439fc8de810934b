package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServeSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(file, []byte("log.dirs=/from/file\nlisteners=PLAINTEXT://file:1\nadvertised.listeners=PLAINTEXT://told:1\nnum.partitions=4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags              serveFlags
		listen, advertised string
		dirs               []string
		partitions         int32
	}{
		{serveFlags{}, "PLAINTEXT://:9092", "PLAINTEXT://:9092", []string{filepath.Join(here, "data")}, 1},
		{serveFlags{config: file}, "PLAINTEXT://file:1", "PLAINTEXT://told:1", []string{"/from/file"}, 4},
		{serveFlags{config: file, listen: "127.0.0.1:7", data: "/flag"}, "PLAINTEXT://127.0.0.1:7", "PLAINTEXT://127.0.0.1:7", []string{"/flag"}, 4},
		{serveFlags{config: file, data: "/flag", overrides: []string{"log.dirs=/a,/b", "num.partitions=5"}}, "PLAINTEXT://file:1", "PLAINTEXT://told:1", []string{"/a", "/b"}, 5},
		{serveFlags{listen: ":9093", overrides: []string{"log.dir=/single"}}, "PLAINTEXT://:9093", "PLAINTEXT://:9093", []string{"/single"}, 1},
		{serveFlags{listen: "0.0.0.0:9093", data: "/d"}, "PLAINTEXT://0.0.0.0:9093", "PLAINTEXT://:9093", []string{"/d"}, 1},
		{serveFlags{listen: "[::1]:9093", data: "/d"}, "PLAINTEXT://[::1]:9093", "PLAINTEXT://[::1]:9093", []string{"/d"}, 1},
		{serveFlags{listen: "localhost", data: "/d"}, "PLAINTEXT://localhost:9092", "PLAINTEXT://localhost:9092", []string{"/d"}, 1},
		{serveFlags{listen: "9093", data: "/d"}, "PLAINTEXT://:9093", "PLAINTEXT://:9093", []string{"/d"}, 1},
		{serveFlags{listen: "PLAINTEXT://a:1", data: "/d"}, "PLAINTEXT://a:1", "PLAINTEXT://a:1", []string{"/d"}, 1},
	} {
		s, err := c.flags.settings()
		if err != nil {
			t.Errorf("%+v: %v", c.flags, err)
			continue
		}
		b := s.Broker()
		if b.Listeners[0].String() != c.listen || b.Advertised[0].String() != c.advertised || b.NumPartitions != c.partitions || !cmp.Equal(b.LogDirs, c.dirs) {
			t.Errorf("%+v: listens on %v, advertises %v, keeps data in %v, %d partitions", c.flags, b.Listeners, b.Advertised, b.LogDirs, b.NumPartitions)
		}
	}
	for _, c := range []struct {
		line string
		want string
	}{
		{"serve --listen a:b:c", `barnabas: --listen "a:b:c" is not host:port`},
		{"serve --override x", `barnabas: override "x" is not of the form key=value`},
		{"serve --override num.partitions=0", "barnabas: settings: Invalid value 0 for configuration num.partitions: Value must be at least 1 (valid: [1,...])"},
		{"serve --config /no/such.properties", "barnabas: settings: open /no/such.properties: no such file or directory"},
		{"serve --log-level loud", `barnabas: --log-level "loud" is not debug, info, warn or error`},
		{"serve no-such.properties", "barnabas: settings: open no-such.properties: no such file or directory"},
		{"serve a.properties --config b.properties", "barnabas: two files of settings: b.properties and a.properties"},
		{"serve a b", `barnabas: "b" is one argument too many; usage: barnabas serve [SERVER.PROPERTIES] [flags]`},
	} {
		code, _, errOut := tool(t, strings.Fields(c.line)...)
		if code != 1 || strings.TrimSpace(errOut) != c.want {
			t.Errorf("%s: exit code %d, %s", c.line, code, errOut)
		}
	}
}

// signalled is a writer that tells when its first line is whole.
type signalled struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	ready chan struct{}
	once  sync.Once
}

func (s *signalled) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.buf.Write(p)
	if bytes.ContainsRune(s.buf.Bytes(), '\n') {
		s.once.Do(func() { close(s.ready) })
	}
	return n, err
}

func (s *signalled) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// The whole way of a newcomer: serve, then every tool against it, then an interrupt.
func TestServeAndTools(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	out, logs := &signalled{ready: make(chan struct{})}, &signalled{ready: make(chan struct{})}
	stopped := make(chan int, 1)
	data := t.TempDir()
	go func() {
		stopped <- run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--data", data,
			"--override", "group.initial.rebalance.delay.ms=0", "--override", "num.io.thread=5"}, nil, out, logs)
	}()
	select {
	case <-out.ready:
	case code := <-stopped:
		t.Fatalf("exit code %d: %s", code, logs)
	}
	line := regexp.MustCompile(`^barnabas \S+ ready: node 1001 of cluster \S{22}, listening on PLAINTEXT://(127\.0\.0\.1:\d+), data in (\S+), started in \d+ ms\n$`).FindStringSubmatch(out.String())
	if line == nil || line[2] != data {
		t.Fatalf("ready line %q", out)
	}
	var numbers strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&numbers, "key%d:%d\n", i%10, i)
	}
	for _, step := range []struct {
		line, in string
		code     int
		out, err string // "~" is not looked at
	}{
		{"topic create orders -p 1 -c segment.bytes=20000", "", 0, "topic orders created (partitions 1, replication factor 1)", ""},
		{"produce orders -K : -z gzip -H from=test -q", numbers.String(), 0, "", ""},
		{"produce orders -p 0 --acks 1 -q", "last", 0, "", ""},
		{"consume orders --from -2 -q", "", 0, "999 last", ""},
		{"consume orders -n 2 -q -f %p/%o/%k/%v/%h\\n", "", 0, "0/0/key0/0/from=test 0/1/key1/1/from=test", ""},
		{"consume orders --from 998 -q --follow -n 3", "", 0, "998 999 last", ""},
		{"offsets orders", "", 0, "TOPIC PARTITION START END COUNT orders 0 0 1001 1001", ""},
		{"consume orders -g billing -n 400 -q -f .", "", 0, strings.Repeat(".", 400), ""},
		{"group describe billing", "", 0, "group billing state Empty coordinator 1001 members 0 TOPIC PARTITION COMMITTED START END LAG MEMBER orders 0 400 0 1001 601 -", ""},
		{"group reset billing -t orders:0 --shift-by -100", "", 0, "TOPIC PARTITION BEFORE AFTER orders 0 400 300", "nothing was changed: add --execute to commit these offsets"},
		{"group reset billing --all-topics --to-offset 5000 -x", "", 0, "TOPIC PARTITION BEFORE AFTER orders 0 400 1001", ""},
		{"group reset billing -t orders --by-duration 1h -x", "", 0, "TOPIC PARTITION BEFORE AFTER orders 0 1001 0", ""},
		{"group reset billing -t orders:3 --to-latest", "", 1, "", `barnabas: topic "orders" has no partition 3: it has 1, numbered from 0`},
		{"group list", "", 0, "GROUP TYPE STATE PROTOCOL COORDINATOR billing classic Empty consumer 1001", ""},
		{"group delete billing", "", 0, "group billing deleted", ""},
		{"group describe billing", "", 1, "", `barnabas: group "billing" does not exist`},
		{"group delete billing", "", 1, "", `barnabas: group "billing" does not exist`},
		{"config alter topic orders --append cleanup.policy=compact", "", 0, `topic "orders" altered`, ""},
		{"config describe topic orders", "", 0, "SETTING VALUE SOURCE cleanup.policy delete,compact dynamic topic segment.bytes 20000 dynamic topic", ""},
		{"config alter broker 1001 --set max.connections=500", "", 0, "broker 1001 altered", ""},
		{"config alter broker 1001 --set broker.rack=x", "", 1, "", "barnabas: broker 1001: Cannot update these configs dynamically: Set(broker.rack) (INVALID_REQUEST)"},
		{"config alter broker default --set log.retention.ms=86400000", "", 0, "default of all brokers altered", ""},
		{"config describe broker default", "", 0, "SETTING VALUE SOURCE log.retention.ms 86400000 dynamic default broker", ""},
		{"config describe broker 1001 -k max.connections --synonyms", "", 0, "SETTING VALUE SOURCE SYNONYMS max.connections 500 dynamic broker max.connections=500 (dynamic broker), max.connections=2147483647 (default)", ""},
		{"topic alter orders -p 3", "", 0, "topic orders altered", ""},
		{"topic alter orders -p 2", "", 1, "", "~"},
		{"topic list", "", 0, "TOPIC PARTITIONS REPLICAS orders 3 1", ""},
		{"dump-log --deep --data " + data + "/orders-0/00000000000000000000.log", "", 0, "~", ""},
		{"topic delete orders", "", 0, "topic orders deleted", ""},
	} {
		args := strings.Fields(step.line)
		if args[0] != "dump-log" {
			args = append(args, "-b", line[1])
		}
		var o, e bytes.Buffer
		code := run(t.Context(), args, io.Reader(strings.NewReader(step.in)), &o, &e)
		if code != step.code || step.out != "~" && squeezed(o.String()) != step.out || step.err != "~" && squeezed(e.String()) != step.err {
			t.Errorf("%s: exit code %d\n out %s\nwant %s\n err %s\nwant %s", step.line, code, squeezed(o.String()), step.out, squeezed(e.String()), step.err)
		}
	}
	interrupt()
	if code := <-stopped; code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"unknown setting num.io.thread: did you mean num.io.threads?", `"msg":"stopping"`} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, logs)
		}
	}
}
