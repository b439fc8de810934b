package broker

import (
	"barnabas/coordinator/group"
	"barnabas/protocol/record"
	"barnabas/storage"
)

// adoptRead is how much of a log is read at once.
const adoptRead = 1 << 20

// offsetsCount is how many partitions an adopted __consumer_offsets had, of which found are in the log dirs, or up to the
// highest of them. A partition that nobody wrote to has no directory here, so there may have been more: as many as the
// settings ask for, unless a group lies where that many partitions would not have put it.
func offsetsCount(logs []*storage.Log, found, wanted int32) int32 {
	if wanted <= found {
		return found
	}
	for _, l := range logs {
		fits, err := groupsFit(l, wanted)
		if err != nil || !fits {
			return found
		}
	}
	return wanted
}

// groupsFit says whether every group in a partition of __consumer_offsets hashes to that partition among count.
func groupsFit(l *storage.Log, count int32) (bool, error) {
	fits := true
	for at := l.Start(); at < l.End() && fits; {
		slice, err := l.Read(at, adoptRead, l.End(), true)
		if err != nil {
			return false, err
		}
		entries := make([]byte, slice.Len())
		_, err = slice.ReadInto(entries)
		slice.Release()
		if err != nil {
			return false, err
		}
		next := at
		for fits {
			entry, rest, err := record.Next(entries)
			if err != nil {
				break // the end, or a batch that was cut
			}
			entries = rest
			b := record.Batch(entry)
			if len(b) < record.BatchOverhead || b.Magic() != 2 {
				return false, nil
			}
			next = b.LastOffset() + 1
			if b.IsControl() {
				continue
			}
			if err := b.Each(adoptRead*64, func(r record.Record) error {
				if g, ok := group.OfKey(r.Key); ok && group.PartitionFor(g, count) != l.Partition() {
					fits = false
				}
				return nil
			}); err != nil {
				return false, err
			}
		}
		if next == at {
			break
		}
		at = next
	}
	return fits, nil
}
