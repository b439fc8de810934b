package broker_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap/zaptest"

	"barnabas/broker"
	"barnabas/broker/config"
)

// freePort is a port of the loopback that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func at(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// changing is a broker whose settings are changed by a client of one of its listeners.
type changing struct {
	*testing.T
	*broker.Broker
	static *config.Static
	main   int // the port of PLAINTEXT
}

func newChanging(t *testing.T) *changing {
	c := &changing{T: t, main: freePort(t)}
	var err error
	c.static, err = config.NewStatic(map[string]string{"listeners": "PLAINTEXT://" + at(c.main), "log.dirs": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c.start()
	t.Cleanup(func() { c.Broker.Close(context.Background()) })
	return c
}

func (c *changing) start() {
	c.Helper()
	var err error
	if c.Broker, err = broker.Start(c.Context(), broker.Options{Config: c.static, Logger: zaptest.NewLogger(c)}); err != nil {
		c.Fatal(err)
	}
}

// client speaks on a port and on no other.
func (c *changing) client(port int) *kgo.Client {
	c.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(at(port)), kgo.RequestRetries(0))
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(cl.Close)
	return cl
}

// alter sets name=value settings of the broker, or deletes those without a value, by way of a port.
func (c *changing) alter(port int, settings ...string) error {
	c.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, fmt.Sprint(c.NodeID())
	for _, s := range settings {
		op := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		name, value, set := strings.Cut(s, "=")
		if op.Name = name; set {
			op.Value = &value
		} else {
			op.Op = kmsg.IncrementalAlterConfigOpDelete
		}
		r.Configs = append(r.Configs, op)
	}
	req.Resources = append(req.Resources, r)
	resp, err := c.client(port).SeedBrokers()[0].Request(c.Context(), req)
	if err != nil {
		c.Fatal(err)
	}
	answer := resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0]
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return fmt.Errorf("%w: %s", err, *answer.ErrorMessage)
	}
	return nil
}

func (c *changing) must(port int, settings ...string) {
	c.Helper()
	if err := c.alter(port, settings...); err != nil {
		c.Fatal(err)
	}
}

// toldOn checks which port clients that come in on a port are told.
func (c *changing) toldOn(port, want int) {
	c.Helper()
	meta, err := kadm.NewClient(c.client(port)).BrokerMetadata(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	if len(meta.Brokers) != 1 || int(meta.Brokers[0].Port) != want {
		c.Fatalf("on port %d clients are told of %+v, want port %d", port, meta.Brokers, want)
	}
}

func (c *changing) closed(port int) {
	c.Helper()
	if socket, err := net.Dial("tcp", at(port)); err == nil {
		socket.Close()
		c.Fatalf("port %d is open", port)
	}
}

const twoNames = "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,EXTRA:PLAINTEXT"

func (c *changing) both(extra int) string {
	return fmt.Sprintf("listeners=PLAINTEXT://%s,EXTRA://%s", at(c.main), at(extra))
}

// A listener that is added while the broker runs was once taken for good and never opened. It is served when the change is
// answered, tells its own endpoints, outlives a restart, and goes again.
func TestAListenerIsAddedAndRemovedWhileTheBrokerRuns(t *testing.T) {
	c := newChanging(t)
	extra := freePort(t)
	c.must(c.main, twoNames, c.both(extra), fmt.Sprintf("advertised.listeners=PLAINTEXT://%s,EXTRA://%s", at(c.main), at(extra)))
	c.toldOn(extra, extra)
	c.toldOn(c.main, c.main)
	if want := []string{"PLAINTEXT://" + at(c.main), "EXTRA://" + at(extra)}; !slices.Equal(c.Listeners(), want) {
		t.Fatalf("%q, want %q", c.Listeners(), want)
	}

	if err := c.Broker.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.start()
	c.toldOn(extra, extra)

	// The request that removes a listener comes in on it, and is answered; then the connection ends.
	idle, err := net.Dial("tcp", at(extra))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	c.toldOn(extra, extra) // accepted after the one above: that is in
	c.must(extra, "listeners", "advertised.listeners")
	c.closed(extra)
	if n, err := idle.Read(make([]byte, 1)); err == nil {
		t.Fatalf("%d bytes, and the connection lives", n)
	}
	c.toldOn(c.main, c.main)
	c.must(c.main, c.both(extra))
	c.toldOn(extra, extra)
}

// Listeners that move are bound where they are to be, be it that they trade places; Apache Kafka tells clients of the new
// port and stays at the old.
func TestListenersMoveWhileTheBrokerRuns(t *testing.T) {
	c := newChanging(t)
	extra, other := freePort(t), freePort(t)
	c.must(c.main, twoNames, c.both(extra))
	stays := c.client(extra)
	if err := stays.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.must(c.main, c.both(other))
	c.closed(extra)
	c.toldOn(other, other)
	c.must(other, fmt.Sprintf("listeners=PLAINTEXT://%s,EXTRA://%s", at(other), at(c.main)))
	c.toldOn(other, other)
	if want := []string{"PLAINTEXT://" + at(other), "EXTRA://" + at(c.main)}; !slices.Equal(c.Listeners(), want) {
		t.Fatalf("%q, want %q", c.Listeners(), want)
	}
	c.must(c.main, "listeners=PLAINTEXT://0.0.0.0:"+fmt.Sprint(other), "advertised.listeners=PLAINTEXT://"+at(other))
	c.toldOn(other, other)
	c.closed(c.main)
}

// An address that cannot be bound is refused before it is stored: the next start would fail. Apache Kafka answers no error.
func TestAListenerThatCannotBeBoundIsRefused(t *testing.T) {
	c := newChanging(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	err = c.alter(c.main, twoNames, c.both(port))
	if err == nil || !strings.Contains(err.Error(), "INVALID_REQUEST") || !strings.Contains(err.Error(), "Socket server failed to bind to "+at(port)) {
		t.Fatal(err)
	}
	if want := []string{"PLAINTEXT://" + at(c.main)}; !slices.Equal(c.Listeners(), want) {
		t.Fatalf("%q, want %q", c.Listeners(), want)
	}
	configs, err := kadm.NewClient(c.client(c.main)).DescribeBrokerConfigs(t.Context(), c.NodeID())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range configs[0].Configs {
		if kv.Key == "listeners" && *kv.Value != "PLAINTEXT://"+at(c.main) {
			t.Fatalf("stored all the same: %s", *kv.Value)
		}
	}
}

// The refusals are those of Apache Kafka 3.9.2, word for word.
func TestWhatIsRefusedOfListeners(t *testing.T) {
	c := newChanging(t)
	extra := freePort(t)
	main, running := "PLAINTEXT://"+at(c.main), "Invalid value org.apache.kafka.common.config.ConfigException: "
	want := func(text string, settings ...string) {
		t.Helper()
		err := c.alter(c.main, settings...)
		if err == nil || !strings.Contains(err.Error(), "INVALID_REQUEST") || !strings.HasSuffix(err.Error(), ": "+text) {
			t.Errorf("%q: %v, want %s", settings, err, text)
		}
	}
	want("Error creating broker listeners from '"+main+",EXTRA://"+at(extra)+"': No security protocol defined for listener EXTRA", c.both(extra))
	want("requirement failed: If you have two listeners on the same port then one needs to be IPv4 and the other IPv6, listeners: "+main+",EXTRA://"+at(c.main)+", port: "+fmt.Sprint(c.main),
		twoNames, c.both(c.main))
	want("requirement failed: inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid options based on currently configured listeners are EXTRA",
		twoNames, "listeners=EXTRA://"+at(extra))
	want("requirement failed: There must be at least one broker advertised listener.", "listeners=")
	c.must(c.main, twoNames, c.both(extra), "listener.name.extra.max.connections=5")
	// What is behind a listener's prefix may change where nothing else of listeners does.
	c.must(c.main, "listener.name.extra.foo=1")
	want(running+"Configs cannot be updated dynamically for existing listener ListenerName(EXTRA), restart broker or create a new listener for update for configuration Invalid dynamic configuration",
		"listener.name.extra.foo=2", c.both(freePort(t)))
	want(running+"Security protocol cannot be updated for existing listener ListenerName(EXTRA) for configuration Invalid dynamic configuration",
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,EXTRA:SSL")
}
