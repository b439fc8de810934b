package index

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"sync/atomic"
)

// Sizes of one entry in bytes.
const (
	OffsetEntrySize = 8
	TimeEntrySize   = 12
	TxnEntrySize    = 34
)

var (
	// ErrCorrupt is a file that fails the sanity check; the segment is to be recovered.
	ErrCorrupt = errors.New("index file is corrupt")
	// ErrFull is an append to an index that has reached its size; the segment is to be rolled before.
	ErrFull = errors.New("index is full")
	// ErrOrder is an append that is not behind the last entry, or further from the base than an entry can say.
	ErrOrder = errors.New("index entry out of order")
)

// relative is an offset as an entry stores it.
func relative(base, offset int64) (uint32, error) {
	if r := offset - base; offset >= base && r >= 0 && r <= math.MaxInt32 {
		return uint32(r), nil
	}
	return 0, fmt.Errorf("offset %d does not fit an index with base %d: %w", offset, base, ErrOrder)
}

// checkLength refuses a file that is not a whole number of entries.
func checkLength(kind string, n, size int) error {
	if n%size != 0 {
		return fmt.Errorf("%s of %d bytes, not a multiple of %d: %w", kind, n, size, ErrCorrupt)
	}
	return nil
}

// floor is the last of n entries for which after is false, -1 when it is true for all. after must be false, then true.
func floor(n int, after func(i int) bool) int { return sort.Search(n, after) - 1 }

// entries is the array of an active index. The slice that is published never changes within its length.
type entries struct {
	p atomic.Pointer[[]byte]
}

func (e *entries) bytes() []byte {
	if b := e.p.Load(); b != nil {
		return *b
	}
	return nil
}

// append publishes one more entry. The bytes behind the published end belong to nobody else, see cut.
func (e *entries) append(entry []byte) {
	b := append(e.bytes(), entry...)
	e.p.Store(&b)
}

// cut keeps n bytes. The capacity is clipped: the next append copies, and leaves readers of the old end their bytes.
func (e *entries) cut(n int) {
	b := e.bytes()[:n:n]
	e.p.Store(&b)
}
