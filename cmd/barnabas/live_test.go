package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/broker"
	"barnabas/broker/config"
)

// startBroker gives a broker of the test's own, with a topic "orders" of one partition.
func startBroker(t *testing.T) (addr string, stop func()) {
	t.Helper()
	settings, err := broker.Alone("127.0.0.1:0", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return startWith(t, settings)
}

func startWith(t *testing.T, settings *config.Static) (addr string, stop func()) {
	t.Helper()
	b, err := broker.Start(t.Context(), broker.Options{Config: settings})
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	if code, _, errOut := tool(t, "topic", "create", "orders", "-b", b.Addr()); code != 0 {
		t.Fatal(errOut)
	}
	return b.Addr(), stop
}

// running is a command that works while the test does something to it.
type running struct {
	out, err  *signalled // ready when there is a first line
	interrupt context.CancelFunc
	code      chan int
}

func start(t *testing.T, in io.Reader, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r := &running{out: &signalled{ready: make(chan struct{})}, err: &signalled{ready: make(chan struct{})}, interrupt: cancel, code: make(chan int, 1)}
	go func() {
		r.code <- run(ctx, args, in, r.out, r.err)
		if typed, ok := in.(io.Closer); ok {
			_ = typed.Close() // who still types is told
		}
	}()
	return r
}

func TestKafkasSpellingsAgainstABroker(t *testing.T) {
	addr, _ := startBroker(t)
	for _, c := range []struct{ line, in, out string }{
		{"topic --create --topic users --partitions 2 --config cleanup.policy=compact", "", "topic users created (partitions 2, replication factor 1)"},
		{"topic --list", "", "TOPIC PARTITIONS REPLICAS orders 1 1 users 2 1"},
		{"produce --topic orders --property parse.key=true --property key.separator=: -q", "a:1\nb:2\n3\n", ""},
		{"consume --topic orders --from-beginning --max-messages 2 -q", "", "1 2"},
		{"consume --topic orders --from-beginning --property print.key=true --property print.offset=true -q", "", "Offset:0 a 1 Offset:1 b 2 Offset:2 3"},
		{"consume --topic orders --partition 0 --offset 1 --follow --timeout-ms 50 -q", "", "2 3"},
		{"offsets --topic orders --time -1", "", "TOPIC PARTITION OFFSET TIME orders 0 3 -"},
		{"offsets", "", "TOPIC PARTITION START END COUNT orders 0 0 3 3 users 0 0 0 0 users 1 0 0 0"},
		{"config --alter --entity-type topics --entity-name users --add-config retention.ms=5,cleanup.policy=[compact,delete]", "", `topic "users" altered`},
		{"config --describe --topic users", "", "SETTING VALUE SOURCE cleanup.policy compact,delete dynamic topic retention.ms 5 dynamic topic"},
		{"config --alter --entity-type groups --entity-name payments --add-config consumer.session.timeout.ms=60000", "", `group "payments" altered`},
		{"config --describe --group payments", "", "SETTING VALUE SOURCE consumer.session.timeout.ms 60000 group"},
		{"group --list", "", "GROUP TYPE STATE PROTOCOL COORDINATOR"},
		{"group --describe --all-groups", "", ""},
		{"topic --delete --topic users", "", "topic users deleted"},
		{"__complete topic describe ", "", "orders :4"},
		{"__complete config alter ", "", "topic broker group :4"},
		{"__complete config alter topic ", "", "orders :4"},
		{"__complete config alter broker ", "", "default :4"},
		{"__complete group delete ", "", ":4"},
		{"__complete produce --acks ", "", "all 1 0 :4"},
	} {
		args := append(strings.Fields(c.line), "--bootstrap-server", "PLAINTEXT://"+addr)
		if completed, ok := strings.CutPrefix(c.line, "__complete "); ok { // the last word is the one that is typed
			words := strings.Fields(completed)
			at := len(words)
			if strings.HasPrefix(words[at-1], "-") {
				at--
			}
			args = append([]string{"__complete"}, words[:at]...)
			args = append(append(args, "-b", addr), words[at:]...)
			args = append(args, "")
		}
		var o, e bytes.Buffer
		code := run(t.Context(), args, strings.NewReader(c.in), &o, &e)
		if code != 0 || squeezed(o.String()) != c.out {
			t.Errorf("%s: exit code %d\n out %s\nwant %s\n err %s", c.line, code, squeezed(o.String()), c.out, e.String())
		}
	}
	for _, c := range []struct{ line, want string }{
		{"config describe topic orders -k retention.m", `topic "orders" has no setting retention.m; did you mean retention.ms?`},
		{"config describe broker 7", "broker 7: unknown broker"},
		{"topic create logs -c segment.byte=5", `topic "logs": Unknown topic config name: segment.byte (INVALID_CONFIG); did you mean segment.bytes?`},
	} {
		code, _, errOut := tool(t, append(strings.Fields(c.line), "-b", addr)...)
		if code != 1 || errOut != "barnabas: "+c.want+"\n" {
			t.Errorf("%s: exit code %d, %s\nwant %s", c.line, code, errOut, c.want)
		}
	}
	// Of several topics each gets its answer.
	code, out, errOut := tool(t, "topic", "create", "orders", "payments", "-b", addr)
	if code != 1 || !strings.Contains(out, "topic payments created") || !strings.Contains(errOut, "TOPIC_ALREADY_EXISTS") {
		t.Errorf("exit code %d\n%s%s", code, out, errOut)
	}
}

// The seconds in which a new group gathers its members counted as --idle: a shorter one ended the command before the first record.
func TestIdleBeginsWhenAGroupHasGathered(t *testing.T) {
	settings, err := config.NewStatic(map[string]string{"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": t.TempDir(),
		"group.initial.rebalance.delay.ms": "500", "offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1"})
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := startWith(t, settings)
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"produce", "orders", "-b", addr}, strings.NewReader("one\ntwo\n"), &out, &errOut); code != 0 {
		t.Fatal(errOut.String())
	}
	if code, out, errOut := tool(t, "consume", "orders", "--group", "g", "--idle", "200ms", "-q", "-b", addr); code != 0 || out != "one\ntwo\n" {
		t.Errorf("exit code %d, printed %q: %s", code, out, errOut)
	}
}

// An interrupt hung until the input ended, which on a terminal is never.
func TestAnInterruptEndsProduce(t *testing.T) {
	addr, _ := startBroker(t)
	in, typing := io.Pipe()
	defer typing.Close()
	p := start(t, in, "produce", "orders", "-b", addr)
	if _, err := io.WriteString(typing, "one\n"); err != nil {
		t.Fatal(err)
	}
	if code, out, errOut := tool(t, "consume", "orders", "--follow", "-n", "1", "-b", addr); code != 0 || out != "one\n" {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	p.interrupt()
	if code := <-p.code; code != 130 || !strings.HasPrefix(p.err.String(), "1 record produced to orders") || !strings.HasSuffix(p.err.String(), "barnabas: interrupted\n") {
		t.Errorf("exit code %d: %s", code, p.err)
	}
}

// A broker that went away was waited for without a word, and for ever.
func TestABrokerLostOnTheWay(t *testing.T) {
	addr, stop := startBroker(t)
	in, typing := io.Pipe()
	p := start(t, in, "produce", "orders", "-b", addr, "--timeout", "500ms")
	c := start(t, nil, "consume", "orders", "--follow", "-q", "-b", addr)
	if _, err := io.WriteString(typing, "one\n"); err != nil {
		t.Fatal(err, p.err)
	}
	<-c.out.ready
	stop()
	<-c.err.ready
	if !strings.Contains(c.err.String(), "barnabas: broker "+addr+" is not reachable (connection refused): trying again\n") {
		t.Errorf("the consumer says %s", c.err)
	}
	c.interrupt()
	if code := <-c.code; code != 0 || c.out.String() != "one\n" {
		t.Errorf("the consumer's exit code %d: %s", code, c.out)
	}
	if _, err := io.WriteString(typing, "two\n"); err != nil {
		t.Fatal(err)
	}
	if err := typing.Close(); err != nil {
		t.Fatal(err)
	}
	code := <-p.code
	// The consumer may have seen the record before its acknowledgement, which then went down with the broker.
	told := strings.Contains(p.err.String(), "(1 records are in)") || strings.Contains(p.err.String(), "(0 records are in)")
	if code != 1 || !told {
		t.Errorf("the producer's exit code %d: %s", code, p.err)
	}
}

func TestAnEndThatIsNeverReached(t *testing.T) {
	f := newFakeBroker(t)
	f.topics["orders"] = 1
	f.answers[1] = func(r kmsg.Request) kmsg.Response { return r.ResponseKind() } // a fetch finds nothing, though there is an end
	code, _, errOut := tool(t, "consume", "orders", "--timeout", "500ms", "-b", f.addr())
	if want := "barnabas: no answer from " + f.addr() + " within 500ms, after 0 records\n"; code != 1 || errOut != want {
		t.Errorf("exit code %d: %s, want %s", code, errOut, want)
	}
}

// When the input had ended, an interrupt did nothing until the last records were given up, two minutes later; and why they hung
// nobody said.
func TestAnInterruptWhileTheLastRecordsHang(t *testing.T) {
	t.Parallel() // the last records get their five seconds
	f := newFakeBroker(t)
	f.topics["orders"] = 2
	f.answers[0] = func(r kmsg.Request) kmsg.Response { return r.ResponseKind() }
	asked, hangs := 0, make(chan struct{})
	f.answers[3] = func(r kmsg.Request) kmsg.Response {
		if asked++; asked == 3 { // the command itself asks once
			close(hangs)
		}
		resp := f.metadata(r).(*kmsg.MetadataResponse)
		for _, topic := range resp.Topics {
			for i := range topic.Partitions {
				p := &topic.Partitions[i]
				p.Leader, p.ErrorCode = -1, kerr.LeaderNotAvailable.Code
			}
		}
		return resp
	}
	p := start(t, strings.NewReader("one\n"), "produce", "orders", "--acks", "1", "-b", f.addr())
	<-p.err.ready
	if want := "barnabas: topic orders has no leader now for partition 0, 1: what goes there waits\n"; p.err.String() != want {
		t.Errorf("it says %swant %s", p.err, want)
	}
	<-hangs
	p.interrupt()
	if code := <-p.code; code != 130 || !strings.Contains(p.err.String(), "\n0 records produced to orders in ") || !strings.HasSuffix(p.err.String(), "barnabas: interrupted\n") {
		t.Errorf("exit code %d: %s", code, p.err)
	}
}

// Where one partition had no leader, nothing was shown and consumed of the others.
func TestAPartitionWithoutALeader(t *testing.T) {
	f := newFakeBroker(t)
	f.topics["orders"] = 2
	f.answers[3] = func(r kmsg.Request) kmsg.Response {
		resp := f.metadata(r).(*kmsg.MetadataResponse)
		for _, topic := range resp.Topics {
			topic.Partitions[1].Leader, topic.Partitions[1].ErrorCode = -1, kerr.LeaderNotAvailable.Code
		}
		return resp
	}
	why := `barnabas: topic "orders" partition 1: There is no leader for this topic-partition as we are in the middle of a leadership election (LEADER_NOT_AVAILABLE)` + "\n"
	f.answers[2] = func(r kmsg.Request) kmsg.Response {
		resp := f.listOffsets(r).(*kmsg.ListOffsetsResponse)
		for _, topic := range resp.Topics {
			for i := range topic.Partitions {
				topic.Partitions[i].Offset = 7
			}
		}
		return resp
	}
	for _, c := range []struct {
		line, out, err string
		code           int
	}{
		{"offsets orders", "TOPIC PARTITION START END COUNT orders 0 7 7 0", why, 1},
		{"offsets orders --at latest", "TOPIC PARTITION OFFSET TIME orders 0 7 -", why, 1},
		{"consume orders -q", "", why, 1},
		{"consume orders -p 0 -q", "", "", 0},
	} {
		code, out, errOut := tool(t, append(strings.Fields(c.line), "--timeout", "1s", "-b", f.addr())...)
		if code != c.code || squeezed(out) != c.out || errOut != c.err {
			t.Errorf("%s: exit code %d\n%s%s", c.line, code, out, errOut)
		}
	}
}
