package broker_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap/zaptest"

	"barnabas/broker"
	"barnabas/broker/config"
)

// Who comes in on a listener is told the endpoints of that listener: names of its own, IPv4 and IPv6.
func TestEachListenerTellsItsOwnEndpoints(t *testing.T) {
	settings, err := config.NewStatic(map[string]string{
		"listeners":                      "INSIDE://127.0.0.1:0,OUTSIDE://[::1]:0",
		"listener.security.protocol.map": "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT",
		"inter.broker.listener.name":     "INSIDE",
		"log.dirs":                       t.TempDir(),
		"socket.send.buffer.bytes":       "65536",
		"socket.receive.buffer.bytes":    "65536",
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(t.Context(), broker.Options{Config: settings, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	for _, l := range b.Listeners() {
		_, addr, _ := strings.Cut(l, "://")
		c, err := kgo.NewClient(kgo.SeedBrokers(addr))
		if err != nil {
			t.Fatal(err)
		}
		meta, err := kadm.NewClient(c).BrokerMetadata(t.Context())
		c.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(meta.Brokers) != 1 || meta.Controller != b.NodeID() || meta.Cluster != b.ClusterID() {
			t.Fatalf("%s: %+v", l, meta)
		}
		if got := net.JoinHostPort(meta.Brokers[0].Host, strconv.Itoa(int(meta.Brokers[0].Port))); got != addr {
			t.Errorf("on %s the broker is said to be at %s", l, got)
		}
	}
}
