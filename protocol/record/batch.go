package record

import (
	"encoding/binary"
	"hash/crc32"
)

// Byte positions inside an entry of a log (KIP-98; Kafka's DefaultRecordBatch). The first 12 bytes and the magic
// are shared by all formats, so a walk over mixed formats needs only those.
const (
	offBaseOffset      = 0
	offLength          = 8
	offLeaderEpoch     = 12
	offMagic           = 16
	offCRC             = 17
	offAttributes      = 21
	offLastOffsetDelta = 23
	offBaseTimestamp   = 27
	offMaxTimestamp    = 35
	offProducerID      = 43
	offProducerEpoch   = 51
	offBaseSequence    = 53
	offCount           = 57

	// BatchOverhead is the size of a v2 batch without records.
	BatchOverhead = 61
	// LogOverhead is the size of offset and length, the part that every entry of every format begins with.
	LogOverhead = 12
)

// Attribute bits of a v2 batch.
const (
	AttrCodecMask        int16 = 0x07
	AttrLogAppendTime    int16 = 1 << 3
	AttrTransactional    int16 = 1 << 4
	AttrControl          int16 = 1 << 5
	AttrHasDeleteHorizon int16 = 1 << 6
)

// None is the value of a producer id, epoch, sequence, timestamp or leader epoch that is not there.
const None = -1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is a view over one whole v2 batch. Its methods read and write the bytes in place; it is only as valid as the
// check (Next, or Check) that made it: at least BatchOverhead bytes, magic 2.
type Batch []byte

func (b Batch) BaseOffset() int64      { return int64(binary.BigEndian.Uint64(b[offBaseOffset:])) }
func (b Batch) SetBaseOffset(o int64)  { binary.BigEndian.PutUint64(b[offBaseOffset:], uint64(o)) }
func (b Batch) Length() int32          { return int32(binary.BigEndian.Uint32(b[offLength:])) }
func (b Batch) LeaderEpoch() int32     { return int32(binary.BigEndian.Uint32(b[offLeaderEpoch:])) }
func (b Batch) SetLeaderEpoch(e int32) { binary.BigEndian.PutUint32(b[offLeaderEpoch:], uint32(e)) }
func (b Batch) Magic() int8            { return int8(b[offMagic]) }
func (b Batch) CRC() uint32            { return binary.BigEndian.Uint32(b[offCRC:]) }
func (b Batch) Attributes() int16      { return int16(binary.BigEndian.Uint16(b[offAttributes:])) }
func (b Batch) LastOffsetDelta() int32 { return int32(binary.BigEndian.Uint32(b[offLastOffsetDelta:])) }
func (b Batch) BaseTimestamp() int64   { return int64(binary.BigEndian.Uint64(b[offBaseTimestamp:])) }
func (b Batch) MaxTimestamp() int64    { return int64(binary.BigEndian.Uint64(b[offMaxTimestamp:])) }
func (b Batch) ProducerID() int64      { return int64(binary.BigEndian.Uint64(b[offProducerID:])) }
func (b Batch) ProducerEpoch() int16   { return int16(binary.BigEndian.Uint16(b[offProducerEpoch:])) }
func (b Batch) BaseSequence() int32    { return int32(binary.BigEndian.Uint32(b[offBaseSequence:])) }
func (b Batch) Count() int32           { return int32(binary.BigEndian.Uint32(b[offCount:])) }

// Payload is what follows the header: the records, compressed as one block unless Codec is none.
func (b Batch) Payload() []byte { return b[BatchOverhead:] }

func (b Batch) LastOffset() int64     { return b.BaseOffset() + int64(b.LastOffsetDelta()) }
func (b Batch) Codec() int8           { return int8(b.Attributes() & AttrCodecMask) }
func (b Batch) IsTransactional() bool { return b.Attributes()&AttrTransactional != 0 }
func (b Batch) IsControl() bool       { return b.Attributes()&AttrControl != 0 }
func (b Batch) IsLogAppendTime() bool { return b.Attributes()&AttrLogAppendTime != 0 }

// Timestamp is that of a record of the batch: with LogAppendTime all records have the batch's.
func (b Batch) Timestamp(r Record) int64 {
	if b.IsLogAppendTime() {
		return b.MaxTimestamp()
	}
	return b.BaseTimestamp() + r.TimestampDelta
}

// LastSequence is the sequence of the last record; sequences wrap from 2^31-1 to 0.
func (b Batch) LastSequence() int32 {
	if b.BaseSequence() == None {
		return None
	}
	return int32((int64(b.BaseSequence()) + int64(b.LastOffsetDelta())) & 0x7fffffff)
}

// SumCRC is the CRC-32C of what the CRC field covers: attributes to the end.
func (b Batch) SumCRC() uint32 { return crc32.Checksum(b[offAttributes:], castagnoli) }

// SetMaxTimestamp and SetAttributes leave the CRC stale; Seal renews it.
func (b Batch) SetMaxTimestamp(ts int64) { binary.BigEndian.PutUint64(b[offMaxTimestamp:], uint64(ts)) }
func (b Batch) SetAttributes(attrs int16) {
	binary.BigEndian.PutUint16(b[offAttributes:], uint16(attrs))
}
func (b Batch) Seal() { binary.BigEndian.PutUint32(b[offCRC:], b.SumCRC()) }
