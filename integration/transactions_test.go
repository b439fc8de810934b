//go:build integration

package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"barnabas/integration/peers"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestTransactionsAreRefusedAtOnce holds the broker to an honest word while it has no transactions. It used to answer
// COORDINATOR_NOT_AVAILABLE, upon which producers asked again and again until their patience (a minute with Java's) was over, and
// then told their users of a timeout.
func TestTransactionsAreRefusedAtOnce(t *testing.T) {
	if kind() != peers.Barnabas {
		t.Skip("Apache Kafka has transactions")
	}
	addr := target(t)
	topic := create(t, addr, "no-transactions", 1)
	for _, version := range []string{"3.9.2", "4.3.1"} {
		t.Run("Java "+version, func(t *testing.T) {
			// The tool leaves its producer behind when it fails, which goes on complaining into what later tools print.
			tools, err := peers.StartTools(version, folder(t))
			if err != nil {
				t.Fatal(err)
			}
			defer tools.Close()
			r, err := tools.Run(50*time.Second, "", producerPerf, "--topic", topic, "--num-records", "1",
				"--record-size", "10", "--throughput", "-1", "--transactional-id", "no-"+version, "--transaction-duration-ms", "100",
				"--producer-props", "bootstrap.servers="+addr, "max.block.ms=45000")
			if err != nil {
				t.Fatal(err)
			}
			if all := r.Stdout + r.Stderr; r.Exit == 0 || !strings.Contains(all, "does not support transactions") {
				t.Errorf("exit %d: %s", r.Exit, all)
			}
		})
	}
	t.Run("franz-go", func(t *testing.T) {
		p := client(t, addr, kgo.TransactionalID("no-franz-go"), kgo.DefaultProduceTopic(topic))
		if err := p.BeginTransaction(); !errors.Is(err, kerr.UnsupportedVersion) {
			t.Errorf("began a transaction: %v", err)
		}
	})
}
