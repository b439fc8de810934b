package dump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strings"

	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"
	"barnabas/storage/vfs"
)

const (
	// offMagic is where every entry of every format has its magic.
	offMagic = 16
	// legacyCRC is where entries of magic 0 and 1 have their CRC-32 of all that follows it.
	legacyCRC = 12
	// maxInflated bounds the records of one batch, in bytes.
	maxInflated = 1 << 30
)

// log prints every entry that is whole, and says how many bytes are left then.
func (d *dumper) log(base int64) error {
	d.printf("Log starting offset: %d\n", base)
	f, err := d.fs.Open(d.path)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	end := size
	if d.MaxBytes > 0 {
		end = min(end, d.MaxBytes)
	}
	last := int64(-1) // offset of the record before
	position := int64(0)
	var buf []byte
	var damage error // of a batch; those behind it are printed all the same
	for position < end {
		entry, err := d.entry(f, position, end, buf)
		if err != nil {
			return err
		}
		if entry == nil {
			break
		}
		buf = entry
		if entry.Magic() < 2 {
			d.legacy(entry, position)
		} else if err := d.batch(entry, position, &last); err != nil {
			damage = errors.Join(damage, fmt.Errorf("batch at position %d: %w", position, err))
			last = -1
		}
		position += int64(len(entry))
	}
	if rest := size - position; rest > 0 && d.MaxBytes == 0 {
		d.printf("Found %d invalid bytes at the end of %s\n", rest, filepath.Base(d.path))
	}
	return damage
}

// entry reads the one at a position; nil when what is there is not whole.
func (d *dumper) entry(f vfs.File, position, end int64, buf []byte) (record.Batch, error) {
	var head [offMagic + 1]byte
	if end-position < int64(len(head)) {
		return nil, nil
	}
	if _, err := f.ReadAt(head[:], position); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	h := record.Batch(head[:])
	size := record.LogOverhead + int64(h.Length())
	smallest := int64(record.BatchOverhead)
	if h.Magic() < 2 {
		smallest = offMagic + 2 + 4 + 4 // attributes, null key, null value
	}
	if h.Magic() < 0 || h.Magic() > 2 || size < smallest || size > end-position {
		return nil, nil
	}
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if n, err := f.ReadAt(buf, position); n < len(buf) {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	return record.Batch(buf), nil
}

// legacy prints an entry of magic 0 or 1, without looking inside.
func (d *dumper) legacy(b record.Batch, position int64) {
	kind, timestamp := "NoTimestampType", int64(record.None)
	attributes := b[offMagic+1]
	if b.Magic() == 1 && len(b) >= offMagic+2+8 {
		kind, timestamp = timestampType(attributes&8 != 0), maxTimestamp(b)
	}
	sum := binary.BigEndian.Uint32(b[legacyCRC:])
	d.printf("offset: %d position: %d %s: %d size: %d magic: %d compresscodec: %s crc: %d isvalid: %v\n",
		b.BaseOffset(), position, kind, timestamp, len(b), b.Magic(), codec.Type(attributes&7), sum,
		sum == crc32.ChecksumIEEE(b[offMagic:]))
}

func maxTimestamp(b record.Batch) int64 {
	switch b.Magic() {
	case 0:
		return record.None
	case 1:
		return int64(binary.BigEndian.Uint64(b[offMagic+2:]))
	}
	return b.MaxTimestamp()
}

func timestampType(append bool) string {
	if append {
		return "LogAppendTime"
	}
	return "CreateTime"
}

func (d *dumper) batch(b record.Batch, position int64, last *int64) error {
	horizon := optional(b.BaseTimestamp(), b.Attributes()&record.AttrHasDeleteHorizon != 0)
	kind := timestampType(b.IsLogAppendTime())
	d.printf("baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d producerEpoch: %d "+
		"partitionLeaderEpoch: %d isTransactional: %v isControl: %v deleteHorizonMs: %s position: %d %s: %d size: %d "+
		"magic: %d compresscodec: %s crc: %d isvalid: %v\n",
		b.BaseOffset(), b.LastOffset(), b.Count(), b.BaseSequence(), b.LastSequence(), b.ProducerID(), b.ProducerEpoch(),
		b.LeaderEpoch(), b.IsTransactional(), b.IsControl(), horizon, position, kind, b.MaxTimestamp(), len(b),
		b.Magic(), codec.Type(b.Codec()), b.CRC(), b.CRC() == b.SumCRC())
	if !d.Deep && !d.Data && d.Decoder == Text {
		return nil
	}
	return b.Each(maxInflated, func(r record.Record) error {
		offset := b.BaseOffset() + int64(r.OffsetDelta)
		if *last >= 0 && offset != *last+1 {
			d.found("Non-consecutive offsets in %s\n  %d is followed by %d", d.path, *last, offset)
		}
		*last = offset
		d.record(b, r, offset, kind)
		return nil
	})
}

func (d *dumper) record(b record.Batch, r record.Record, offset int64, kind string) {
	prefix := "| "
	if !d.SkipMetadata {
		sequence := int32(record.None)
		if b.BaseSequence() >= 0 {
			sequence = int32((int64(b.BaseSequence()) + int64(r.OffsetDelta)) & 0x7fffffff)
		}
		keys := make([]string, len(r.Headers))
		for i, h := range r.Headers {
			keys[i] = h.Key
		}
		d.printf("%soffset: %d %s: %d keySize: %d valueSize: %d sequence: %d headerKeys: [%s]",
			prefix, offset, kind, b.Timestamp(r), size(r.Key), size(r.Value), sequence, strings.Join(keys, ","))
		prefix = " "
		if b.IsControl() {
			d.control(r)
		}
	}
	if (d.Data || d.Decoder != Text) && !b.IsControl() {
		key, payload, hasKey, hasPayload := d.decode(offset, r.Key, r.Value)
		if hasKey {
			d.printf("%skey: %s", prefix, key)
		}
		if hasPayload {
			d.printf(" payload: %s", payload)
		}
	}
	d.printf("\n")
}

// size is -1 for null.
func size(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}

// control prints what a control record says.
func (d *dumper) control(r record.Record) {
	kind, err := record.ParseControlKey(r.Key)
	if err != nil {
		return
	}
	m, err := record.ParseEndTxnMarker(r.Key, r.Value)
	switch {
	case err != nil:
		d.printf(" controlType: UNKNOWN(%d)", kind)
	case m.Commit:
		d.printf(" endTxnMarker: COMMIT coordinatorEpoch: %d", m.CoordinatorEpoch)
	default:
		d.printf(" endTxnMarker: ABORT coordinatorEpoch: %d", m.CoordinatorEpoch)
	}
}

func (d *dumper) decode(offset int64, k, v []byte) (key, payload string, hasKey, hasPayload bool) {
	switch d.Decoder {
	case Offsets:
		key, payload = offsetsRecord(offset, k, v)
		return key, payload, true, payload != ""
	case Transactions:
		key, payload = transactionsRecord(offset, k, v)
		return key, payload, true, payload != ""
	}
	return string(k), string(v), k != nil, v != nil
}
