package storage_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"barnabas/protocol/record"
	"barnabas/storage"
	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// append produces to a replica, and acknowledges as its settings say.
func (h *history) append() {
	p, r, l := h.log()
	if l == nil {
		return
	}
	spec := batchSpec{count: 1 + h.rng.Int32N(4), size: 80 + h.rng.IntN(300), ts: clock.Millis(h.clock), producer: -1, pepoch: -1, seq: -1}
	if h.rng.IntN(2) == 0 {
		h.unique++ // a producer that the log has forgotten comes under another id, as after INIT_PRODUCER_ID
		spec.producer, spec.pepoch, spec.seq = int64(h.unique), 0, 0
		if known := l.Producers(); len(known) > 0 && h.rng.IntN(4) > 0 {
			one := known[h.rng.IntN(len(known))]
			if last, ok := one.Last(); ok {
				spec.producer, spec.seq = one.ID, last.LastSequence+1
			}
		}
	}
	spec.base, spec.epoch = l.End(), r.epoch
	b := h.batch(p, spec)
	h.tell("append %s at %d: %d records, %d bytes, producer %d, sequence %d, epoch %d", p, spec.base, spec.count, len(b), spec.producer, spec.seq, spec.epoch)
	h.note(func() { r.batches = append(r.batches, bytes.Clone(b)) })
	a, err := l.Append(b, storage.AppendInfo{LeaderEpoch: r.epoch, MaxTimestamp: spec.ts, Client: true, Now: spec.ts})
	if err == nil && (a.Duplicate || a.First != spec.base) {
		h.fail("%s: appended at %d: %+v", p, spec.base, a)
	}
	if err == nil && a.Unsynced {
		if err = l.Sync(a.Last); err == nil {
			h.note(func() { r.promised = max(r.promised, a.Last+1) })
		}
	}
	if err != nil {
		h.refused(p, err)
		return
	}
	h.note(func() { r.acked, r.made = len(r.batches), true })
}

// batch is one that there was never before.
func (h *history) batch(p checkpoint.Partition, spec batchSpec) record.Batch {
	if p.Topic == keyedTopic {
		return h.keyedBatch(spec)
	}
	b := makeBatch(spec)
	h.unique++
	binary.BigEndian.PutUint64(b[record.BatchOverhead:], h.unique)
	b.Seal()
	return b
}

// again sends a producer's last batch a second time.
func (h *history) again() {
	p, r, l := h.log()
	if l == nil {
		return
	}
	h.tell("again %s", p)
	if err := remembers(l, from(r.batches[:r.acked], max(l.Start(), r.forgotten))); err != nil {
		h.refused(p, err)
	}
}

func (h *history) commit() {
	p, r, l := h.log()
	if l == nil {
		return
	}
	to := l.HighWatermark() + h.rng.Int64N(l.End()-l.HighWatermark()+1)
	h.tell("commit %s up to %d", p, to)
	h.note(func() { r.hw = to })
	l.SetHighWatermark(to)
}

func (h *history) deleteRecords() {
	p, r, l := h.log()
	if l == nil {
		return
	}
	at := l.Start() + h.rng.Int64N(l.HighWatermark()-l.Start()+1)
	h.tell("delete records of %s before %d", p, at)
	h.note(func() { r.raise(at) })
	if err := l.SetStart(at); err != nil {
		h.refused(p, err)
	}
}

func (h *history) truncate() {
	p, r, l := h.log()
	if l == nil || l.End() == l.Start() {
		return
	}
	to := l.Start() + h.rng.Int64N(l.End()-l.Start())
	if r.passTo > 0 && !h.take(p, r, l) {
		return // what the pass has done by now cannot be told from what goes
	}
	lowest := to
	below := int64(0)
	for _, b := range r.batches {
		if b.BaseOffset() < to && b.LastOffset() >= to {
			lowest = b.BaseOffset() // the whole batch goes
		}
		if b.LastOffset() < to && b.BaseOffset() >= r.loose {
			below = b.LastOffset() + 1
		}
	}
	if p.Topic == keyedTopic {
		lowest = below // the next start does not know of a gap at the end
	}
	h.tell("truncate %s to %d", p, to)
	h.lower(r, lowest)
	if err := l.Truncate(to); err != nil {
		h.refused(p, err)
		return
	}
	h.cut(r, l)
}

func (h *history) truncateFully() {
	p, r, l := h.log()
	if l == nil {
		return
	}
	at := h.rng.Int64N(l.End() + 10)
	if r.passTo > 0 && !h.take(p, r, l) {
		return
	}
	h.tell("truncate %s fully, going on at %d", p, at)
	// Until its new file is there the log is empty, at the start that the checkpoint has or where a file says.
	h.lower(r, 0)
	h.note(func() {
		r.start, r.hw = max(r.start, at), max(r.hw, at)
		r.startNoted, r.startDurable, r.hwNoted = 0, 0, 0
	})
	if err := l.TruncateFully(at); err != nil {
		h.refused(p, err)
		return
	}
	h.note(func() { r.batches, r.acked, r.began, r.loose = nil, 0, at, 0 })
	h.cut(r, l)
}

// lower notes that what lies above may go.
func (h *history) lower(r *replica, lowest int64) {
	h.note(func() {
		r.cutTo, r.promised = lowest, min(r.promised, lowest)
		r.startNoted, r.startDurable, r.hwNoted = min(r.startNoted, lowest), min(r.startDurable, lowest), min(r.hwNoted, lowest)
	})
}

// cut notes that it is gone.
func (h *history) cut(r *replica, l *storage.Log) {
	h.note(func() {
		n := len(r.batches)
		for n > 0 && r.batches[n-1].LastOffset() >= l.End() {
			n--
		}
		r.batches = r.batches[:n:n]
		r.acked, r.cutTo, r.start, r.hw = n, -1, l.Start(), l.HighWatermark()
		r.cleaned, r.top = min(r.cleaned, l.End()), l.End()
	})
}

func (h *history) retain() {
	p, r, l := h.log()
	if l == nil {
		return
	}
	h.tell("retain %s", p)
	h.note(func() { r.raise(r.hw) })
	if _, err := l.Retain(clock.Millis(h.clock)); err != nil {
		h.refused(p, err)
		return
	}
	h.note(func() { r.start = l.Start() })
}

func (h *history) flush() {
	p, r, l := h.log()
	if l == nil {
		return
	}
	h.tell("flush %s", p)
	end := l.End()
	if err := l.Flush(); err != nil {
		h.refused(p, err)
		return
	}
	if len(r.batches) > 0 {
		h.note(func() { r.promise(end) })
	}
}

// advance lets the janitor do what is due: checkpoints, retention, flush.ms, removals.
func (h *history) advance() {
	by := []time.Duration{time.Second, 5 * time.Second, time.Minute, 5 * time.Minute}[h.rng.IntN(4)]
	h.tell("advance %v", by)
	starts, hws := map[*replica]int64{}, map[*replica]int64{}
	h.note(func() {
		for p, r := range h.replicas {
			if l := h.m.Log(p.Topic, p.ID); l != nil {
				starts[r], hws[r] = l.Start(), l.HighWatermark()
				r.raise(l.HighWatermark())
			}
		}
	})
	h.clock.Advance(by)
	h.note(func() {
		for p, r := range h.replicas {
			l := h.m.Log(p.Topic, p.ID)
			if l == nil || l.Failed() != nil {
				continue
			}
			r.start = l.Start()
			if by >= 5*time.Second {
				r.hwNoted = hws[r]
			}
			if by >= time.Minute && r.made {
				r.startNoted = max(r.startNoted, starts[r])
			}
		}
	})
}

func (h *history) setConfig() {
	c := h.config
	c.SegmentBytes = 500 + h.rng.IntN(1500)
	c.IndexBytes = []int{48, 120, 1 << 20}[h.rng.IntN(3)]
	c.FlushMessages = []int64{1, 1, 3, 1 << 60}[h.rng.IntN(4)]
	c.FlushMs = []int64{1000, 1 << 60}[h.rng.IntN(2)]
	c.RetentionBytes = []int64{-1, 1500, 4000}[h.rng.IntN(3)]
	c.RetentionMs = []int64{-1, 60_000}[h.rng.IntN(2)]
	c.FileDeleteDelayMs = []int64{0, 60_000}[h.rng.IntN(2)]
	c.Preallocate = h.rng.IntN(3) == 0
	c.Compact = h.rng.IntN(4) > 0
	c.Delete = !c.Compact || h.rng.IntN(2) == 0
	h.tell("segments of %d, indexes of %d, flush after %d or %d ms, retention %d bytes or %d ms, %d ms to the removal, preallocate %v, compact %v, delete %v", c.SegmentBytes,
		c.IndexBytes, c.FlushMessages, c.FlushMs, c.RetentionBytes, c.RetentionMs, c.FileDeleteDelayMs, c.Preallocate, c.Compact, c.Delete)
	h.note(func() { h.config = c })
	for _, topic := range historyTopics {
		h.m.SetConfig(topic, configOf(c, topic))
	}
}

func (h *history) newEpoch() {
	p, r, l := h.log()
	if l == nil {
		return
	}
	h.note(func() { r.epoch++ })
	h.tell("epoch %d of %s", r.epoch, p)
	if err := l.AssignEpoch(r.epoch); err != nil {
		h.refused(p, err)
	}
}

func (h *history) delete() {
	p, r, l := h.log()
	if l == nil {
		return
	}
	h.tell("delete %s", p)
	h.note(func() { r.leaving = true })
	if err := h.m.Delete(p.Topic, p.ID); err != nil {
		h.refused(p, err)
		return
	}
	h.note(func() { delete(h.replicas, p) })
}

// restart stops and starts again. A clean stop is durable in whole; a broken disk is mended meanwhile.
func (h *history) restart() {
	h.tell("stop")
	err := h.m.Close(context.Background())
	if err != nil && h.bad == nil {
		h.fail("stop: %w", err)
	}
	h.note(func() {
		for p, r := range h.replicas {
			l := h.m.Log(p.Topic, p.ID)
			if l == nil || l.Failed() != nil || h.bad != nil && h.m.DirOf(p.Topic, p.ID) == h.bad.dir {
				continue
			}
			r.hwNoted = l.HighWatermark()
			if r.made {
				r.promise(l.End())
				r.startNoted, r.startDurable = l.Start(), l.Start()
			}
		}
		h.bad = nil
	})
	c := h.crash1("after the stop", vfs.Crash{})
	h.verify(c)
	h.begin()
	h.found(vfs.Crash{Process: true})
}

// die is a crash after which the history goes on.
func (h *history) die() {
	h.mu.Lock()
	how := h.anyCrash(h.rng)
	h.mu.Unlock()
	h.tell("crash: process %v, torn %v", how.Process, how.Rand != nil)
	h.m.Kill()
	h.note(func() {
		h.mem, h.bad = h.mem.CrashClone(how), nil
		if how.Process {
			return
		}
		for _, r := range h.replicas {
			for r.acked > 0 && r.batches[r.acked-1].LastOffset() >= r.promised {
				r.acked--
			}
			r.made, r.unnamed, r.began, r.startNoted = r.promised > 0, true, min(r.began, r.promised), r.startDurable
		}
	})
	h.begin()
	h.found(how)
}

// breakDisk has the disk of a log dir fail from now on, one way or another.
func (h *history) breakDisk() {
	if h.bad != nil {
		return
	}
	writes := []vfs.Op{vfs.OpWrite, vfs.OpCreate, vfs.OpTruncate, vfs.OpMkdir}
	only := func(err error, ops ...vfs.Op) func(vfs.Op) error {
		return func(op vfs.Op) error {
			if !slices.Contains(ops, op) {
				return nil
			}
			if op == vfs.OpWrite {
				return &vfs.ShortWrite{N: 70, Err: err}
			}
			return err
		}
	}
	faults := []fault{
		{what: "is pulled out", spoil: func(vfs.Op) error { return syscall.EIO }},
		{what: "is full", spoil: only(syscall.ENOSPC, writes...)},
		{what: "is read-only", spoil: func(op vfs.Op) error {
			if op.Changes() && op != vfs.OpSync && op != vfs.OpSyncDir {
				return syscall.EROFS
			}
			return nil
		}},
		{what: "does not sync", spoil: only(syscall.EIO, vfs.OpSync, vfs.OpSyncDir)},
	}
	f := faults[h.rng.IntN(len(faults))]
	f.dir = filepath.Clean(historyDirs[h.rng.IntN(2)])
	h.tell("the disk of %s %s", f.dir, f.what)
	h.note(func() { h.bad = &f })
}
