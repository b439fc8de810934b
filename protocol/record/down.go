package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

const (
	// overflowChunk is in what pieces Kafka writes the filler, each with a head of its own.
	overflowChunk = 128 << 10
	// downPiece is how much is converted at a time, in bytes of the log, or one entry.
	downPiece = 128 << 10
)

// Turns bounds how much is converted at a time.
type Turns interface {
	// Begin waits until something may be converted, up to End. It calls waits first if that is not at once, to let go of memory. After
	// an error there is no turn.
	Begin(waits func()) error
	End()
}

// Converted are entries of a log in magic 0 or 1, for consumers that know no better (Fetch v0 to v3). They are read and
// converted piece by piece while they are sent, and what is in memory is a piece. Entries may end within one, which is
// dropped; entries of the wanted magic or an older one are copied. Uncompressed batches become single messages, without those
// below the fetch offset; a compressed one becomes one wrapper, whole. Headers, producers and control batches have no
// equivalent and are dropped.
//
// There are exactly as many bytes as the unconverted entries take, which the response has announced, or as many as the first
// converted entry has if that alone is larger; they are cut there, or filled up with an entry that is too large to be one. If
// there is nothing to convert to they are 12 such bytes, and if there is no whole entry there are none. An entry behind the
// first that cannot be converted ends the conversion: the consumer will come back for it.
type Converted struct {
	src   io.ReaderAt
	end   int64
	conv  conversion
	turns Turns

	size   int // of all pieces
	sent   int
	at     int64   // behind what has been read into window
	window *buffer // nil while nothing is in memory
	unread []byte  // of the window
	piece  *buffer // what has been converted last
	first  []byte  // the first piece, until it is given or forgotten
	over   bool    // what has not been converted yet is filler
}

// conversion says what to convert to.
type conversion struct {
	magic int8
	from  int64 // the fetch offset
}

// NewConverted converts the first n bytes of src, up to the first entry that has an equivalent: the rest is done by Next. src
// must stay readable until Release, which is owed if there is no error. Of what that entry becomes it keeps up to keep bytes for
// Next, which converts it again if it is more. Without turns all is converted when it is wanted.
//
// kerr.UnsupportedCompressionType means that the first entry with anything to give is compressed with zstd. Other errors are
// ErrCorrupt, or those of src and of turns.
func NewConverted(src io.ReaderAt, n int, magic int8, fetchOffset int64, keep int, turns Turns) (*Converted, error) {
	c := &Converted{src: src, end: int64(n), conv: conversion{magic, fetchOffset}, turns: turns}
	return c, c.begin(n, keep)
}

// begin finds out the size, which is at least least.
func (c *Converted) begin(least, keep int) error {
	seen, err := c.convert(1)
	n := 0
	switch {
	case err != nil || !seen:
	case len(c.piece.b) == 0:
		c.size = LogOverhead
	default:
		n = len(c.piece.b)
		c.size = max(least, n)
	}
	if 0 < n && n <= keep {
		c.first = bytes.Clone(c.piece.b)
	}
	if c.drop(); n > keep {
		c.at = 0
	}
	return err
}

// Len is how many bytes there are in all.
func (c *Converted) Len() int { return c.size }

// Holds is how much memory is in use, in bytes.
func (c *Converted) Holds() int {
	n := len(c.first)
	for _, b := range []*buffer{c.window, c.piece} {
		if b != nil {
			n += cap(b.b)
		}
	}
	return n
}

// Forget lets go of the memory until Next is called for the first time, which converts anew what it has forgotten.
func (c *Converted) Forget() {
	if c.first != nil {
		c.first, c.at = nil, 0
	}
}

// Release lets go of all memory. Next must not be called afterwards.
func (c *Converted) Release() {
	c.first = nil
	c.drop()
}

// drop lets go of what is not needed to go on. What is unread is read again, which costs less than to hold it.
func (c *Converted) drop() {
	c.at -= int64(len(c.unread))
	if c.window != nil {
		c.window.giveBack()
	}
	c.window, c.unread = nil, nil
	if c.piece != nil {
		c.piece.giveBack()
		c.piece = nil
	}
}

// Next gives the next piece, valid until the next call or Release; io.EOF says that there are no more. Other errors are those of
// the source.
func (c *Converted) Next() ([]byte, error) {
	left := c.size - c.sent
	if left <= 0 {
		c.Release()
		return nil, io.EOF
	}
	piece := c.first
	if c.first = nil; piece == nil {
		if _, err := c.convert(downPiece); err != nil {
			return nil, err
		}
		if len(c.piece.b) == 0 {
			c.over = true
			c.piece.b = overflow(c.piece.b, left)
		}
		piece = c.piece.b
	}
	piece = piece[:min(len(piece), left)]
	c.sent += len(piece)
	return piece, nil
}

// convert converts entries until they are read that take some bytes, at least one that has an equivalent; seen says whether there was
// any. Nothing is converted when all is over. The error is that of the source, or of an entry that is the first to have an equivalent.
func (c *Converted) convert(atLeast int) (seen bool, err error) {
	if c.turns != nil {
		if err := c.turns.Begin(c.drop); err != nil { // nothing is held while others convert
			return false, err
		}
		defer c.turns.End()
	}
	if c.piece == nil {
		c.piece = borrow()
	}
	c.piece.b = c.piece.b[:0]
	for took := 0; !c.over && (len(c.piece.b) == 0 || took < atLeast); {
		entry, err := c.entry()
		if err != nil {
			return seen, err
		}
		if entry == nil {
			break
		}
		seen = true
		took += len(entry)
		before := len(c.piece.b)
		if c.piece.b, err = downEntry(c.piece.b, entry, c.conv.magic, c.conv.from); err != nil {
			c.piece.b, c.over = c.piece.b[:before], before > 0 || c.size > 0
			if !c.over {
				return seen, err
			}
		}
	}
	return seen, nil
}

// entry is the next whole entry, valid until the next call; nil when there is none.
func (c *Converted) entry() ([]byte, error) {
	for want := LogOverhead; ; {
		if len(c.unread) >= want {
			entry, rest, err := Next(c.unread)
			if err == nil {
				c.unread = rest
				return entry, nil
			}
			if !errors.Is(err, ErrShort) {
				return nil, nil
			}
			want = max(len(c.unread)+1, LogOverhead+int(int32(binary.BigEndian.Uint32(c.unread[offLength:]))))
		}
		if c.at+int64(want-len(c.unread)) > c.end {
			return nil, nil
		}
		if err := c.read(want); err != nil {
			return nil, err
		}
	}
}

// read makes at least n bytes unread, of which there must be as many.
func (c *Converted) read(n int) error {
	if c.window == nil {
		c.window = borrow()
	}
	b := slices.Grow(c.window.b[:0], max(n, downPiece))
	have := copy(b[:cap(b)], c.unread)
	size := have + int(min(int64(max(n, downPiece)-have), c.end-c.at))
	c.window.b = b[:size]
	if got, err := c.src.ReadAt(c.window.b[have:], c.at); got < size-have {
		return err
	}
	c.at += int64(size - have)
	c.unread = c.window.b
	return nil
}

// Down is what Converted gives, at once, where the entries count as some size.
func Down(entries []byte, magic int8, fetchOffset int64, size int) ([]byte, error) {
	c := &Converted{src: bytes.NewReader(entries), end: int64(len(entries)), conv: conversion{magic, fetchOffset}}
	if err := c.begin(size, size); err != nil {
		return nil, err
	}
	defer c.Release()
	var out []byte
	for {
		piece, err := c.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, piece...)
	}
}

// overflow appends the beginning of n bytes, as much as is written at a time: an entry whose size says that it goes on behind them.
func overflow(out []byte, n int) []byte {
	var head [LogOverhead]byte
	minus := int64(None)
	binary.BigEndian.PutUint64(head[:], uint64(minus))
	binary.BigEndian.PutUint32(head[offLength:], uint32(max(n+1, BatchOverhead)))
	chunk := min(n, overflowChunk)
	out = append(out, head[:min(chunk, LogOverhead)]...)
	return append(out, make([]byte, max(chunk-LogOverhead, 0))...)
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
