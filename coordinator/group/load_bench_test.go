package group

import (
	"fmt"
	"testing"

	"barnabas/coordinator/runtime"
	"barnabas/coordinator/runtime/runtimetest"
	"barnabas/protocol/record"
	"barnabas/storage/clock"
)

// BenchmarkLoad loads a partition with a million commits, of 20 groups in 500 partitions over and over, in requests of 500. What a
// disk takes to read it is not in it: the log is in memory.
func BenchmarkLoad(b *testing.B) {
	const groups, partitions, rounds = 20, 500, 100
	log := runtimetest.NewLog()
	size := 0
	for round := range rounds {
		for g := range groups {
			batch := record.NewBuilder(record.BatchSpec{ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None})
			for p := range partitions {
				batch.Append(1_700_000_000_000, offsetKey(fmt.Sprintf("group-%d", g), "orders-of-the-shop", int32(p)),
					offsetValue(committed{offset: int64(round), leaderEpoch: 3, timestamp: 1_700_000_000_000, expires: -1}))
			}
			built, err := batch.Build()
			if err != nil {
				b.Fatal(err)
			}
			size += len(built)
			if _, err := log.Append(built); err != nil {
				b.Fatal(err)
			}
		}
	}
	o := Defaults()
	o.Clock, o.Logger, o.Partitions, o.RetentionCheck = clock.Real, nop, func() int32 { return 1 }, 0
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		c := New(o)
		c.Lead(0, 1, log)
		loaded := make(chan struct{})
		runtime.Post(c.rt, 0, func(*machine) { close(loaded) })
		<-loaded
		c.Close()
	}
}
