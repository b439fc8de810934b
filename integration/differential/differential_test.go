//go:build integration

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"barnabas/integration/peers"
)

// TestDifferential asks Apache Kafka and barnabas the same questions. Every difference has a rule in allowed.go, and every rule
// is needed.
func TestDifferential(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	dir := t.TempDir()
	z, err := peers.StartZooKeeper(ctx, filepath.Join(dir, "zookeeper"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Kill()
	kafka, err := peers.StartBroker(ctx, filepath.Join(dir, "kafka"), peers.Options{Kind: peers.Kafka, ZooKeeper: z.Addr})
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Kill()
	o := peers.Options{Kind: peers.Barnabas}
	if os.Getenv("BARNABAS_TARGET") == string(peers.Kafka) { // to try the scripts themselves
		o.Kind, o.ZooKeeper = peers.Kafka, z.Addr+"/second"
	}
	ours, err := peers.StartBroker(ctx, filepath.Join(dir, "ours"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Kill()
	chosen, err := choose("", "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := compareBrokers(kafka.Addr, ours.Addr, chosen, false)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	r.Print(&out, true)
	r.PrintCoverage(&out)
	t.Log(out.String())
	for _, gap := range r.Gaps() {
		t.Errorf("not covered: %s", gap)
	}
	if n := len(r.Forbidden()); n > 0 {
		t.Errorf("%d differences that no rule allows", n)
	}
}

// TestCompatibilityDocument holds docs/COMPATIBILITY.md to the table.
func TestCompatibilityDocument(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(peers.Root(), "docs", "COMPATIBILITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), list()) {
		t.Error("docs/COMPATIBILITY.md does not hold the present rules: run go run ./integration/differential --write-compatibility")
	}
}
