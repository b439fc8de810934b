//go:build integration

package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The suite shares one broker that stands alone, one ZooKeeper, and one JVM for each version of Kafka's tools; a test that stops or
// breaks something starts its own. With BARNABAS_TARGET=kafka every broker is Apache Kafka 3.9.2, to try the tests themselves.

var (
	base   string // folder of everything; kept when a test fails
	shared struct {
		once   sync.Once
		broker *peers.Broker
		err    error
	}
	zooKeeper struct {
		once   sync.Once
		server *peers.ZooKeeper
		err    error
	}
	toolServers = map[string]*peers.Tools{}
	toolsLock   sync.Mutex
)

func TestMain(m *testing.M) {
	var err error
	if base, err = os.MkdirTemp("", "barnabas-integration-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	for _, t := range toolServers {
		t.Close()
	}
	if b := shared.broker; b != nil && b.Process != nil {
		if err := b.Stop(20 * time.Second); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if z := zooKeeper.server; z != nil && z.Process != nil {
		z.Kill()
	}
	if code == 0 {
		_ = os.RemoveAll(base)
	} else {
		fmt.Fprintln(os.Stderr, "logs and data of this run:", base)
	}
	os.Exit(code)
}

func kind() peers.Kind {
	if os.Getenv("BARNABAS_TARGET") == string(peers.Kafka) {
		return peers.Kafka
	}
	return peers.Barnabas
}

// soon is the context of things that take seconds.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// target is the shared broker's address.
func target(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() {
		o := options(t)
		shared.broker, shared.err = peers.StartBroker(context.Background(), filepath.Join(base, "shared"), o)
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.broker.Addr
}

// options are those of a broker of the target's kind, alone where it can be.
func options(t testing.TB) peers.Options {
	o := peers.Options{Kind: kind()}
	if o.Kind == peers.Kafka {
		o.ZooKeeper = keeper(t).Addr + "/" + strings.ReplaceAll(t.Name(), "/", "-")
	}
	return o
}

// keeper is the shared ZooKeeper.
func keeper(t testing.TB) *peers.ZooKeeper {
	t.Helper()
	zooKeeper.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		zooKeeper.server, zooKeeper.err = peers.StartZooKeeper(ctx, filepath.Join(base, "zookeeper"))
	})
	if zooKeeper.err != nil {
		t.Fatal(zooKeeper.err)
	}
	return zooKeeper.server
}

// folder is a test's own, kept when a test fails.
func folder(t testing.TB) string {
	dir := filepath.Join(base, strings.ReplaceAll(t.Name(), "/", "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// start is a broker of the test's own, ended with it; its log's end is shown when the test failed.
func start(t testing.TB, o peers.Options) *peers.Broker {
	t.Helper()
	b, err := peers.StartBroker(soon(t), filepath.Join(folder(t), "broker"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of %s:\n%s", b.Log, b.Tail(3000))
		}
		b.Kill()
	})
	return b
}

// client is a franz-go client of the broker, closed with the test.
func client(t testing.TB, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func admin(t testing.TB, addr string) *kadm.Client { return kadm.NewClient(client(t, addr)) }

// create makes a topic and returns its name; settings are name, value pairs.
func create(t testing.TB, addr, topic string, partitions int32, settings ...string) string {
	t.Helper()
	configs := map[string]*string{}
	for i := 0; i < len(settings); i += 2 {
		configs[settings[i]] = kadm.StringPtr(settings[i+1])
	}
	if _, err := admin(t, addr).CreateTopic(soon(t), partitions, 1, configs, topic); err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
	return topic
}

// run runs a program to its end and fails the test with its output unless it exits 0.
func run(t testing.TB, env []string, stdin, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(soon(t), program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return string(out)
}

func installed(t testing.TB, name ...string) string {
	t.Helper()
	path, err := peers.Installed(name...)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually polls a condition.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	if err := peers.Until(soon(t), nil, what, ok); err != nil {
		t.Fatal(err)
	}
}

func toolsOf(t testing.TB, version string) *peers.Tools {
	t.Helper()
	toolsLock.Lock()
	defer toolsLock.Unlock()
	if toolServers[version] == nil {
		tools, err := peers.StartTools(version, filepath.Join(base, "tools"))
		if err != nil {
			t.Fatal(err)
		}
		toolServers[version] = tools
	}
	return toolServers[version]
}
