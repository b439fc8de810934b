package record

import (
	"encoding/binary"
	"errors"

	"barnabas/protocol/record/codec"
)

// BatchSpec is what a batch is to be, beside its records. The zero value is a plain batch of leader epoch 0 and producer
// 0: a producer id that is not there is None, as is its epoch and its sequence.
type BatchSpec struct {
	BaseOffset  int64
	LeaderEpoch int32
	Codec       codec.Type
	// Level is the codec's, 0 Kafka's default.
	Level         int
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	Transactional bool
	Control       bool
	// LogAppendTime gives every record, and the batch, the time MaxTimestamp, in milliseconds. Without it the maximum is
	// that of the records.
	LogAppendTime bool
	MaxTimestamp  int64
}

// ErrEmpty is Build's answer where nothing has been appended.
var ErrEmpty = errors.New("record: a batch without records")

// Builder makes a batch of magic 2. It is for one goroutine.
type Builder struct {
	spec  BatchSpec
	buf   []byte // header to be, then the records, uncompressed
	count int32
	last  int32 // offset delta
	base  int64 // timestamps
	max   int64
}

// NewBuilder begins a batch.
func NewBuilder(spec BatchSpec) *Builder {
	b := new(Builder)
	b.Reset(spec)
	return b
}

// Reset begins another batch. The one that Build returned before is overwritten unless it was compressed.
func (b *Builder) Reset(spec BatchSpec) {
	if b.buf == nil {
		b.buf = make([]byte, BatchOverhead, 512)
	}
	b.spec, b.buf, b.count, b.last, b.base, b.max = spec, b.buf[:BatchOverhead], 0, -1, None, None
}

// Count is how many records have been appended.
func (b *Builder) Count() int { return int(b.count) }

// Size is that of the batch as it stands, if it is not compressed.
func (b *Builder) Size() int { return len(b.buf) }

// Append adds a record at the next offset. Times are milliseconds; nil keys and values are null.
func (b *Builder) Append(ts int64, key, value []byte, headers ...Header) {
	b.AppendAt(b.last+1, ts, key, value, headers...)
}

// AppendAt adds a record at an offset of the caller's, which must be greater than the one before.
func (b *Builder) AppendAt(offsetDelta int32, ts int64, key, value []byte, headers ...Header) {
	if b.count == 0 {
		b.base = ts
	}
	b.count++
	b.last = offsetDelta
	b.max = max(b.max, ts)
	r := Record{OffsetDelta: offsetDelta, TimestampDelta: ts - b.base, Key: key, Value: value, Headers: headers}
	b.buf = r.appendTo(b.buf)
}

// Build ends the batch. Without compression it lies in the builder's own memory.
func (b *Builder) Build() (Batch, error) {
	if b.count == 0 {
		return nil, ErrEmpty
	}
	batch := Batch(b.buf)
	if b.spec.Codec != codec.None {
		packed, err := codec.Compress(make([]byte, BatchOverhead, BatchOverhead+len(b.buf)/2), b.buf[BatchOverhead:], b.spec.Codec, b.spec.Level, magicV2)
		if err != nil {
			return nil, err
		}
		batch = packed
	}
	b.writeHeader(batch)
	return batch, nil
}

func (b *Builder) writeHeader(batch Batch) {
	s := &b.spec
	attrs := int16(s.Codec)
	newest := b.max
	if s.LogAppendTime {
		attrs |= AttrLogAppendTime
		newest = s.MaxTimestamp
	}
	if s.Transactional {
		attrs |= AttrTransactional
	}
	if s.Control {
		attrs |= AttrControl
	}
	batch.SetBaseOffset(s.BaseOffset)
	binary.BigEndian.PutUint32(batch[offLength:], uint32(len(batch)-LogOverhead))
	batch.SetLeaderEpoch(s.LeaderEpoch)
	batch[offMagic] = magicV2
	batch.SetAttributes(attrs)
	binary.BigEndian.PutUint32(batch[offLastOffsetDelta:], uint32(b.last))
	binary.BigEndian.PutUint64(batch[offBaseTimestamp:], uint64(b.base))
	batch.SetMaxTimestamp(newest)
	binary.BigEndian.PutUint64(batch[offProducerID:], uint64(s.ProducerID))
	binary.BigEndian.PutUint16(batch[offProducerEpoch:], uint16(s.ProducerEpoch))
	binary.BigEndian.PutUint32(batch[offBaseSequence:], uint32(s.BaseSequence))
	binary.BigEndian.PutUint32(batch[offCount:], uint32(b.count))
	batch.Seal()
}

// appendTo writes the record as a batch holds it.
func (r *Record) appendTo(b []byte) []byte {
	b = appendVarint(b, int32(r.bodySize()))
	b = append(b, 0) // attributes
	b = appendVarlong(b, r.TimestampDelta)
	b = appendVarint(b, r.OffsetDelta)
	b = appendNullable(b, r.Key)
	b = appendNullable(b, r.Value)
	b = appendVarint(b, int32(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		b = appendVarint(b, int32(len(h.Key)))
		b = append(b, h.Key...)
		b = appendNullable(b, h.Value)
	}
	return b
}

func (r *Record) bodySize() int {
	n := 1 + sizeVarlong(r.TimestampDelta) + sizeVarint(r.OffsetDelta) + sizeNullable(r.Key) + sizeNullable(r.Value) +
		sizeVarint(int32(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		n += sizeVarint(int32(len(h.Key))) + len(h.Key) + sizeNullable(h.Value)
	}
	return n
}

func appendNullable(b, v []byte) []byte {
	if v == nil {
		return appendVarint(b, -1)
	}
	return append(appendVarint(b, int32(len(v))), v...)
}

func sizeNullable(v []byte) int {
	if v == nil {
		return 1
	}
	return sizeVarint(int32(len(v))) + len(v)
}
