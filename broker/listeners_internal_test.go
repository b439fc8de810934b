package broker

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"barnabas/broker/config"
	"barnabas/coordinator/store"
	"barnabas/storage/clock"
)

// timed is a hand-moved clock that tells of each time that is waited for.
type timed struct {
	*clock.Manual
	asked chan time.Duration
}

func (c timed) After(d time.Duration) <-chan time.Time {
	due := c.Manual.After(d)
	c.asked <- d
	return due
}

// A connection of a removed listener may write what it owes, but not for longer than the grace: a fetch may wait for ever.
func TestARemovedListenerWaitsForItsConnectionsALittle(t *testing.T) {
	c := timed{clock.NewManual(time.UnixMilli(1_700_000_000_000)), make(chan time.Duration, 10)}
	removal, remove := context.WithCancel(t.Context())
	defer remove()
	d := serveData(t, 1, func(s *server) { s.removal, s.remove, s.clock, s.limits.idle = removal, remove, c, 0 })
	w := dial(t, d.addr)
	first := kmsg.NewPtrApiVersionsRequest()
	w.send(first, fetchFrom(0, time.Hour))
	w.receive(first, 0) // the fetch behind it has come too
	d.server.remove()
	if got := <-c.asked; got != removalGrace {
		t.Fatalf("waits for %v", got)
	}
	c.Advance(removalGrace)
	w.wantClosed()
	if _, err := net.Dial("tcp", d.addr); err == nil {
		t.Error("the port is open")
	}
}

// The limits of a listener that comes while the broker runs hold for it, and who is left of one that has gone counts for
// none that comes after it.
func TestAListenersLimitsComeAndGoWithIt(t *testing.T) {
	one := config.ListenerLimits{MaxConnections: 1, MaxConnectionCreationRate: 1 << 30}
	c := newCrowd(clock.Real, "INSIDE", 11, time.Second, crowdOf(100, 100))
	come := func() (*guest, error) {
		soon, cancel := context.WithCancel(t.Context())
		cancel() // who must wait gives up
		g := &guest{listener: "EXTRA", lastUsed: func() int64 { return 0 }, leave: func() {}}
		return g, c.enter(soon, g)
	}
	if _, err := come(); err != errNoListener {
		t.Fatal(err)
	}
	limits := crowdOf(100, 100)
	limits.listeners["EXTRA"] = one
	c.openHall("EXTRA")
	c.set(limits)
	old, err := come()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := come(); err != context.Canceled {
		t.Fatalf("one too many: %v", err)
	}
	c.closeHall("EXTRA")
	c.openHall("EXTRA")
	if _, err := come(); err != nil {
		t.Fatal(err)
	}
	c.exit(old)
	if _, err := come(); err != context.Canceled {
		t.Fatalf("who left the old listener made room in the new: %v", err)
	}
}

// acting are all settings that can be changed while the broker runs and have an effect, with a value other than the default.
var acting = map[string]string{
	"listeners": "PLAINTEXT://127.0.0.1:0,EXTRA://127.0.0.1:0", "advertised.listeners": "PLAINTEXT://elsewhere:1",
	"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,EXTRA:PLAINTEXT,OTHER:PLAINTEXT",
	"compression.type":               "gzip", "compression.gzip.level": "3", "compression.lz4.level": "3", "compression.zstd.level": "7",
	"log.cleanup.policy": "compact", "log.flush.interval.messages": "7", "log.flush.interval.ms": "7", "log.index.interval.bytes": "77",
	"log.index.size.max.bytes": "7777", "log.message.downconversion.enable": "false", "log.message.timestamp.after.max.ms": "7",
	"log.message.timestamp.before.max.ms": "7", "log.message.timestamp.difference.max.ms": "7", "log.message.timestamp.type": "LogAppendTime",
	"log.preallocate": "true", "log.retention.bytes": "7", "log.retention.ms": "7", "log.roll.jitter.ms": "7", "log.roll.ms": "7",
	"log.segment.bytes": "7777", "log.segment.delete.delay.ms": "7", "message.max.bytes": "77", "min.insync.replicas": "2",
	"max.connection.creation.rate": "77", "max.connections": "77", "max.connections.per.ip": "7", "max.connections.per.ip.overrides": "127.0.0.1:7",
	"log.cleaner.backoff.ms": "7", "log.cleaner.dedupe.buffer.size": "7777777", "log.cleaner.delete.retention.ms": "7",
	"log.cleaner.io.buffer.load.factor": "0.7", "log.cleaner.io.buffer.size": "77777", "log.cleaner.io.max.bytes.per.second": "77777",
	"log.cleaner.max.compaction.lag.ms": "7", "log.cleaner.min.cleanable.ratio": "0.7", "log.cleaner.min.compaction.lag.ms": "7",
	"log.cleaner.threads": "2", "num.recovery.threads.per.data.dir": "2", "producer.id.expiration.ms": "7", "unclean.leader.election.enable": "true",
}

// Every setting that may change while the broker runs acts when it does, or is said to act never: listeners and
// num.recovery.threads.per.data.dir were once taken and stayed without effect until the next start.
func TestEverySettingThatMayChangeActsOrIsSaidNotTo(t *testing.T) {
	core, logged := observer.New(zap.InfoLevel)
	static, err := Alone("127.0.0.1:0", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := Start(t.Context(), Options{Config: static, Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	name := fmt.Sprint(b.NodeID())
	seen := func() string {
		limits := b.crowd.limits
		threads := b.settings.Broker().NumRecoveryThreadsPerDataDir // of which the log dirs show nothing before they close
		return fmt.Sprintf("%+v %+v %v %v %d %v %v", *b.topics.get("t"), limits, b.registration.Endpoints(), b.listenerNames(), threads, b.controllerSettings(), cleanerConfig(b.settings.Broker()))
	}
	for _, def := range config.BrokerDefs().All() {
		if def.Mode != config.PerBroker && def.Mode != config.ClusterWide {
			continue
		}
		value, acts := acting[def.Name]
		if acts != config.Effective(def.Name) {
			t.Errorf("%s: acts %v, but the settings say %v", def.Name, acts, config.Effective(def.Name))
			continue
		}
		if !acts {
			if def.Default != nil && *def.Default != "" {
				value = *def.Default
			} else {
				value = "x"
			}
			logged.TakeAll()
			b.applySettings(store.ConfigBrokers, name, map[string]string{def.Name: value})
			if said := logged.FilterMessageSnippet("without effect here: " + def.Name).Len(); said != 1 {
				t.Errorf("%s: a notice %d times", def.Name, said)
			}
			continue
		}
		base := map[string]string{"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,EXTRA:PLAINTEXT"}
		if codec, level := strings.CutSuffix(def.Name, ".level"); level { // counts for its codec only
			base["compression.type"] = strings.TrimPrefix(codec, "compression.")
		}
		b.applySettings(store.ConfigBrokers, name, base)
		before := seen()
		base[def.Name] = value
		if def.Name == "listener.security.protocol.map" { // seen by what it allows
			base["listeners"] = "PLAINTEXT://127.0.0.1:0,OTHER://127.0.0.1:0"
		}
		b.applySettings(store.ConfigBrokers, name, base)
		if before == seen() {
			t.Errorf("%s=%s changes nothing", def.Name, value)
		}
	}
}

func (b *Broker) listenerNames() (names []string) {
	for _, s := range b.listeners.all() {
		names = append(names, s.listener)
	}
	return names
}
