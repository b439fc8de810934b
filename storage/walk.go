package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/storage/vfs"
)

// entry is what the log needs to know of a batch, or of a message of the old formats, from its first bytes.
type entry struct {
	pos, size  int64 // in the file
	first      int64 // offset of the first record; of an old compressed message set, that of the last
	last       int64
	newest     int64 // largest timestamp, -1 for message format 0
	epoch      int32 // leader epoch, -1 in the old formats
	magic      int8
	appendTime bool // the newest timestamp is that of every record
}

// Byte positions that all formats share, and those of the old formats (records.md of Kafka's protocol documentation).
const (
	offSize      = 8
	offCRC       = 12 // formats 0 and 1
	offMagic     = 16
	offTimestamp = 18 // format 1

	headerSize = record.BatchOverhead // enough of every format
	minSize    = 12 + 14              // the smallest message of format 0
)

// errCut is an entry that the bytes end within.
var errCut = errors.New("incomplete batch")

func corrupt(pos int64, format string, args ...any) error {
	return fmt.Errorf("at byte %d: %s: %w", pos, fmt.Sprintf(format, args...), kerr.CorruptMessage)
}

// parseEntry reads the header at the start of b, which lies at pos in a file that ends at end.
func parseEntry(b []byte, pos, end int64) (entry, error) {
	if len(b) < offMagic+1 {
		return entry{}, errCut
	}
	e := entry{pos: pos, size: int64(int32(binary.BigEndian.Uint32(b[offSize:]))) + record.LogOverhead, magic: int8(b[offMagic])}
	e.first = int64(binary.BigEndian.Uint64(b))
	e.last, e.newest, e.epoch = e.first, -1, -1
	if e.first < 0 || e.size < minSize {
		return entry{}, corrupt(pos, "offset %d, size %d", e.first, e.size)
	}
	if pos+e.size > end {
		return entry{}, errCut
	}
	switch e.magic {
	case 0:
	case 1:
		e.newest = int64(binary.BigEndian.Uint64(b[offTimestamp:]))
	case 2:
		if e.size < record.BatchOverhead {
			return entry{}, corrupt(pos, "batch of %d bytes", e.size)
		}
		batch := record.Batch(b)
		e.last, e.newest, e.epoch = batch.LastOffset(), batch.MaxTimestamp(), batch.LeaderEpoch()
		e.appendTime = batch.IsLogAppendTime()
		if e.last < e.first {
			return entry{}, corrupt(pos, "batch from offset %d to %d", e.first, e.last)
		}
	default:
		return entry{}, corrupt(pos, "message format %d", e.magic)
	}
	return e, nil
}

// checkCRC compares a whole entry with its checksum.
func checkCRC(e entry, b []byte) error {
	var sum, want uint32
	if e.magic >= 2 {
		batch := record.Batch(b)
		sum, want = batch.SumCRC(), batch.CRC()
	} else {
		sum, want = crc32.ChecksumIEEE(b[offMagic:]), binary.BigEndian.Uint32(b[offCRC:])
	}
	if sum != want {
		return corrupt(e.pos, "checksum %08x, want %08x", sum, want)
	}
	return nil
}

// walkBytes calls f for every entry of b[from:to] with its bytes until f returns false. It ends with errCut or a
// corruption where the bytes stop making sense.
func walkBytes(b []byte, from, to int64, f func(e entry, b []byte) bool) error {
	to = min(to, int64(len(b)))
	for pos := from; pos < to; {
		e, err := parseEntry(b[pos:to], pos, to)
		if err != nil {
			return err
		}
		if !f(e, b[pos:pos+e.size]) {
			return nil
		}
		pos += e.size
	}
	return nil
}

// window is how much is read at once to walk headers; index entries are hardly further apart.
const window = 8 << 10

var windows = sync.Pool{New: func() any { return new([window]byte) }}

// walk calls f for the header of every entry from a batch boundary on, up to the byte at to, until f returns false. A
// sealed segment is walked in its mapping, an active one by reads.
func (s *segment) walk(from, to int64, f func(e entry) bool) error {
	from = max(from, 0) // an index that has nothing to do with the file may name any place
	if from >= to {
		return nil
	}
	if s.durable.Load() {
		h, err := s.acquireMap(&s.data, logSuffix, true)
		if err == nil {
			defer h.release()
			return s.gone(h.view(func(b []byte) error {
				return walkBytes(b, from, to, func(e entry, _ []byte) bool { return f(e) })
			}))
		}
		if !vfs.OutOfMaps(err) {
			return err
		}
	}
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	buf := windows.Get().(*[window]byte)
	defer windows.Put(buf)
	have := buf[:0] // bytes of the file from haveAt on
	haveAt := from
	for pos := from; pos < to; {
		if pos+headerSize > haveAt+int64(len(have)) && haveAt+int64(len(have)) < to || pos > haveAt+int64(len(have)) {
			have, haveAt = buf[:min(window, to-pos)], pos
			if _, err := readFull(h.file, have, pos); err != nil {
				return s.gone(err)
			}
		}
		e, err := parseEntry(have[pos-haveAt:], pos, to)
		if err != nil {
			return s.gone(err)
		}
		if !f(e) {
			return nil
		}
		pos += e.size
	}
	return nil
}

// gone turns an error into errGone when the segment is dead: its bytes may be anything then.
func (s *segment) gone(err error) error {
	if err != nil && s.dead.Load() {
		return errGone
	}
	return err
}

// entries calls f for every entry from a position on, with its bytes, until f returns false: for the long walks of recovery,
// replay and cleaning, through a mapping of their own, which the cache does not keep. Where nothing can be mapped it reads.
func (s *segment) entries(from int64, f func(e entry, b []byte) bool) error {
	size := s.size.Load()
	if from >= size {
		return nil
	}
	file, err := s.log.fs.Open(s.path(logSuffix))
	if err != nil {
		return s.gone(err)
	}
	defer file.Close()
	if s.dead.Load() {
		return errGone
	}
	return s.gone(walkFile(file, from, size, f))
}

// walkFile is walkBytes for a file.
func walkFile(file vfs.File, from, to int64, f func(e entry, b []byte) bool) error {
	m, err := file.Map(to, false)
	if vfs.OutOfMaps(err) {
		return walkPieces(file, from, to, make([]byte, min(pieceSize, to-from)), f)
	}
	if err != nil {
		return err
	}
	defer m.Close()
	return m.View(func(b []byte) error { return walkBytes(b, from, to, f) })
}

// pieceSize is how much of a file that is not mapped is read at once, where no entry is larger.
const pieceSize = 1 << 20

// walkPieces is walkFile with reads into a buffer, or a larger one.
func walkPieces(file vfs.File, from, to int64, buf []byte, f func(e entry, b []byte) bool) error {
	for pos := from; pos < to; {
		b := buf[:min(int64(len(buf)), to-pos)]
		if _, err := readFull(file, b, pos); err != nil {
			return err
		}
		last := pos+int64(len(b)) == to
		at := int64(0)
		for int64(len(b))-at >= headerSize || last && at < int64(len(b)) {
			e, err := parseEntry(b[at:], pos+at, to)
			if err != nil {
				return err
			}
			if at+e.size > int64(len(b)) {
				if at == 0 {
					buf = make([]byte, e.size)
				}
				break
			}
			if !f(e, b[at:at+e.size]) {
				return nil
			}
			at += e.size
		}
		pos += at
	}
	return nil
}

// read is the whole batch of an entry.
func (s *segment) read(e entry) ([]byte, error) {
	h, err := s.acquire()
	if err != nil {
		return nil, err
	}
	defer h.release()
	b := make([]byte, e.size)
	_, err = readFull(h.file, b, e.pos)
	return b, s.gone(err)
}

// readFull fills dst; a file that is shorter is io.ErrUnexpectedEOF.
func readFull(file io.ReaderAt, dst []byte, off int64) (int, error) {
	n, err := file.ReadAt(dst, off)
	if n == len(dst) {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
