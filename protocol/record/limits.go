package record

import "sync"

const (
	// wholeInflated is what the validator inflates at once; beyond, it walks the batch piece by piece.
	wholeInflated = 4 << 20
	// maxInflated is where the walk piece by piece gives up with MESSAGE_TOO_LARGE, which makes a Java producer split its
	// batch. Kafka would go on; the bound is on time only, and on the nerves of everybody who shares the broker.
	maxInflated = 1 << 30
	// maxRebuilt is the same for a batch that has to be held because it is recompressed or converted.
	maxRebuilt = 256 << 20
	// maxRecordErrors is how many records' errors are told; all are counted.
	maxRecordErrors = 10_000
)

// buffers lends space to inflate into. A buffer starts with room for more than a zstd block, whose decoder is slower where
// it must count every byte.
var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 256<<10)} }}

type buffer struct {
	b     []byte
	heavy bool // the lock is held, until it is given back
}

func borrow() *buffer { return buffers.Get().(*buffer) }

// giveBack ends the use of a buffer. One that is heavy, or has grown beyond the usual is left to the garbage collector.
func (b *buffer) giveBack() {
	if b.heavy {
		took := cap(b.b)
		b.heavy, b.b = false, nil
		lighten(took)
		return
	}
	if cap(b.b) <= wholeInflated {
		b.b = b.b[:0]
		buffers.Put(b)
	}
}
