package protocol

import (
	"math/bits"
	"sync"
)

// Buffers come in sizes of powers of two and are shared by all connections: a connection holds one only while it has
// unread bytes, so that idle ones cost none and busy ones allocate none.
const (
	smallestBuffer = 64 << 10
	pooledSizes    = 9 // up to largestPooled; larger ones are made and dropped
	largestPooled  = smallestBuffer << (pooledSizes - 1)
)

type buffer struct{ b []byte }

var pools [pooledSizes]sync.Pool

// sizeClass is the place in pools of the smallest size that holds n bytes, pooledSizes or more for those that are not
// pooled.
func sizeClass(n int) int {
	if n <= smallestBuffer {
		return 0
	}
	return bits.Len(uint((n - 1) / smallestBuffer))
}

// borrowBuffer gives a buffer of at least n bytes, whose content is anything.
func borrowBuffer(n int) *buffer {
	class := sizeClass(n)
	if class >= pooledSizes {
		return &buffer{make([]byte, n)}
	}
	if b, ok := pools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, smallestBuffer<<class)}
}

// giveBack ends the use of a buffer.
func (b *buffer) giveBack() {
	if class := sizeClass(len(b.b)); class < pooledSizes {
		pools[class].Put(b)
	}
}
