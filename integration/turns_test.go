//go:build integration

package integration

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barnabas/integration/peers"
)

// TestTurns has barnabas and Apache Kafka take turns at one log dir and one ZooKeeper, killed or stopped in between. Each serves what
// the one before served, and writes on.
func TestTurns(t *testing.T) {
	t.Parallel()
	c := keeperSession(t, keeper(t).Addr)
	chroot := "/turns"
	settings := shortSessions()
	maps.Copy(settings, busyJanitor())
	options := func(kind peers.Kind) peers.Options {
		return peers.Options{Kind: kind, ZooKeeper: keeper(t).Addr + chroot, DataDir: filepath.Join(folder(t), "data"), Settings: settings}
	}
	barnabas := start(t, options(peers.Barnabas))
	topics := dumpTopics(t, barnabas.Addr)
	writeEverywhere(t, barnabas.Addr, topics, 0)
	useGroups(t, barnabas.Addr)
	shorten(t, barnabas)
	before := served(t, barnabas.Addr, nil)
	barnabas.Kill()

	unregistered(t, c, chroot) // Kafka does not wait for that by itself
	kafka, err := peers.StartBroker(soon(t), filepath.Join(folder(t), "kafka"), options(peers.Kafka))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kafka.Kill() })
	servesStill(t, kafka.Addr, before)
	writeEverywhere(t, kafka.Addr, topics, 1)
	useGroups(t, kafka.Addr)
	before = served(t, kafka.Addr, nil)
	kafka.Kill()

	if err := barnabas.Restart(soon(t)); err != nil { // barnabas does
		t.Fatal(err)
	}
	servesStill(t, barnabas.Addr, before)
	writeEverywhere(t, barnabas.Addr, topics, 2)
	useGroups(t, barnabas.Addr)
	before = served(t, barnabas.Addr, nil)
	if err := barnabas.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}

	if err := kafka.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	servesStill(t, kafka.Addr, before)
	if err := kafka.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	if log := string(readFile(t, kafka.Log)); strings.Count(log, "Skipping recovery of") != 1 {
		t.Errorf("Kafka's log does not say once that it found a clean stop")
	}

	at := len(readFile(t, barnabas.Log))
	if err := barnabas.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
	noScan(t, barnabas, at)
	servesStill(t, barnabas.Addr, before)
	if err := barnabas.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	dumpAll(t, barnabas.DataDir)
}
