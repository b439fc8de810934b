package storage

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/protocol/record"
	"barnabas/storage/clean"
	"barnabas/storage/index"
)

// CleanOptions bound what a pass over a log may use.
type CleanOptions struct {
	DedupeBytes int64   // memory for keys, at most; it is taken as keys come
	LoadFactor  float64 // how full that may get, of 1
	BufferBytes int     // of output before it is written

	// Stop ends the pass when it is closed; nil never is.
	Stop <-chan struct{}
	// Throttle is told of bytes read or written, and waits, at most until a channel is closed; nil does not.
	Throttle func(bytes int64, stop ...<-chan struct{})
}

// Cleaned is what a pass did.
type Cleaned struct {
	From, To              int64 // offsets of the dirty part that is clean now
	Read, Kept            int   // records
	BytesMapped           int64 // read for the keys
	BytesRead, BytesKept  int64
	Keys                  int
	MapBytes              int64   // memory that the keys took
	Full                  float64 // how full the map of keys got, of 1
	Segments, SegmentsNow int     // of the part that was gone over
	Keyless               int     // records that went because they have no key
}

var (
	// errStopped is the end of a pass that the log's owner wants to end, or whose log has changed beneath it.
	errStopped = errors.New("cleaning was stopped")
	// ErrCleaning is the answer to a second pass over one log.
	ErrCleaning = errors.New("the log is being cleaned already")
)

// IsCleanStopped says of an error of Clean that nothing is wrong: the pass was ended, and another may come.
func IsCleanStopped(err error) bool { return errors.Is(err, errStopped) }

// cleaning is the one pass at a time that a log may have. The zero value is at rest.
type cleaning struct {
	mu     sync.Mutex // guards what follows; no other lock is taken under it
	barred bool
	stop   chan struct{} // nil at rest
	done   chan struct{}
}

// begin takes the log for a pass.
func (c *cleaning) begin() (stop <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.barred:
		return nil, errClosed
	case c.stop != nil:
		return nil, ErrCleaning
	}
	c.stop, c.done = make(chan struct{}), make(chan struct{})
	return c.stop, nil
}

func (c *cleaning) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.done)
	c.stop, c.done = nil, nil
}

// bar stops a pass, waits for its end, and lets no other begin: the log's files are going away.
func (c *cleaning) bar() {
	c.mu.Lock()
	done := c.done
	if !c.barred && c.stop != nil {
		close(c.stop)
	}
	c.barred = true
	c.mu.Unlock()
	if done != nil {
		<-done
	}
}

// CleanedTo is the offset below which passes of the cleaner have come, 0 before the first.
func (l *Log) CleanedTo() int64 { return l.cleaned.Load() }

// Cleanable measures what could be cleaned at a time in ms. It reads indexes where the topic has a lag.
func (l *Log) Cleanable(now int64) (clean.Extent, error) {
	for {
		if err := l.usable(); err != nil {
			return clean.Extent{}, err
		}
		g := l.glance()
		if g.cleaned >= g.list.active().base {
			return clean.Extent{FirstDirty: g.cleaned, FirstUncleanable: g.list.active().base}, nil // nothing was sealed since
		}
		e, err := l.extent(g, now)
		if err == errGone {
			continue
		}
		return e, l.readError(err)
	}
}

// glimpse is a log at one moment.
type glimpse struct {
	list               segments
	cuts               int
	start, end, stable int64
	cleaned            int64
}

func (l *Log) glance() glimpse {
	l.mu.Lock()
	defer l.mu.Unlock()
	return glimpse{list: l.list(), cuts: l.cuts, start: l.start.Load(), end: l.end.Load(), stable: l.LastStable(), cleaned: l.cleaned.Load()}
}

func (l *Log) extent(g glimpse, now int64) (clean.Extent, error) {
	c := l.config.Load()
	segs := make([]clean.Segment, len(g.list))
	for i, s := range g.list {
		segs[i] = clean.Segment{Base: s.base, Bytes: s.size.Load()}
	}
	shape := clean.Shape{
		Segments: segs, Start: g.start, End: g.end, Stable: g.stable, Cleaned: g.cleaned,
		Newest: func(i int) (int64, error) { ts, _, err := g.list[i].largest(); return ts, err },
		Oldest: func(i int) (int64, error) { return g.list[i].oldest() },
	}
	return shape.Extent(now, clean.Lags{Min: c.MinCompactionLagMs, Max: c.MaxCompactionLagMs})
}

// oldest is the largest timestamp of the first batch, 0 without one.
func (s *segment) oldest() (int64, error) {
	s.log.mu.Lock()
	ts, known := s.firstTime, s.firstKnown
	s.log.mu.Unlock()
	if known {
		return ts, nil
	}
	ts = 0
	if err := s.walk(0, s.size.Load(), func(e entry) bool { ts = e.newest; return false }); err != nil {
		return 0, err
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.firstTime, s.firstKnown = ts, true
	return ts, nil
}

// Clean compacts what is dirty, as far as there is room for its keys, whatever the ratio. Readers are not disturbed.
//
// Errors: IsCleanStopped when the pass was ended or the log was truncated meanwhile, ErrCleaning, a *DiskError, or what is
// wrong with the log's content, by CORRUPT_MESSAGE; what has become of the log until then stays.
func (l *Log) Clean(o CleanOptions) (done Cleaned, err error) {
	stop, err := l.cleaning.begin()
	if err != nil {
		return Cleaned{}, err
	}
	defer l.cleaning.end()
	p := &pass{Log: l, o: o, stop: stop, now: l.now()}
	if p.o.BufferBytes = max(o.BufferBytes, 64<<10); o.LoadFactor <= 0 {
		p.o.LoadFactor = 0.9
	}
	err = p.run()
	switch {
	case err == nil:
	case l.usable() != nil && l.Failed() == nil, errors.Is(err, errGone):
		err = errStopped
	}
	return p.did, err
}

// pass is one Clean.
type pass struct {
	*Log
	o    CleanOptions
	stop <-chan struct{}
	now  int64
	did  Cleaned

	seen    glimpse
	extent  clean.Extent
	mapping *clean.Mapping
}

func (p *pass) run() error {
	// Only what is durable is compacted, so that a recovery from the recovery point on never meets a compacted part in place
	// of one that the power took.
	p.flushSealed()
	if err := p.usable(); err != nil {
		return err
	}
	p.seen = p.glance()
	p.seen.stable = min(p.seen.stable, p.recovery.Load())
	var err error
	if p.extent, err = p.Log.extent(p.seen, p.now); err != nil {
		return p.wrong(err)
	}
	p.did.From, p.did.To = p.extent.FirstDirty, p.extent.FirstDirty
	if p.extent.DirtyBytes == 0 {
		return nil
	}
	err = p.mapKeys()
	p.did.MapBytes = p.mapping.Map.Bytes()
	if err != nil {
		return err
	}
	p.did.Keys, p.did.Full = p.mapping.Map.Len(), p.mapping.Map.Full()
	if err := p.rewrite(); err != nil {
		return err
	}
	if p.did.Keyless > 0 {
		p.logger.Warn("records without a key went from a compacted log", zap.Stringer("log", p.Log), zap.Int("records", p.did.Keyless))
	}
	p.did.To = p.mapping.Latest + 1
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.unchanged(); err != nil {
		return err
	}
	p.cleaned.Store(p.did.To)
	return nil
}

// unchanged says that no truncation has made what the pass has seen untrue.
func (p *pass) unchanged() error {
	if p.closing || p.seen.cuts != p.cuts {
		return errStopped
	}
	return p.usable()
}

// wrong tells an error of the disk, which takes the log offline, from one of the content and from the end of the pass.
func (p *pass) wrong(err error) error {
	if err == nil || errors.Is(err, errStopped) || errors.Is(err, errGone) {
		return err
	}
	if e := p.usable(); e != nil {
		return e
	}
	return p.readError(err)
}

// spend is called between entries, with the bytes that were read or written.
func (p *pass) spend(bytes int64) error {
	select {
	case <-p.stop:
		return errStopped
	case <-p.o.Stop:
		return errStopped
	default:
	}
	if err := p.usable(); err != nil {
		return err
	}
	if p.o.Throttle != nil && bytes > 0 {
		p.o.Throttle(bytes, p.stop, p.o.Stop)
	}
	return nil
}

// spendAtOnce is how many bytes are read between two looks at whether to go on.
const spendAtOnce = 64 << 10

// each calls f for the entries of a sealed segment from a position on, with checksums that are right; more says whether
// to go on.
func (p *pass) each(s *segment, from int64, f func(e entry, b []byte) (more bool, err error)) error {
	var bad error
	unspent := int64(0)
	err := s.entries(from, func(e entry, b []byte) bool {
		if bad = checkCRC(e, b); bad != nil {
			return false
		}
		more := false
		if more, bad = f(e, b); bad != nil || !more {
			return false
		}
		if unspent += e.size; unspent >= spendAtOnce {
			bad, unspent = p.spend(unspent), 0
		}
		return bad == nil
	})
	var disk *DiskError
	switch {
	case bad == nil && err == nil:
		return p.spend(unspent)
	case errors.Is(bad, errStopped), errors.As(bad, &disk):
		return bad
	case s.gone(errCut) == errGone:
		return errGone // whatever was read
	case bad != nil:
		return fmt.Errorf("%s: segment %d: %w: %w", p, s.base, bad, kerr.CorruptMessage)
	case err == errCut:
		return fmt.Errorf("%s: segment %d: %w: %w", p, s.base, err, kerr.CorruptMessage)
	}
	return p.wrong(fmt.Errorf("segment %d: %w", s.base, err))
}

// mapKeys reads the dirty part.
func (p *pass) mapKeys() error {
	e := &p.extent
	p.mapping = clean.NewMapping(clean.NewOffsetMap(p.o.DedupeBytes, p.o.LoadFactor), e.FirstDirty)
	p.mapping.Txns.Expect(p.Aborted(e.FirstDirty, e.FirstUncleanable))
	for i := max(p.seen.list.floor(e.FirstDirty), 0); p.seen.list[i].base < e.FirstUncleanable; i++ {
		s := p.seen.list[i]
		from, err := s.lookup(e.FirstDirty)
		if err != nil {
			return p.wrong(err)
		}
		full := false
		if err := p.each(s, from, func(at entry, b []byte) (bool, error) {
			p.did.BytesMapped += at.size
			full, err = p.mapping.Add(b)
			return !full, err
		}); err != nil || full {
			return err
		}
		p.mapping.SegmentDone(p.seen.list[i+1].base)
	}
	return nil
}

// rewrite goes over the log up to where the map ends, segment by segment, or several at once.
func (p *pass) rewrite() error {
	end := p.mapping.Latest + 1
	part := p.seen.list[:p.seen.list.floor(end-1)+1]
	p.did.Segments = len(part)
	keepNewer, err := p.legacyHorizon()
	if err != nil {
		return p.wrong(err)
	}
	filter := &clean.Pass{
		Map: p.mapping.Map, Latest: p.mapping.Latest, Txns: clean.NewTxns(),
		Now: p.now, DeleteRetentionMs: p.config.Load().DeleteRetentionMs,
	}
	for len(part) > 0 {
		group, err := p.group(part)
		if err != nil {
			return p.wrong(err)
		}
		if err := p.rewriteGroup(group, filter, keepNewer); err != nil {
			return err
		}
		p.did.SegmentsNow++
		part = part[len(group):]
	}
	p.did.Keyless = filter.Keyless
	return nil
}

// legacyHorizon is the file time up to which tombstones of the formats 0 and 1 go: delete.retention.ms before that of the
// newest clean segment. Before there is one, all stay.
func (p *pass) legacyHorizon() (time.Time, error) {
	var newest *segment
	for _, s := range p.seen.list {
		if s.base < p.extent.FirstDirty {
			newest = s
		}
	}
	if newest == nil {
		return time.Time{}, nil
	}
	at, err := newest.written()
	return at.Add(-time.Duration(min(p.config.Load().DeleteRetentionMs, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond), err
}

// written is when the segment's file was last written, or when the newest of those was that it was made of.
func (s *segment) written() (time.Time, error) {
	info, err := s.log.fs.Stat(s.path(logSuffix))
	return info.ModTime, s.gone(err)
}

// group is the segments that become one, from the first on.
func (p *pass) group(part segments) (segments, error) {
	c := p.config.Load()
	segs := make([]clean.Segment, len(part))
	sum := int64(0)
	for i, s := range part {
		segs[i] = clean.Segment{Base: s.base, Bytes: s.size.Load()}
		err := s.offsets(func(v index.OffsetView) { segs[i].IndexBytes = int64(len(v.Bytes)) })
		if err == nil {
			err = s.times(func(v index.TimeView) { segs[i].TimesBytes = int64(len(v.Bytes)) })
		}
		if err != nil {
			return nil, err
		}
		if sum += segs[i].Bytes; sum > int64(c.SegmentBytes) {
			segs = segs[:i+1] // the rest is too much in any case
			break
		}
	}
	return part[:clean.Group(segs, int64(c.SegmentBytes), int64(c.IndexBytes), p.extent.FirstUncleanable)], nil
}

// rewriteGroup makes one segment of a group and puts it in the group's place.
func (p *pass) rewriteGroup(group segments, filter *clean.Pass, keepNewer time.Time) error {
	filter.Producers = p.lastRecords()
	out, err := p.newOutput(group[0].base)
	if err != nil {
		return err
	}
	defer out.close()
	filter.Txns.Index = index.NewTxn(group[0].base)
	var written time.Time
	for _, s := range group {
		if written, err = s.written(); err != nil {
			return p.wrong(err)
		}
		filter.KeepTombstones = written.After(keepNewer)
		next := p.seen.list[slices.Index(p.seen.list, s)+1].base
		filter.Txns.Expect(p.Aborted(s.base, next))
		if err := p.each(s, 0, func(e entry, b []byte) (bool, error) {
			var n record.Filtered
			var err error
			if out.buf, n, err = filter.Append(out.buf, b); err != nil {
				return false, err
			}
			p.did.BytesRead += e.size
			p.did.Read += n.Read
			p.did.Kept += n.Kept
			return true, out.flushFull()
		}); err != nil {
			return err
		}
	}
	out.segment.txn.Store(nonEmpty(filter.Txns.Index))
	if err := out.finish(written); err != nil {
		return err
	}
	p.did.BytesKept += out.pos
	return p.swap(group, out)
}

func nonEmpty(x *index.Txn) *index.Txn {
	if len(x.Bytes()) == 0 {
		return nil
	}
	return x
}

// lastRecords is where the log's producers stand.
func (p *pass) lastRecords() map[int64]clean.LastRecord {
	states := p.Producers()
	m := make(map[int64]clean.LastRecord, len(states))
	for _, s := range states {
		last, _ := s.Last() // has offset -1 where there is none
		m[s.ID] = clean.LastRecord{Offset: last.LastOffset, Epoch: s.Epoch}
	}
	return m
}
