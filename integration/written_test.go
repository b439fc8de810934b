//go:build integration

package integration

import (
	"testing"
	"time"

	"barnabas/integration/peers"
)

// TestWritten has DumpLogSegments read what the shared broker wrote for every test before: by its file's name it comes after those that
// do not run in parallel. The broker stops for that and starts again.
func TestWritten(t *testing.T) {
	addr := target(t)
	if shared.broker.Opts.Kind != peers.Barnabas {
		t.Log("the shared broker is not barnabas: nothing to look at")
		return
	}
	create(t, addr, "written", 1)
	if err := produceOne(soon(t), addr, "written"); err != nil {
		t.Fatal(err)
	}
	if err := shared.broker.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	dumpAll(t, shared.broker.DataDir)
	if err := shared.broker.Restart(soon(t)); err != nil {
		t.Fatal(err)
	}
}
