//go:build integration

package integration

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"barnabas/integration/peers"
	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestHostilePeers does to a broker what clients do that are hostile, broken, or of another kind altogether, each in a process of its
// own. A healthy client beside them must go on being answered, and the broker's memory stays within a bound.
func TestHostilePeers(t *testing.T) {
	t.Parallel()
	const mega = "1048576"
	for _, c := range []struct {
		name     string
		settings map[string]string
		do       func(*testing.T, *besieged)
		resident int64 // MiB at most, at any time
	}{
		// One heavy batch at a time: what it inflates to and what is made of it, or a window of 128 MiB, of which its decoder has two.
		{"decompression bombs", bounded("4194304"), bombs, 700},
		// A claim costs nothing. The bound lets in two frames of 100 MiB, each of which leaves 84 MiB of buffers that it grew out of.
		{"claims of a hundred megabytes", bounded("104857600"), claims, 600},
		{"a million elements", bounded("33554432"), elements, 250},
		{"clients that do not go on", bounded(mega), stalled, 200},
		{"clients that do not read", bounded(mega), deaf, mostOf(1<<20, 20, 0)},
		// The largest answer is one to DescribeConfigs, of some 15 MiB, which it takes three times more to make.
		{"hundreds that do not read large answers", bounded("16777216"), deafInLarge, mostOf(16<<20, 200, 60<<20)},
		// Two answers, one for each CPU, of what names and tells of 50,000 partitions: 40 MiB each.
		{"large fetch sessions", bounded("16777216"), largeSessions, mostOf(16<<20, 100, 80<<20)},
		{"frames that trickle in", bounded(mega), trickling, mostOf(1<<20, 100, 0)},
		{"refused requests in a loop", bounded(mega), refusedInALoop, 96},
		{"ten thousand connections", bounded(mega), storm, 400},
		{"truncated frames", bounded(mega), truncated, 96},
		{"other protocols", nil, others, 64},
		{"a limit of 200 descriptors", map[string]string{"log.index.size.max.bytes": "4096"}, descriptors, 64},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := besiege(t, c.settings, c.name == "a limit of 200 descriptors")
			c.do(t, b)
			b.survived(t, c.resident<<20)
		})
	}
}

// bounded are settings with a bound of the memory of requests, which is also that of one.
func bounded(bytes string) map[string]string {
	return map[string]string{"queued.max.request.bytes": bytes, "socket.request.max.bytes": bytes}
}

// mostOf is what a broker holds at most, in MiB: what it takes to be there, and twice (as the garbage collector has it) the bound for
// requests and as much for answers, what each connection may hold without asking to read and to write, and what the largest answer is
// made from, for which everybody else waits: of large answers a busy machine has been seen to hold 184 MiB in all, of the 298 that this
// comes to; without the bound they are gigabytes.
func mostOf(queued, connections, largest int64) int64 {
	return 64 + 2*(2*queued+connections*(128<<10)+largest)>>20
}

// besieged is a broker with a healthy client.
type besieged struct {
	*peers.Broker
	rounds  atomic.Int64 // records that the healthy client wrote and read back
	slowest atomic.Int64 // round, nanoseconds
	end     func()
}

func besiege(t *testing.T, settings map[string]string, few bool) *besieged {
	t.Helper()
	o := peers.Options{Settings: settings}
	b := &besieged{}
	if few {
		var err error
		if b.Broker, err = peers.NewBroker(folder(t), o); err != nil {
			t.Fatal(err)
		}
		cmd, err := b.Command()
		if err != nil {
			t.Fatal(err)
		}
		limited := exec.Command("sh", append([]string{"-c", `ulimit -n 200; exec "$0" "$@"`}, cmd.Args...)...)
		if b.Process, err = peers.Start("barnabas-few", b.Dir, limited); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Kill)
		if err := b.Ready(soon(t)); err != nil {
			t.Fatal(err)
		}
	} else {
		b.Broker = start(t, o)
	}
	create(t, b.Addr, "healthy", 1)
	c, err := peers.Dial(b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer c.Close()
		for n := int64(0); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			if err := round(c, "healthy", n); err != nil {
				t.Errorf("the healthy client, round %d: %v", n, err)
				return
			}
			b.slowest.Store(max(b.slowest.Load(), int64(time.Since(began))))
			b.rounds.Add(1)
		}
	}()
	b.end = sync.OnceFunc(func() { close(stop); <-done })
	t.Cleanup(b.end)
	b.goesOn(t, 1)
	return b
}

// patience is how long an answer may take before a test gives up. It is not what is measured.
const patience = 2 * time.Minute

// round writes a record, which must get the offset n, and reads it back.
func round(c *peers.Conn, topic string, n int64) error {
	value := fmt.Sprintf("value %d", n)
	resp, err := c.RoundTrip(produceTo(topic, 0, batchOf(codec.None, []byte(value))), patience)
	if err != nil {
		return err
	}
	if p := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.BaseOffset != n {
		return fmt.Errorf("offset %d, %v", p.BaseOffset, kerr.ErrorForCode(p.ErrorCode))
	}
	resp, err = c.RoundTrip(fetchOf(topic, 11, n), patience)
	if err != nil {
		return err
	}
	if p := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 || !bytes.Contains(p.RecordBatches, []byte(value)) {
		return fmt.Errorf("%d bytes at %d, %v", len(p.RecordBatches), n, kerr.ErrorForCode(p.ErrorCode))
	}
	return nil
}

func produceTo(topic string, partition int32, batch []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 8, 1, 60_000
	rt, rp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	rt.Topic, rp.Partition, rp.Records = topic, partition, batch
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func fetchOf(topic string, version int16, at int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = version, 100, 1, 1<<20, -1
	rt, rp := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	rt.Topic, rp.FetchOffset, rp.PartitionMaxBytes, rp.CurrentLeaderEpoch = topic, at, 1<<20, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func batchOf(c codec.Type, values ...[]byte) []byte {
	b := record.NewBuilder(record.BatchSpec{Codec: c, ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None})
	for _, v := range values {
		b.Append(1_700_000_000_000, []byte("key"), v)
	}
	built, err := b.Build()
	if err != nil {
		panic(err)
	}
	return built
}

// goesOn waits until the healthy client has done some rounds more.
func (b *besieged) goesOn(t *testing.T, rounds int64) {
	t.Helper()
	until := b.rounds.Load() + rounds
	eventually(t, "the healthy client goes on", func() error {
		if t.Failed() {
			t.FailNow()
		}
		if n := b.rounds.Load(); n < until {
			return fmt.Errorf("%d of %d rounds", n, until)
		}
		return nil
	})
}

// survived looks back: the healthy client still goes on, the memory was within the bound, nothing went wrong within the broker, and
// it stops cleanly.
func (b *besieged) survived(t *testing.T, bound int64) {
	t.Helper()
	b.goesOn(t, 5)
	usage, err := b.Usage()
	if err != nil {
		t.Fatal(err)
	}
	b.end()
	t.Logf("at most %d MiB resident, %d now; the healthy client's slowest of %d rounds took %v",
		usage.PeakRSS>>20, usage.RSS>>20, b.rounds.Load(), time.Duration(b.slowest.Load()))
	if usage.PeakRSS > bound {
		t.Errorf("%d MiB were resident, %d are the bound", usage.PeakRSS>>20, bound>>20)
	}
	for line := range strings.Lines(string(readFile(t, b.Log))) {
		if faults.MatchString(line) {
			t.Errorf("the broker's log: %.2000s", line)
		}
	}
	if err := b.Stop(time.Minute); err != nil {
		t.Error(err)
	}
}

// crowd dials n connections, a few at a time, does something with each, and keeps them until the test's end or the function is called.
func (b *besieged) crowd(t *testing.T, n int, do func(i int, c *peers.Conn) error) (leave func()) {
	t.Helper()
	conns := make([]*peers.Conn, n)
	var next atomic.Int64
	var dialers sync.WaitGroup
	for range min(n, 32) {
		dialers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				c, err := dialPatiently(b.Addr)
				if err == nil {
					// A reset instead of an end: so many ports in TIME_WAIT are more than there are.
					_ = c.Conn.(*net.TCPConn).SetLinger(0)
					conns[i] = c
					err = do(i, c)
				}
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	dialers.Wait()
	leave = sync.OnceFunc(func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	})
	t.Cleanup(leave)
	return leave
}

func dialPatiently(addr string) (*peers.Conn, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &peers.Conn{Conn: c}, nil
}

func write(c *peers.Conn, b []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}

// mayClose passes on what is not the broker's way to refuse a connection.
func mayClose(err error) error {
	if errors.Is(err, peers.ErrClosed) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

func frameOf(req kmsg.Request) []byte {
	return peers.Frame(req.Key(), req.GetVersion(), 1, "hostile", req.IsFlexible(), req.AppendTo(nil))
}

// stalled has clients connect and say nothing, or begin a frame and leave it at that.
func stalled(t *testing.T, b *besieged) {
	frame := frameOf(produceTo("healthy", 0, batchOf(codec.None, make([]byte, 500_000))))
	b.crowd(t, 1000, func(int, *peers.Conn) error { return nil })
	b.goesOn(t, 5)
	b.crowd(t, 3000, func(i int, c *peers.Conn) error { return write(c, frame[:1+i%2000]) })
	b.goesOn(t, 20)
	b.crowd(t, 100, func(i int, c *peers.Conn) error { return write(c, frame[:i*3000]) })
	b.goesOn(t, 20)
}

// refusedInALoop has clients send what is refused, again and again: the log says so for a while, then how often it did not.
func refusedInALoop(t *testing.T, b *besieged) {
	const n = 6000
	unknown := peers.Frame(999, 0, 1, "hostile", false, nil)
	leave := b.crowd(t, n, func(_ int, c *peers.Conn) error {
		_, err := c.Send(unknown, patience)
		if err = mayClose(err); err != nil {
			return err
		}
		return c.Close()
	})
	leave()
	b.goesOn(t, 20)
	lines := bytes.Count(readFile(t, b.Log), []byte("request refused"))
	if lines < 500 || lines > n/2 {
		t.Errorf("%d lines for %d requests that were refused", lines, n)
	}
	eventually(t, "the log says what was left out", func() error {
		if !bytes.Contains(readFile(t, b.Log), []byte("lines were left out")) {
			return errors.New("it does not")
		}
		return nil
	})
}

// storm has as many clients as descriptors allow connect at once, ten thousand at most, be answered, and stay.
func storm(t *testing.T, b *besieged) {
	n := 10_000
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	l.Cur = l.Max // Go has raised it already, but for programs that it starts
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	if most := int(l.Max) - 2000; most < n {
		t.Logf("the hard limit of descriptors is %d: %d connections instead of %d", l.Max, most, n)
		n = most
	}
	versions := kmsg.NewPtrApiVersionsRequest()
	for range 2 {
		leave := b.crowd(t, n, func(_ int, c *peers.Conn) error {
			_, err := c.RoundTrip(versions, patience)
			return err
		})
		b.goesOn(t, 20)
		leave()
	}
	b.goesOn(t, 20)
}

// truncated ends connections within every request at every version.
func truncated(t *testing.T, b *besieged) {
	m := &mutator{addr: b.Addr}
	m.prepare(t)
	b.crowd(t, 10*len(m.routes), func(i int, c *peers.Conn) error {
		r := m.routes[i/10]
		req := kmsg.RequestForKey(r.key)
		req.SetVersion(r.version)
		frame := frameOf(req)
		if err := write(c, frame[:len(frame)*(i%10)/10]); err != nil {
			return err
		}
		return c.Close()
	})
}

// others speak something else, and the log says what in one line each.
func others(t *testing.T, b *besieged) {
	if _, err := tls.Dial("tcp", b.Addr, &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("TLS on a plain port works")
	}
	if _, err := http.Get("http://" + b.Addr + "/metrics"); err == nil {
		t.Error("HTTP works")
	}
	c, err := peers.Dial(b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "ruok"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadFrame(); !errors.Is(err, peers.ErrClosed) {
		t.Error(err)
	}
	b.goesOn(t, 5)
	lines := map[string]int{}
	for line := range strings.Lines(string(readFile(t, b.Log))) {
		for _, what := range []string{"TLS", "HTTP", "ZooKeeper"} {
			if strings.Contains(line, "not a Kafka request") && strings.Contains(line, `"looks like":"`+what) || strings.Contains(line, `"looks like":"a command for `+what) {
				lines[what]++
			}
		}
	}
	// Go's HTTP client tries again when a connection that it has just made ends without an answer.
	if lines["TLS"] != 1 || lines["HTTP"] < 1 || lines["ZooKeeper"] != 1 {
		t.Errorf("the log has %v", lines)
	}
}

// descriptors writes to more partitions than the broker may have files, then takes all its descriptors with connections: those that
// are there are served as far as they go, nobody takes the disk for broken, and everything works when they are gone.
func descriptors(t *testing.T, b *besieged) {
	const n = 300
	topic := create(t, b.Addr, "many", n, "segment.bytes", "1000")
	c, err := peers.Dial(b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	write := func(id int32) error {
		resp, err := c.RoundTrip(produceTo(topic, id, batchOf(codec.None, make([]byte, 600))), patience)
		if err != nil {
			t.Fatal(err)
		}
		return kerr.ErrorForCode(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
	}
	for range 2 {
		for id := range int32(n) {
			if err := write(id); err != nil {
				t.Fatalf("partition %d: %v", id, err)
			}
		}
	}
	// The system takes these into the backlog; the broker cannot.
	leave := b.crowd(t, 300, func(int, *peers.Conn) error { return nil })
	eventually(t, "the broker has no descriptors left", func() error {
		if !bytes.Contains(readFile(t, b.Log), []byte("cannot accept connections")) {
			return errors.New("it does not say so")
		}
		return nil
	})
	b.goesOn(t, 20)
	errs := map[string]int{}
	for id := range int32(n) {
		if err := write(id); err != nil {
			errs[err.Error()]++
		}
	}
	b.goesOn(t, 20)
	t.Logf("without descriptors, of %d writes to segments that are not open these failed: %v", n, errs)
	leave()
	eventually(t, "connections are accepted again", func() error {
		if !bytes.Contains(readFile(t, b.Log), []byte("connections are accepted again")) {
			return errors.New("it does not say so")
		}
		return nil
	})
	for id := range int32(n) {
		if err := write(id); err != nil {
			t.Fatalf("afterwards, partition %d: %v", id, err)
		}
	}
	another := create(t, b.Addr, "another", 10)
	if err := produceOne(soon(t), b.Addr, another); err != nil {
		t.Error(err)
	}
	dirs := kmsg.NewPtrDescribeLogDirsRequest()
	resp, err := c.RoundTrip(dirs, patience)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range resp.(*kmsg.DescribeLogDirsResponse).Dirs {
		if d.ErrorCode != 0 {
			t.Errorf("log dir %s: %v", d.Dir, kerr.ErrorForCode(d.ErrorCode))
		}
	}
	if log := readFile(t, b.Log); bytes.Contains(log, []byte("disk failed")) {
		t.Error("a disk was taken for broken")
	}
}
