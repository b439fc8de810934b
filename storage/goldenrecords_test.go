package storage_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"barnabas/protocol/record"
	"barnabas/storage"
)

// sumRecords is the count and the hash of the data records below bound as expected.txt defines them; with committed only,
// the aborted transactions are left out as a read_committed consumer does.
func sumRecords(t *testing.T, l *storage.Log, bound int64, committed bool) string {
	t.Helper()
	skipFrom := map[int64][]int64{} // first offsets of aborted transactions by producer, ascending
	if committed {
		for _, a := range l.Aborted(l.Start(), bound) {
			skipFrom[a.ProducerID] = append(skipFrom[a.ProducerID], a.First)
		}
	}
	skipping := map[int64]bool{}
	sum := sha256.New()
	n := 0
	for _, b := range readBatches(t, l, l.Start(), bound) {
		id := b.ProducerID()
		if firsts := skipFrom[id]; b.IsTransactional() && len(firsts) > 0 && b.LastOffset() >= firsts[0] {
			skipping[id] = true
			skipFrom[id] = firsts[1:]
		}
		if b.IsControl() {
			delete(skipping, id)
			continue
		}
		if b.IsTransactional() && skipping[id] {
			continue
		}
		must(t, b.Each(1<<30, func(r record.Record) error {
			offset := b.BaseOffset() + int64(r.OffsetDelta)
			if offset < l.Start() {
				return nil
			}
			n++
			fmt.Fprintf(sum, "%d|", offset)
			for _, field := range [][]byte{r.Key, r.Value} {
				if field == nil {
					fmt.Fprint(sum, "-1:")
					continue
				}
				fmt.Fprintf(sum, "%d:%s", len(field), field)
			}
			return nil
		}))
	}
	return fmt.Sprintf("%d %x", n, sum.Sum(nil))
}
