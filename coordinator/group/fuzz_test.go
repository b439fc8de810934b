package group

import (
	"bytes"
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"barnabas/coordinator/group/assign"
	"barnabas/coordinator/runtime/runtimetest"
	"barnabas/protocol/record"
)

// FuzzReplay loads a log with two arbitrary records, plain or in a transaction that ends, and looks at everything that came of
// it. Whatever they are, the partition is served, and what it writes can be loaded again.
func FuzzReplay(f *testing.F) {
	for p := range 2 {
		b := []record.Batch{}
		for _, batch := range goldenLog(&testing.T{}, p).Batches() {
			if !batch.IsControl() {
				b = append(b, batch)
			}
		}
		for i, batch := range b {
			next := b[(i+1)%len(b)]
			k1, v1 := only(batch)
			k2, v2 := only(next)
			f.Add(k1, v1, k2, v2, batch.IsTransactional())
		}
	}
	for _, name := range []string{"upgraded.log", "migrated.log"} {
		var keys, values [][]byte
		for _, b := range kafka4Log(f, name).Batches() {
			_ = b.Each(1<<20, func(r record.Record) error {
				keys, values = append(keys, bytes.Clone(r.Key)), append(values, bytes.Clone(r.Value))
				return nil
			})
		}
		for i := range keys {
			next := (i + 1) % len(keys)
			f.Add(keys[i], values[i], keys[next], values[next], false)
		}
	}
	f.Add([]byte{0, 3, 0, 1, 'g'}, []byte{0, 0, 0, 0, 0, 1}, []byte{0, 17}, []byte(nil), false)
	f.Add(groupKey("g"), []byte(nil), offsetKey("g", "t", 0), []byte(nil), true)
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 []byte, txn bool) {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(Defaults())
			defer func() { s.c.Close() }()
			l := runtimetest.NewLog()
			spec := record.BatchSpec{ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: 0}
			if txn {
				spec.ProducerID, spec.ProducerEpoch, spec.Transactional = 7, 0, true
			}
			b := record.NewBuilder(spec)
			b.Append(1, k1, v1)
			b.Append(2, k2, v2)
			batch, err := b.Build()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Append(batch); err != nil {
				return // beyond the log's limit
			}
			if txn {
				if _, err := l.Append(record.EndTxnMarker{Commit: true}.Batch(7, 0, 3)); err != nil {
					t.Fatal(err)
				}
			}
			s.c.Lead(0, 9, l)
			s.log = l
			look := func() {
				synctest.Wait()
				groups, err := s.c.List(context.Background(), nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, g := range groups {
					s.c.Describe(g.Group, math.MaxInt)
					s.c.Fetch(g.Group, nil, true, math.MaxInt)
					s.c.Join(JoinRequest{Group: g.Group, SessionTimeout: 6000, RebalanceTimeout: 1000, ProtocolType: g.ProtocolType,
						Protocols: []Protocol{{"range", nil}}})
					s.c.DescribeConsumer(g.Group, math.MaxInt)
					s.c.ConsumerHeartbeat(ConsumerHeartbeatRequest{Group: g.Group, Member: "m", RebalanceTimeout: 1000, Topics: []string{"t"},
						Owned: []assign.Partition{}})
				}
				synctest.Wait()
			}
			look()
			s.advance(time.Hour)
			look()
			s.advance(8 * 24 * time.Hour)
			s.replay()
			look()
		})
	})
}

// only gives the one record of a batch.
func only(b record.Batch) (key, value []byte) {
	_ = b.Each(1<<20, func(r record.Record) error {
		key, value = bytes.Clone(r.Key), bytes.Clone(r.Value)
		return nil
	})
	return key, value
}
