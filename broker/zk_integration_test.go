//go:build integration

package broker_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"barnabas/broker"
	"barnabas/broker/config"
	"barnabas/coordinator/store/zk/zktest"
)

// line passes bytes between a client and a server until it goes dead: then it neither passes on any more nor says so, as
// when a cable is pulled.
type line struct {
	net.Listener
	server string
	dead   sync.RWMutex // held for good to go dead
	mu     sync.Mutex   // guards conns
	conns  []net.Conn
}

func newLine(t *testing.T, server string) *line {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{Listener: listener, server: server}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", l.server)
			if err != nil {
				client.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, client, up)
			l.mu.Unlock()
			go l.pass(up, client)
			go l.pass(client, up)
		}
	}()
	return l
}

func (l *line) pass(to io.Writer, from io.Reader) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		l.dead.RLock()
		l.dead.RUnlock() //nolint:staticcheck // nothing is guarded: it is a gate
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// end lets everything go.
func (l *line) end() {
	l.dead.Unlock()
	l.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
}

// A broker that is told to stop while nobody hears of ZooKeeper stops all the same, and cleanly as to its disks.
func TestCloseWithoutZooKeeper(t *testing.T) {
	server := zktest.Start(t)
	ignored := goleak.IgnoreCurrent()
	l := newLine(t, server.Addr)
	folder := t.TempDir()
	static, err := config.NewStatic(map[string]string{
		"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": folder, "zookeeper.connect": l.Addr().String(), "broker.id": "1",
		"zookeeper.session.timeout.ms": "60000", "offsets.topic.replication.factor": "1", "offsets.topic.num.partitions": "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(t.Context(), broker.Options{Config: static, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	l.dead.Lock()
	// Requests that need the store wait for it meanwhile.
	var asking sync.WaitGroup
	asking.Go(func() { _ = c.ProduceSync(t.Context(), &kgo.Record{Topic: "another", Value: []byte("v")}) })
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal("without ZooKeeper:", err)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	asking.Wait()
	l.end()
	if err := goleak.Find(ignored); err != nil {
		t.Fatal(err)
	}
}
