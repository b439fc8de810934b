package storage

import (
	"errors"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"barnabas/storage/clean"
	"barnabas/storage/vfs"
)

// output is the segment that a group becomes, in .cleaned files. Nobody else knows it.
type output struct {
	p       *pass
	segment *segment
	handle  *handle // of the .log file; while it is held, readers need no name to get at it
	buf     []byte  // not written yet
	pos     int64   // written
	x       *indexer
	files   []string // without the suffix
}

func (p *pass) newOutput(base int64) (*output, error) {
	c := p.config.Load()
	s := p.newSegment(base)
	s.onDisk = true
	s.live.Store(newLive(base, c))
	f, err := p.fs.Create(s.path(logSuffix) + cleanedSuffix)
	if err != nil {
		return nil, p.fail("create of "+cleanedSuffix+" file", err)
	}
	return &output{
		p: p, segment: s, handle: p.files.files.put(&s.file, &handle{file: f}),
		x: newIndexer(s, s.live.Load(), c), files: []string{s.path(logSuffix)},
	}, nil
}

// close lets go of the file, and removes what has not become part of the log.
func (o *output) close() {
	o.handle.release()
	if len(o.files) == 0 {
		return
	}
	o.segment.forget()
	for _, name := range o.files {
		if o.p.Failed() == nil {
			_ = o.p.fs.Remove(name + cleanedSuffix) // or the next start does
		}
	}
}

// flushFull writes once there is enough.
func (o *output) flushFull() error {
	if len(o.buf) < o.p.o.BufferBytes {
		return nil
	}
	return o.flush()
}

func (o *output) flush() error {
	n := int64(len(o.buf))
	if n == 0 {
		return nil
	}
	if o.pos+n > math.MaxInt32 {
		return errors.New("compacted, the segments are larger than one may be") // recompressed worse
	}
	if _, err := o.handle.file.WriteAt(o.buf, o.pos); err != nil {
		return o.p.fail("write of "+cleanedSuffix+" file", err)
	}
	var bad error
	if err := walkBytes(o.buf, 0, n, func(e entry, _ []byte) bool {
		e.pos += o.pos
		bad = o.x.add(e)
		return bad == nil
	}); err != nil || bad != nil {
		return firstError(bad, err)
	}
	o.pos += n
	o.buf = o.buf[:0]
	return o.p.spend(n)
}

// finish makes the files complete and durable. The .log file gets the time of the newest of its group: retention and
// tombstones of the old formats go by it.
func (o *output) finish(written time.Time) error {
	if err := o.flush(); err != nil {
		return err
	}
	s, l := o.segment, o.p.Log
	s.size.Store(o.pos)
	s.newest.set(o.x.ts, o.x.tsAt)
	lv := s.live.Load()
	l.closeTimes(s, lv)
	if err := o.handle.file.Sync(); err != nil {
		return l.fail("sync of "+cleanedSuffix+" file", err)
	}
	if err := l.fs.SetModTime(s.path(logSuffix)+cleanedSuffix, written); err != nil {
		return l.fail("time of "+cleanedSuffix+" file", err)
	}
	write := func(suffix string, data []byte) error {
		o.files = append(o.files, s.path(suffix))
		return l.writeDurably(fileName(s.base, suffix)+cleanedSuffix, data)
	}
	if err := write(indexSuffix, lv.offsets.Bytes()); err != nil {
		return err
	}
	if err := write(timeIndexSuffix, lv.times.Bytes()); err != nil {
		return err
	}
	if x := s.txn.Load(); x != nil {
		if err := write(txnIndexSuffix, x.Bytes()); err != nil {
			return err
		}
	}
	return l.syncNames()
}

// swap puts the output in the place of its group. In the directory, that is done when the .swap names are durable: from
// then on a start completes it. In memory, it is done at once: a reader either has the old segments, which it reads to the
// end as far as it holds them open and else learns are gone, or the new one, whose file is held open for all until it has
// its name.
func (p *pass) swap(group segments, o *output) error {
	p.flushMu.Lock()
	defer p.flushMu.Unlock()
	if _, err := p.place(group); err != nil {
		return err
	}
	// With flushMu held only appends go on, behind what is swapped.
	if err := p.rename(o.files, cleanedSuffix, swapSuffix); err != nil {
		return err
	}
	files := o.files
	o.files = nil // they stay
	if err := p.insist("swap", p.syncNames); err != nil {
		return err
	}
	if err := p.replace(group, o.segment); err != nil {
		return err
	}
	// Without a .swap name nothing says any more that the old segments are to go, so they are gone before.
	if err := p.insist("swap", p.syncNames); err != nil {
		return err
	}
	if err := p.rename(files, swapSuffix, ""); err != nil {
		return err
	}
	if err := p.insist("swap", p.syncNames); err != nil {
		return err
	}
	o.segment.durable.Store(true)
	o.segment.live.Store(nil)
	return nil
}

// place is where the group stands in the log's list.
func (p *pass) place(group segments) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.unchanged(); err != nil {
		return 0, err
	}
	list := p.list()
	at := slices.Index(list, group[0])
	if at < 0 || at+len(group) >= len(list) || !slices.Equal(list[at:at+len(group)], group) {
		return 0, errStopped // retention was quicker
	}
	return at, nil
}

// replace publishes the new segment and takes the old ones, whose names it gets, away.
func (p *pass) replace(group segments, s *segment) error {
	at, err := p.place(group)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.list()
	p.setList(slices.Concat(list[:at], segments{s}, list[at+len(group):]))
	for _, old := range group {
		if err := p.discard(old); err != nil {
			return err
		}
	}
	return p.dropSnapshots(func(at int64) bool {
		return at != s.base && slices.ContainsFunc(group, func(old *segment) bool { return old.base == at })
	})
}

// rename gives files another suffix.
func (p *pass) rename(files []string, from, to string) error {
	if err := renameAll(p.fs, files, from, to); err != nil {
		return p.fail("rename of "+from+" file", err)
	}
	return nil
}

// renameAll gives files another suffix.
func renameAll(fs vfs.FS, files []string, from, to string) error {
	for _, name := range files {
		if err := fs.Rename(name+from, name+to); err != nil {
			return err
		}
	}
	return nil
}

// log tells of a pass.
func (c *Cleaned) log(logger *zap.Logger, l *Log, e clean.Extent, took time.Duration) {
	logger.Info("cleaned log", zap.Stringer("log", l), zap.Int64("from", c.From), zap.Int64("to", c.To), zap.Float64("dirty", e.Ratio()),
		zap.Int64("read", c.BytesRead), zap.Int64("kept", c.BytesKept), zap.Int("records", c.Read), zap.Int("recordsKept", c.Kept),
		zap.Int("keys", c.Keys), zap.Float64("mapFull", c.Full), zap.Int("segments", c.Segments), zap.Int("segmentsNow", c.SegmentsNow),
		zap.Duration("took", took))
}
