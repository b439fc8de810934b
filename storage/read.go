package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/storage/vfs"
)

// Read gives the batches from the one that holds offset on, at most limit bytes (the last may be cut short), of one segment.
// bound is exclusive: nothing of the batch that holds it, or of later ones. With minOne the first batch is whole even if
// it is larger than max. An empty slice says that there is nothing yet.
//
// OFFSET_OUT_OF_RANGE when offset is below the start or above the end. CORRUPT_MESSAGE when the bytes at that place are no
// batch.
func (l *Log) Read(offset int64, limit int, bound int64, minOne bool) (Slice, error) {
	for {
		if err := l.usable(); err != nil {
			return Slice{}, err
		}
		// The end before the list: a list loaded later has the segment that an end seen earlier lies in.
		end := l.end.Load()
		if offset < l.start.Load() || offset > end {
			return Slice{}, fmt.Errorf("%s: offset %d, the log has %d to %d: %w", l, offset, l.start.Load(), end, kerr.OffsetOutOfRange)
		}
		bound := min(bound, end)
		if offset >= bound {
			return Slice{}, nil
		}
		s, err := l.readFrom(l.list(), offset, limit, bound, minOne)
		if err == errGone {
			continue
		}
		return s, l.readError(err)
	}
}

// readError takes the log offline for an error of the disk, and passes on one of the content.
func (l *Log) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case isCorrupt(err), errors.Is(err, errCut):
		if !isCorrupt(err) {
			err = fmt.Errorf("%w: %w", err, kerr.CorruptMessage)
		}
		return fmt.Errorf("%s: %w", l, err)
	case vfs.OutOfFiles(err), vfs.OutOfMaps(err):
		d := &DiskError{Dir: filepath.Dir(l.dir), Op: "read in " + filepath.Base(l.dir), Err: err}
		l.files.shortage.tell(l.logger, l.clock, d.Op, err)
		return d
	default:
		return l.fail("read", err)
	}
}

// readFrom reads at the first batch that ends at or behind offset, which may lie in a later segment than the floor: after
// compaction a segment can end, or be empty, before the next one begins.
func (l *Log) readFrom(list segments, offset int64, limit int, bound int64, minOne bool) (Slice, error) {
	i := list.floor(offset)
	if i < 0 {
		return Slice{}, errGone // retention was quicker: the start has moved
	}
	for ; i < len(list) && (i == 0 || list[i].base < bound); i++ {
		s := list[i]
		p, found, err := s.find(offset)
		if err != nil {
			return Slice{}, err
		}
		if !found {
			continue
		}
		stop := s.size.Load()
		if i+1 == len(list) || list[i+1].base > bound {
			if stop, err = s.position(bound); err != nil {
				return Slice{}, err
			}
		}
		want := int64(limit)
		if minOne {
			want = max(want, p.size)
		}
		n := min(stop-p.pos, want)
		if n <= 0 {
			return Slice{}, nil
		}
		h, err := s.acquire()
		if err != nil {
			return Slice{}, err
		}
		below := bound
		if i+1 < len(list) {
			below = min(below, list[i+1].base)
		}
		slice := newSlice(l, h, p.pos, int(n), p.first, below)
		slice.Cut = n < p.size
		return slice, nil
	}
	return Slice{}, nil
}

// place is where a batch lies in its file.
type place struct{ first, pos, size int64 }

// find is the first batch that ends at or behind an offset.
func (s *segment) find(offset int64) (p place, found bool, err error) {
	if lv := s.live.Load(); lv != nil {
		if pos, next, exact, ok := lv.tail.find(offset); ok && exact && next > pos {
			return place{first: offset, pos: pos, size: next - pos}, true, nil
		}
	}
	from, err := s.lookup(offset)
	if err != nil {
		return place{}, false, err
	}
	err = s.walk(from, s.size.Load(), func(e entry) bool {
		if e.last < offset {
			return true
		}
		p, found = place{first: e.first, pos: e.pos, size: e.size}, true
		return false
	})
	return p, found, err
}

// position is where the first batch that ends at or behind an offset begins, or would: the end of what lies below it.
func (s *segment) position(offset int64) (int64, error) {
	if lv := s.live.Load(); lv != nil {
		if pos, _, exact, ok := lv.tail.find(offset); ok && exact {
			return pos, nil
		}
	}
	size := s.size.Load()
	from, err := s.lookup(offset)
	if err != nil {
		return 0, err
	}
	at := size
	err = s.walk(min(from, size), size, func(e entry) bool {
		if e.last >= offset {
			at = e.pos
			return false
		}
		return true
	})
	return at, err
}

// Size is how many bytes a reader at from could have up to bound, at most limit: never too few, exact for the last
// batches of the log, and over by at most an index interval for older ones. It touches no disk unless nothing was written
// to the segment since it was opened; then a reader has to look into it anyway.
func (l *Log) Size(from, bound int64, limit int) int {
	end := l.end.Load()
	list := l.list()
	bound = min(bound, end)
	if from >= bound || limit <= 0 {
		return 0
	}
	i := list.floor(from)
	if i < 0 || list.end(i, end) < bound {
		return limit // there is a whole segment behind
	}
	s := list[i]
	begin, stop := int64(0), s.size.Load()
	if lv := s.live.Load(); lv != nil {
		begin = lv.floor(from)
		if pos, next, exact, ok := lv.tail.find(bound); ok && exact {
			stop = pos
		} else if ok && next >= 0 {
			stop = next // bound lies within a batch, or in a gap behind it
		} else if pos, ok := nextIndexed(lv, bound); ok {
			stop = pos
		}
	} else {
		p, found, err := s.find(from)
		if err == nil && found {
			begin = p.pos
			stop, err = s.position(bound)
		}
		if err != nil {
			return limit // the read tells
		}
	}
	return int(min(max(stop-begin, 1), int64(limit)))
}

// floor is where the batch with an offset begins, or a place before.
func (lv *live) floor(offset int64) int64 {
	if pos, _, _, ok := lv.tail.find(offset); ok {
		return pos
	}
	return int64(lv.offsets.View().Lookup(offset).Position)
}

// nextIndexed is a position behind everything below an offset.
func nextIndexed(lv *live, offset int64) (int64, bool) {
	v := lv.offsets.View()
	e, ok := v.AtPosition(int64(v.Lookup(offset).Position) + 1)
	return int64(e.Position), ok
}

// isMissing says that a file is not there.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// isShort says that a file ended before what should be in it.
func isShort(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, vfs.ErrFault)
}
