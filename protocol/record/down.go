package record

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

// overflowChunk is in what pieces Kafka writes the filler, each with a head of its own.
const overflowChunk = 128 << 10

// Down converts entries of a log to magic 0 or 1, for consumers that know no better (Fetch v0 to v3). Entries may end
// within one, which is dropped; entries of the wanted magic or an older one are copied. Uncompressed batches become
// single messages, without those below fetchOffset; a compressed one becomes one wrapper, whole. Headers, producers and
// control batches have no equivalent and are dropped.
//
// The result is exactly size bytes, which is what the unconverted entries take and the response has announced, or as
// many as the first converted entry if that alone is larger; it is cut there, or filled up with an entry that is too
// large to be one. If there is nothing to convert to it is 12 such bytes, and if there is no whole entry it is empty.
//
// kerr.UnsupportedCompressionType means that the first entry with anything to give is compressed with zstd. A later one
// ends the conversion: the consumer will come back for it. Other errors are ErrCorrupt.
func Down(entries []byte, magic int8, fetchOffset int64, size int) ([]byte, error) {
	out := make([]byte, 0, len(entries)+len(entries)/4)
	seen := false
	for len(out) == 0 || len(out) < size {
		entry, rest, err := Next(entries)
		if err != nil {
			break
		}
		entries, seen = rest, true
		at := len(out)
		if out, err = downEntry(out, entry, magic, fetchOffset); err != nil {
			if at == 0 {
				return nil, err
			}
			out = out[:at]
			break
		}
		if at == 0 {
			size = max(size, len(out))
		}
	}
	switch {
	case !seen:
		return nil, nil
	case len(out) == 0:
		return overflow(nil, LogOverhead), nil
	}
	return overflow(out[:min(len(out), size)], size-min(len(out), size)), nil
}

// overflow appends n bytes: an entry whose size says that it goes on behind them.
func overflow(out []byte, n int) []byte {
	for n > 0 {
		var head [LogOverhead]byte
		minus := int64(None)
		binary.BigEndian.PutUint64(head[:], uint64(minus))
		binary.BigEndian.PutUint32(head[offLength:], uint32(max(n+1, BatchOverhead)))
		chunk := min(n, overflowChunk)
		out = append(out, head[:min(chunk, LogOverhead)]...)
		out = append(out, make([]byte, max(chunk-LogOverhead, 0))...)
		n -= chunk
	}
	return out
}

const (
	downOverhead = 40 // how much larger a record is at most as a message, bytes
	leastRecord  = 7  // bytes of a record without key, value and headers
)

// downEntry appends an entry, converted; nothing if there is no equivalent.
func downEntry(out, entry []byte, magic int8, from int64) ([]byte, error) {
	if entry[offMagic] != magicV2 {
		return downMessage(out, message(entry), magic, from)
	}
	b := Batch(entry)
	t := codec.Type(b.Codec())
	switch {
	case b.IsControl():
		return out, nil
	case t == codec.Zstd:
		return out, kerr.UnsupportedCompressionType
	}
	if b.Count() == 0 {
		return out, nil // a batch that the cleaner emptied
	}
	records := b.Payload()
	if t != codec.None {
		buf := borrow()
		defer buf.giveBack() // behind d.close: another heavy batch must not begin while this one's messages are there
		if err := buf.inflate(records, t, magicV2, maxRebuilt); err != nil {
			return out, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), inflation(err))
		}
		records = buf.b
	}
	d := newDowner(out, magic, t, b.IsLogAppendTime(), b.MaxTimestamp())
	defer d.close()
	if len(records) > wholeInflated && t != codec.None {
		d.inner.b = make([]byte, 0, len(records)+min(int(b.Count()), len(records)/leastRecord)*downOverhead)
	}
	err := eachRecord(records, b.Count(), func(r Record) error {
		if at := b.BaseOffset() + int64(r.OffsetDelta); t != codec.None || at >= from {
			d.add(at, b.Timestamp(r), r.Key, r.Value)
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	return d.done()
}

// downMessage is downEntry for what was stored before there were batches.
func downMessage(out []byte, m message, magic int8, from int64) ([]byte, error) {
	if m.magic() <= magic {
		return append(out, m...), nil
	}
	list := []inner{plain(m)}
	if m.codec() != codec.None {
		_, packed, ok := m.parts()
		if !ok || packed == nil {
			return out, corrupt("compressed message at offset %d", m.offset())
		}
		buf := borrow()
		defer buf.giveBack()
		err := buf.inflate(packed, m.codec(), m.magic(), maxRebuilt)
		if err != nil {
			return out, inflation(err)
		}
		if list, err = unwrap(m, buf.b); err != nil {
			return out, &damage{text: "compressed message", cause: err}
		}
	}
	d := newDowner(out, magic, m.codec(), m.isLogAppendTime(), m.timestamp())
	defer d.close()
	for _, rec := range list {
		key, value, ok := rec.parts()
		if !ok {
			return out, corrupt("message at offset %d", rec.offset)
		}
		if m.codec() != codec.None || rec.offset >= from {
			d.add(rec.offset, rec.time, key, value)
		}
	}
	return d.done()
}

// downer turns the records of one entry into messages: single ones, straight to the output, or those of a wrapper.
type downer struct {
	out    []byte
	magic  int8
	codec  codec.Type
	attrs  int8    // of every message; the wrapper's has the codec too
	inner  *buffer // what the wrapper will hold, nil without one
	base   int64   // offset of the first
	last   int64
	newest int64 // timestamp
	any    bool
}

func newDowner(out []byte, magic int8, t codec.Type, logAppendTime bool, ts int64) *downer {
	d := &downer{out: out, magic: magic, codec: t, newest: None}
	if logAppendTime && magic > 0 {
		d.attrs, d.newest = messageLogAppendTime, ts
	}
	if t != codec.None {
		d.inner = borrow()
	}
	return d
}

func (d *downer) close() {
	if d.inner != nil {
		d.inner.giveBack()
		d.inner = nil
	}
}

func (d *downer) add(offset, ts int64, key, value []byte) {
	if !d.any {
		d.base, d.any = offset, true
	}
	d.last = offset
	ts = max(ts, None) // what is below cannot be said in these formats
	d.newest = max(d.newest, ts)
	if d.inner == nil {
		d.out = appendMessage(d.out, d.magic, offset, ts, d.attrs, key, value)
		return
	}
	if d.magic > 0 {
		offset -= d.base
	}
	d.inner.b = appendMessage(d.inner.b, d.magic, offset, ts, d.attrs, key, value)
}

// done returns the output with the entry behind it.
func (d *downer) done() ([]byte, error) {
	if !d.any || d.inner == nil {
		return d.out, nil
	}
	at := len(d.out)
	wrapper := beginMessage(d.out, d.magic, d.last, d.newest, d.attrs|int8(d.codec), nil)
	lengthAt := len(wrapper)
	wrapper, err := codec.Compress(append(wrapper, 0, 0, 0, 0), d.inner.b, d.codec, 0, d.magic)
	if err != nil {
		return d.out, inflation(err)
	}
	binary.BigEndian.PutUint32(wrapper[lengthAt:], uint32(len(wrapper)-lengthAt-4))
	sealMessage(wrapper[at:])
	return wrapper, nil
}
