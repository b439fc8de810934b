package broker

import (
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"barnabas/storage/clock"
)

func TestWhatOthersSpeakIsNamed(t *testing.T) {
	for _, c := range []struct{ bytes, want string }{
		{"\x16\x03\x01\x02\x00\x01\x00\x01", "TLS"},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP"},
		{"POST /topics HTTP/1.1\r\n", "HTTP"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"},
		{"SSH-2.0-OpenSSH_9.2\r\n", "SSH"},
		{"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", "PROXY"},
		{"\r\n\r\n\x00\r\nQUIT\n", "PROXY"},
		{"ruok", "ZooKeeper"},
		{"hello\n", "text"},
		{"\x80\x00\x00\x00\x00\x12\x00\x00", ""},
	} {
		core, logs := observer.New(zap.WarnLevel)
		d := serveData(t, 1, func(s *server) { s.log = zap.New(core) })
		w := dial(t, d.addr)
		if _, err := io.WriteString(w, c.bytes); err != nil {
			t.Fatal(err)
		}
		w.wantClosed()
		d.stop()
		all := logs.All()
		if len(all) != 1 {
			t.Fatalf("%q: %d lines", c.bytes, len(all))
		}
		if got, _ := all[0].ContextMap()["looks like"].(string); !strings.HasPrefix(all[0].Message, "not a Kafka request") || !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%q: %s, looks like %q", c.bytes, all[0].Message, got)
		}
	}
}

// refusing is a listener without descriptors for a while.
type refusing struct {
	net.Listener
	times int
	tried chan struct{}
}

func (r *refusing) Accept() (net.Conn, error) {
	if r.times > 0 {
		r.times--
		r.tried <- struct{}{}
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return r.Listener.Accept()
}

// An acceptor that is out of descriptors waits between its attempts, says so once a minute, and goes on when it can.
func TestAnAcceptorWithoutDescriptors(t *testing.T) {
	const attempts = 1200 // two minutes
	core, logs := observer.New(zap.InfoLevel)
	now := clock.NewManual(time.UnixMilli(1_700_000_000_000))
	r := &refusing{times: attempts, tried: make(chan struct{})}
	d := serveData(t, 1, func(s *server) {
		r.Listener = s.socket
		s.socket, s.clock, s.log, s.limits.idle = r, now, zap.New(core), 0
	})
	for range attempts {
		<-r.tried
		for { // until the acceptor waits for the clock
			if wait, any := now.Next(); any {
				if wait != acceptPause {
					t.Fatalf("it waits %v", wait)
				}
				now.Advance(wait)
				break
			}
		}
	}
	w, v := dial(t, d.addr), kmsg.NewPtrApiVersionsRequest()
	w.send(v)
	w.receive(v, 0)
	var got []string
	for _, e := range logs.All() {
		if e.Level >= zapcore.InfoLevel {
			got = append(got, e.Message)
		}
	}
	const wait = "cannot accept connections; they wait"
	want := []string{wait, wait, "connections are accepted again"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", got)
	}
	if first := logs.All()[0].ContextMap(); !strings.Contains(first["advice"].(string), "ulimit -n") || first["failures"] != int64(1) {
		t.Errorf("%v", first)
	}
}

// Large answers that wait behind another are not gathered without end: a connection once held 64 times all topics.
func TestLargeAnswersThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := wideServer(0)
		ours, theirs := net.Pipe()
		go io.Copy(io.Discard, theirs)
		c := newConn(t.Context(), s, ours, 1)
		defer c.cancel()
		defer theirs.Close()
		c.settled = make(chan struct{}, 1)
		frame := everyTopic()[4:]
		c.pending.Store(1) // a fetch that waits
		handled, bytes := 0, 0
		go func() {
			for range owedMax {
				owed, waits, _, ok := c.handle(frame)
				if !ok {
					t.Error("it is refused")
				}
				if handled++; waits {
					resp, _ := owed.reply.Ready()
					bytes += len(resp.AppendTo(nil))
				}
			}
		}()
		synctest.Wait()
		if handled < 2 || handled == owedMax || bytes > 2*owesMax {
			t.Errorf("%d answers of %d bytes wait", handled, bytes)
		}
		c.pending.Store(0)
		c.settled <- struct{}{}
		synctest.Wait()
		if handled != owedMax {
			t.Errorf("%d are answered in the end", handled)
		}
	})
}
