package replication

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/replication/await"
	"barnabas/storage"
	"barnabas/storage/index"
)

// Slice is records in their file, AbortedTxn a transaction that read_committed consumers must leave out.
type (
	Slice      = storage.Slice
	AbortedTxn = index.AbortedTxn
)

// Isolation says how far a reader may see.
type Isolation uint8

const (
	Uncommitted Isolation = iota // up to the high watermark
	Committed                    // up to the last stable offset
	Everything                   // up to the log end: debugging consumers, replicas
)

// Level is what a reader of that isolation waits on; Everything waits on the high watermark, which on a broker alone in
// the ISR moves with the log end.
func (p *Partition) Level(i Isolation) *await.Level {
	if i == Committed {
		return &p.stable
	}
	return &p.hw
}

// Bound is the offset behind the last one that the reader may see.
func (p *Partition) Bound(i Isolation) int64 {
	switch i {
	case Committed:
		return p.stable.Get()
	case Everything:
		return p.log.End()
	default:
		return p.hw.Get()
	}
}

// Position refuses offsets that are not in the log: OFFSET_OUT_OF_RANGE. An offset between the bound and the log end is
// there, only not yet readable.
func (p *Partition) Position(offset int64) error {
	if offset < p.log.Start() || offset > p.log.End() {
		return p.refuse(kerr.OffsetOutOfRange)
	}
	return nil
}

// Available is how many bytes a reader at offset could get now, at most limit. It touches no disk.
func (p *Partition) Available(offset int64, i Isolation, limit int) int {
	bound := p.Bound(i)
	if offset >= bound {
		return 0
	}
	return p.log.Size(offset, bound, limit)
}

// Read gives the records from offset on, at most limit bytes; with whole the first batch is given even when it is
// larger. The slice must be released.
func (p *Partition) Read(offset int64, i Isolation, limit int, whole bool) (Slice, error) {
	if err := p.Position(offset); err != nil {
		return Slice{}, err
	}
	return p.log.Read(offset, limit, p.Bound(i), whole)
}
