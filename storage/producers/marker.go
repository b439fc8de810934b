package producers

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
)

// Types of control records that end a transaction.
const (
	typeAbort  = 0
	typeCommit = 1
)

// Marker is the control record that ends a transaction.
type Marker struct {
	Commit           bool
	CoordinatorEpoch int32
	Timestamp        int64 // ms since 1970
}

// ParseMarker reads the marker of a control batch; false when the batch is empty, as compaction leaves it. An error wraps
// kerr.CorruptMessage.
func ParseMarker(b record.Batch) (_ Marker, found bool, err error) {
	if len(b.Payload()) == 0 {
		return Marker{}, false, nil
	}
	if b.Codec() != 0 {
		return Marker{}, false, fmt.Errorf("a compressed control batch: %w", kerr.CorruptMessage)
	}
	r := reader{b: b.Payload()}
	r.varint()       // length
	r.take(1)        // attributes
	ts := r.varint() // timestamp delta
	r.varint()       // offset delta
	key := r.take(r.varint())
	value := r.take(r.varint())
	if r.bad || len(key) < 4 || len(value) < 6 {
		return Marker{}, false, fmt.Errorf("malformed control record: %w", kerr.CorruptMessage)
	}
	kind := int16(binary.BigEndian.Uint16(key[2:]))
	if kind != typeAbort && kind != typeCommit {
		return Marker{}, false, fmt.Errorf("control record of type %d: %w", kind, kerr.CorruptMessage)
	}
	m := Marker{
		Commit:           kind == typeCommit,
		CoordinatorEpoch: int32(binary.BigEndian.Uint32(value[2:])),
		Timestamp:        b.BaseTimestamp() + ts,
	}
	if b.IsLogAppendTime() {
		m.Timestamp = b.MaxTimestamp()
	}
	return m, true, nil
}

// reader walks the fields of one record; bad sticks.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.b)) {
		r.bad = true
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}
