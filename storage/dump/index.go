package dump

import (
	"errors"
	"io/fs"

	"barnabas/protocol/record"
	"barnabas/storage/index"
	"barnabas/storage/vfs"
)

// sanity runs the check of an index and says whether that was all that was asked for.
func (d *dumper) sanity(v interface{ Check() error }) (done bool, err error) {
	if err := v.Check(); err != nil {
		return true, err
	}
	if d.SanityOnly {
		d.printf("%s passed sanity check.\n", d.path)
	}
	return d.SanityOnly, nil
}

func (d *dumper) offsetIndex(base int64) error {
	b, err := d.readAll()
	if err != nil {
		return err
	}
	v := index.OffsetView{Base: base, Bytes: b}
	if len(b) == 0 {
		d.printf("%s is empty.\n", d.path)
		return nil
	}
	if done, err := d.sanity(v); done || err != nil {
		return err
	}
	log, err := d.openLog()
	if err != nil {
		return err
	}
	defer log.close()
	for i := range v.Len() {
		e := v.Entry(i)
		if i > 0 && e.Offset == base {
			return nil // the zeros behind the last entry of a killed broker
		}
		switch last, ok := log.lastOffsetAt(int64(e.Position)); {
		case !ok:
			d.found("Mismatches in :%s\n  Index offset: %d, no batch at position %d", d.path, e.Offset, e.Position)
		case last != e.Offset:
			d.found("Mismatches in :%s\n  Index offset: %d, log offset: %d", d.path, e.Offset, last)
		}
		if !d.VerifyOnly {
			d.printf("offset: %d position: %d\n", e.Offset, e.Position)
		}
	}
	return nil
}

func (d *dumper) timeIndex(base int64) error {
	b, err := d.readAll()
	if err != nil {
		return err
	}
	v := index.TimeView{Base: base, Bytes: b}
	if done, err := d.sanity(v); done || err != nil {
		return err
	}
	offsets, err := vfs.ReadFile(d.fs, d.sibling(".index"), maxSmall)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	positions := index.OffsetView{Base: base, Bytes: offsets}
	log, err := d.openLog()
	if err != nil {
		return err
	}
	defer log.close()
	before := int64(index.NoTimestamp)
	for i := range v.Len() {
		e := v.Entry(i)
		if i > 0 && e.Offset == base {
			return nil
		}
		last, timestamp, ok := log.batchOf(int64(positions.Lookup(e.Offset).Position), e.Offset)
		switch {
		case !ok || last != e.Offset:
			d.found("The following indexed offsets are not found in the log.\nIndexed offset: %d, found log offset: %d", e.Offset, last)
		case timestamp != e.Timestamp:
			d.found("Found timestamp mismatch in :%s\n  Index timestamp: %d, log timestamp: %d", d.path, e.Timestamp, timestamp)
		}
		if e.Timestamp <= before {
			d.found("Found out of order timestamp in :%s\n  Index timestamp: %d, Previously indexed timestamp: %d", d.path, e.Timestamp, before)
		}
		if !d.VerifyOnly {
			d.printf("timestamp: %d offset: %d\n", e.Timestamp, e.Offset)
		}
		before = e.Timestamp
	}
	return nil
}

func (d *dumper) txnIndex(base int64) error {
	b, err := d.readAll()
	if err != nil {
		return err
	}
	v := index.TxnView{Base: base, Bytes: b}
	if done, err := d.sanity(v); done || err != nil {
		return err
	}
	for i := range v.Len() {
		a := v.Entry(i)
		d.printf("version: %d producerId: %d firstOffset: %d lastOffset: %d lastStableOffset: %d\n",
			v.Version(i), a.ProducerID, a.First, a.Last, a.LastStable)
	}
	return nil
}

// logFile reads headers out of the segment that an index belongs to.
type logFile struct {
	f      vfs.File
	header [record.BatchOverhead]byte
}

func (d *dumper) openLog() (*logFile, error) {
	f, err := d.fs.Open(d.sibling(".log"))
	if err != nil {
		return nil, err
	}
	return &logFile{f: f}, nil
}

func (l *logFile) close() { _ = l.f.Close() }

// at reads the header of the entry at a position; size is its whole length in bytes.
func (l *logFile) at(position int64) (h record.Batch, size int64, ok bool) {
	if position < 0 {
		return nil, 0, false // a corrupt index
	}
	n, _ := l.f.ReadAt(l.header[:], position)
	h = record.Batch(l.header[:])
	if n < record.LogOverhead || h.Length() < 0 {
		return nil, 0, false
	}
	return h, record.LogOverhead + int64(h.Length()), n > offMagic
}

// lastOffset of entries older than v2 is the offset they begin with.
func lastOffset(h record.Batch) int64 {
	if h.Magic() < 2 {
		return h.BaseOffset()
	}
	return h.LastOffset()
}

func (l *logFile) lastOffsetAt(position int64) (int64, bool) {
	h, _, ok := l.at(position)
	if !ok {
		return -1, false
	}
	return lastOffset(h), true
}

// batchOf finds the first batch from a position on that reaches an offset.
func (l *logFile) batchOf(position, offset int64) (last, timestamp int64, ok bool) {
	for {
		h, size, ok := l.at(position)
		if !ok {
			return -1, index.NoTimestamp, false
		}
		if last := lastOffset(h); last >= offset {
			return last, maxTimestamp(h), true
		}
		position += size
	}
}
