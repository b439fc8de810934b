package storage

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"go.uber.org/zap"

	"barnabas/storage/index"
	"barnabas/storage/vfs"
)

// Cleaners of Kafka before 2.0 merged segments until an index could not hold their offsets, or their positions, any more
// (KAFKA-6264). Such a segment is split when a log is opened, as Kafka does: into .cleaned files, which become .swap from the last
// one backwards, and then take the place of the old one. What a crash leaves is dealt with by tidy: a .cleaned file says that
// the split has not come to its end, and the .swap files behind it do not count.

// overflow is a segment that has to be split before the log can be opened. It is an error of the loader only.
type overflow struct{ segment *segment }

func (o *overflow) Error() string {
	return fmt.Sprintf("segment %d has offsets or positions that its indexes cannot hold", o.segment.base)
}

// piece is a part of a segment that becomes one: the bytes from from up to upTo.
type piece struct {
	base       int64
	from, upTo int64
}

// pieces cuts a segment so that the offsets and positions of each part fit into an index. The first keeps the segment's base,
// and is empty if not even the first batch fits behind it.
type pieces struct {
	most int64 // bytes of a piece
	list []piece
	last int64 // offset of the newest entry, -1 before the first
}

func newPieces(base, most int64) *pieces {
	return &pieces{most: most, list: []piece{{base: base}}, last: -1}
}

// add adds the next entry and gives the piece that it is in.
func (p *pieces) add(e entry) *piece {
	at := &p.list[len(p.list)-1]
	if e.last-at.base > math.MaxInt32 || e.pos+e.size-at.from > p.most {
		base := e.first
		if e.magic < 2 {
			// The first offset of a compressed message is not in its header.
			base = max(p.last+1, e.last-math.MaxInt32)
		}
		if base > at.base { // else it is one entry that is too large for any
			p.list = append(p.list, piece{base: base, from: e.pos})
			at = &p.list[len(p.list)-1]
		}
	}
	at.upTo, p.last = e.pos+e.size, e.last
	return at
}

// overflowing looks for a segment that must be split, among those that could be one.
func (ld *loader) overflowing(list segments) error {
	for i, s := range list[:len(list)-1] {
		if list[i+1].base-1-s.base <= math.MaxInt32 && s.size.Load() <= math.MaxInt32 {
			continue
		}
		p := newPieces(s.base, math.MaxInt32)
		if err := s.entries(0, func(e entry, _ []byte) bool { p.add(e); return len(p.list) == 1 }); err != nil && !errors.Is(err, errCut) && !isCorrupt(err) {
			return err
		}
		if len(p.list) > 1 {
			return &overflow{s}
		}
	}
	return nil
}

// split makes several segments of one. Nobody else knows the log.
func (ld *loader) split(s *segment) error {
	p, size := newPieces(s.base, math.MaxInt32), s.size.Load()
	var lives []*live
	var indexers []*indexer
	var bad error
	if err := s.entries(0, func(e entry, _ []byte) bool {
		at := p.add(e)
		for len(indexers) < len(p.list) {
			part := ld.newSegment(p.list[len(indexers)].base)
			lives = append(lives, newLive(part.base, ld.c))
			indexers = append(indexers, newIndexer(part, lives[len(lives)-1], ld.c))
		}
		e.pos -= at.from
		bad = indexers[len(indexers)-1].add(e)
		return bad == nil
	}); err != nil && !errors.Is(err, errCut) && !isCorrupt(err) {
		return err
	}
	if bad != nil {
		return bad
	}
	p.list[len(p.list)-1].upTo = size // with what is no batch: recovery cuts it
	ld.logger.Warn("splitting a segment whose offsets an index cannot hold", zap.Stringer("log", ld), zap.Int64("base", s.base),
		zap.Int64("bytes", size), zap.Int("into", len(p.list)))
	info, err := ld.fs.Stat(s.path(logSuffix))
	if err != nil {
		return err
	}
	files := make([][]string, len(p.list)) // of each piece, with the .log first
	for i, part := range p.list {
		name := filepath.Join(ld.dir, fileName(part.base, logSuffix))
		if err := ld.copyPart(s.path(logSuffix), name+cleanedSuffix, part); err != nil {
			return err
		}
		if err := ld.fs.SetModTime(name+cleanedSuffix, info.ModTime); err != nil {
			return err
		}
		files[i] = append(files[i], name)
		x := indexers[i]
		_ = lives[i].times.Append(x.ts, x.tsAt, true) // as closeTimes
		parts := map[string][]byte{indexSuffix: lives[i].offsets.Bytes(), timeIndexSuffix: lives[i].times.Bytes()}
		if b, err := abortedIn(s, part.base, p.after(i)); err != nil {
			return err
		} else if len(b) > 0 {
			parts[txnIndexSuffix] = b
		}
		for _, suffix := range []string{indexSuffix, timeIndexSuffix, txnIndexSuffix} {
			b, ok := parts[suffix]
			if !ok {
				continue
			}
			if err := ld.writeDurably(fileName(part.base, suffix)+cleanedSuffix, b); err != nil {
				return err
			}
			files[i] = append(files[i], filepath.Join(ld.dir, fileName(part.base, suffix)))
		}
	}
	if err := ld.fs.SyncDir(ld.dir); err != nil {
		return err
	}
	// The names of each are durable before those of the one before it change: a .swap without all that lie behind it would be
	// taken for the whole.
	for _, names := range slices.Backward(files) {
		if err := ld.rename(names, cleanedSuffix, swapSuffix); err != nil {
			return err
		}
	}
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix} {
		if err := ld.fs.Remove(s.path(suffix)); err != nil && !isMissing(err) {
			return err
		}
	}
	if err := ld.fs.SyncDir(ld.dir); err != nil {
		return err
	}
	for _, names := range files {
		if err := ld.rename(names, swapSuffix, ""); err != nil {
			return err
		}
	}
	return nil
}

// after is the base of the piece behind the i-th.
func (p *pieces) after(i int) int64 {
	if i+1 == len(p.list) {
		return math.MaxInt64
	}
	return p.list[i+1].base
}

// abortedIn is the transaction index of the part of a segment with the markers in [from, upTo).
func abortedIn(s *segment, from, upTo int64) ([]byte, error) {
	old := s.txn.Load()
	if old == nil {
		return nil, nil
	}
	x := index.NewTxn(from)
	for i := range old.View().Len() {
		if a := old.View().Entry(i); a.Last >= from && a.Last < upTo {
			if err := x.Append(a); err != nil {
				return nil, err
			}
		}
	}
	return x.Bytes(), nil
}

// rename gives files another suffix, durably.
func (ld *loader) rename(files []string, from, to string) error {
	if err := renameAll(ld.fs, files, from, to); err != nil {
		return err
	}
	return ld.fs.SyncDir(ld.dir)
}

// copyPart makes a durable file of a part of another.
func (ld *loader) copyPart(from, to string, part piece) error {
	src, err := ld.fs.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := ld.fs.Create(to)
	if err != nil {
		return err
	}
	return errors.Join(copyRange(src, dst, part), dst.Close())
}

func copyRange(src, dst vfs.File, part piece) error {
	buf := make([]byte, min(pieceSize, part.upTo-part.from))
	for at := part.from; at < part.upTo; {
		b := buf[:min(int64(len(buf)), part.upTo-at)]
		if _, err := readFull(src, b, at); err != nil {
			return err
		}
		if _, err := dst.WriteAt(b, at-part.from); err != nil {
			return err
		}
		at += int64(len(b))
	}
	return dst.Sync()
}
