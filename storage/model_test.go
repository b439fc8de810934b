package storage_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"barnabas/protocol/record"
	"barnabas/storage"
	"barnabas/storage/vfs"
)

// model is what a log must look like from outside: a slice of batches. Those below the start may still be there.
type model struct {
	*rapid.T
	b       *bench
	batches []record.Batch
	begin   int64 // offset that the first segment was made for
	start   int64
	end     int64
	hw      int64
	ts      int64
	loaded  int64 // end at the last load of the producers
	gappy   bool  // followed batches leave gaps; a lost end of a segment is not told from one then

	// What the log dir's checkpoints would say, and what a sync has promised.
	recovery, promised int64
}

const modelProducers = 3

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(rt)
		b.config.ProducerExpirationMs = 1 << 50
		b.config.SegmentBytes = rapid.IntRange(400, 3000).Draw(rt, "segment.bytes")
		b.config.IndexIntervalBytes = rapid.IntRange(1, 600).Draw(rt, "index.interval.bytes")
		b.config.IndexBytes = rapid.SampledFrom([]int{36, 120, 1 << 20}).Draw(rt, "segment.index.bytes")
		b.config.Preallocate = rapid.Bool().Draw(rt, "preallocate")
		m := &model{T: rt, b: b, ts: t0, gappy: rapid.Bool().Draw(rt, "gaps")}
		b.open(nil)
		defer func() { b.log.Abandon() }()
		rt.Repeat(map[string]func(*rapid.T){
			"":              m.check,
			"append":        m.append,
			"append again":  m.append,
			"duplicate":     m.duplicate,
			"marker":        m.marker,
			"follow":        m.follow,
			"background":    func(*rapid.T) { b.background() },
			"watermark":     m.watermark,
			"set start":     m.setStart,
			"truncate":      m.truncate,
			"truncate full": m.truncateFully,
			"retain":        m.retain,
			"preallocate":   m.preallocate,
			"sync":          m.sync,
			"checkpoint":    func(*rapid.T) { m.recovery = b.log.RecoveryPoint() },
			"find time":     m.findTime,
			"stop cleanly":  m.stop,
			"process dies":  func(t *rapid.T) { m.crash(t, vfs.Crash{Process: true}) },
			"machine dies":  func(t *rapid.T) { m.crash(t, vfs.Crash{}) },
			"machine tears": func(t *rapid.T) {
				seed := rapid.Uint64().Draw(t, "seed")
				m.crash(t, vfs.Crash{Rand: rand.New(rand.NewPCG(seed, 1))})
			},
		})
	})
}

// check compares everything that can be seen.
func (m *model) check(t *rapid.T) {
	l := m.b.log
	if l.Start() != m.start || l.End() != m.end || l.HighWatermark() != m.hw {
		t.Fatalf("log is %d..%d hw %d, want %d..%d hw %d", l.Start(), l.End(), l.HighWatermark(), m.start, m.end, m.hw)
	}
	if l.RecoveryPoint() > m.end {
		t.Fatalf("recovery point %d beyond the end %d", l.RecoveryPoint(), m.end)
	}
	got := m.b.readable(m.start, m.end)
	want := m.visible()
	if len(got) != len(want) {
		t.Fatalf("%d batches, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("batch %d: offset %d, want %d", i, got[i].BaseOffset(), want[i].BaseOffset())
		}
	}
	// A load from a snapshot does not know of transactions whose marker the watermark had yet to pass.
	low, high := min(m.unstable(0), m.hw), min(m.unstable(m.loaded), m.hw)
	if got := l.LastStable(); got < low || got > high {
		t.Fatalf("last stable offset %d, want %d to %d (hw %d)", got, low, high, m.hw)
	}
	if _, err := l.Read(m.end+1, 100, m.end, true); !errors.Is(err, kerr.OffsetOutOfRange) {
		t.Fatalf("read behind the end: %v", err)
	}
	if len(want) > 0 {
		from := want[0].BaseOffset()
		if n := l.Size(max(from, m.start), m.end, 1<<30); n < len(want[len(want)-1]) {
			t.Fatalf("size from %d to %d is %d", from, m.end, n)
		}
	}
	// Every file ends where its segment does, but for the active one, which may be preallocated.
	if n := m.fileBytes(); n < l.Bytes() || n > l.Bytes()+3000 {
		t.Fatalf("%d bytes in %d segments, %d in their files", l.Bytes(), l.Segments(), n)
	}
	if len(m.b.disk) > 0 {
		t.Fatal(m.b.disk[0])
	}
}

func (m *model) visible() []record.Batch {
	i := slices.IndexFunc(m.batches, func(b record.Batch) bool { return b.LastOffset() >= m.start })
	if i < 0 {
		return nil
	}
	return m.batches[i:]
}

// readable are the batches from an offset on, each read by itself, and in larger pieces; both must agree.
func (b *bench) readable(from, bound int64) []record.Batch {
	b.t.Helper()
	all := readBatches(b.t, b.log, from, bound)
	for _, batch := range all {
		s, err := b.log.Read(max(batch.BaseOffset(), from), 1, batch.LastOffset()+1, true)
		must(b.t, err)
		got := make([]byte, s.Len())
		_, err = s.ReadInto(got)
		must(b.t, err)
		s.Release()
		if !bytes.Equal(got, batch) {
			b.t.Fatalf("offset %d read alone gives %d bytes, want %d", batch.BaseOffset(), len(got), len(batch))
		}
	}
	return all
}

// txn is where each producer stands, by the batches that are there.
type txn struct {
	open      bool
	first     int64
	nextSeq   int32
	last      record.Batch // last data batch of the epoch
	lastFirst int64
}

func (m *model) producers() (states [modelProducers]txn, decided map[int64]int64) {
	decided = map[int64]int64{} // first offset by marker
	for _, b := range m.batches {
		id := b.ProducerID()
		if id < 0 {
			continue
		}
		s := &states[id]
		if b.IsControl() {
			if s.open {
				decided[b.BaseOffset()] = s.first
			}
			s.open = false
			continue
		}
		s.last, s.nextSeq = b, b.LastSequence()+1
		if b.IsTransactional() && !s.open {
			s.open, s.first = true, b.BaseOffset()
		}
	}
	return states, decided
}

// unstable is the first unstable offset as far as markers from an offset on count.
func (m *model) unstable(from int64) int64 {
	states, decided := m.producers()
	first := storage.Stable
	for _, s := range states {
		if s.open {
			first = min(first, max(s.first, m.start))
		}
	}
	for marker, at := range decided {
		if marker >= m.hw && marker >= from {
			first = min(first, max(at, m.start))
		}
	}
	return first
}

func (m *model) stamp(t *rapid.T) int64 {
	m.ts += int64(rapid.IntRange(-3, 10).Draw(t, "ms"))
	return m.ts
}

func (m *model) append(t *rapid.T) {
	spec := batchSpec{count: rapid.Int32Range(1, 5).Draw(t, "records"), size: rapid.IntRange(70, 380).Draw(t, "size"), ts: m.stamp(t), producer: -1, pepoch: -1, seq: -1}
	if id := rapid.Int64Range(-2, modelProducers-1).Draw(t, "producer"); id >= 0 {
		states, _ := m.producers()
		s := states[id]
		spec.producer, spec.pepoch, spec.seq = id, 0, s.nextSeq
		spec.txn = s.open || rapid.Bool().Draw(t, "txn")
	}
	m.appendBatch(t, makeBatch(spec))
}

func (m *model) marker(t *rapid.T) {
	id := rapid.Int64Range(0, modelProducers-1).Draw(t, "producer")
	m.appendBatch(t, makeBatch(batchSpec{ts: m.stamp(t), producer: id, marker: rapid.IntRange(abort, commit).Draw(t, "marker")}))
}

func (m *model) appendBatch(t *rapid.T, b record.Batch) {
	a, err := m.b.append(b)
	if err != nil {
		t.Fatal(err)
	}
	if a.Duplicate || a.First != m.end || a.Last != m.end+int64(b.LastOffsetDelta()) {
		t.Fatalf("appended at %d: %+v", m.end, a)
	}
	m.wrote(b)
}

func (m *model) wrote(b record.Batch) {
	m.batches = append(m.batches, bytes.Clone(b))
	m.end = b.LastOffset() + 1
}

func (m *model) duplicate(t *rapid.T) {
	states, _ := m.producers()
	s := states[rapid.IntRange(0, modelProducers-1).Draw(t, "producer")]
	if s.last == nil {
		t.Skip()
	}
	a, err := m.b.append(bytes.Clone(s.last))
	if err != nil || !a.Duplicate || a.First != s.last.BaseOffset() || a.Last != s.last.LastOffset() {
		t.Fatalf("retry of %d..%d: %+v, %v", s.last.BaseOffset(), s.last.LastOffset(), a, err)
	}
}

// follow appends what another leader wrote: several batches at once, with gaps.
func (m *model) follow(t *rapid.T) {
	var set []byte
	var batches []record.Batch
	at := m.end
	for range rapid.IntRange(1, 4).Draw(t, "batches") {
		if m.gappy {
			at += int64(rapid.IntRange(0, 3).Draw(t, "gap"))
		}
		b := makeBatch(batchSpec{base: at, count: rapid.Int32Range(1, 5).Draw(t, "records"), size: rapid.IntRange(70, 100).Draw(t, "size"), ts: m.stamp(t), producer: -1, pepoch: -1, seq: -1})
		batches = append(batches, b)
		set = append(set, b...)
		at = b.LastOffset() + 1
	}
	part := makeBatch(batchSpec{base: at, count: 1, size: 100, ts: m.ts, producer: -1, pepoch: -1, seq: -1})
	set = append(set, part[:rapid.IntRange(0, 99).Draw(t, "part")]...)
	last, err := m.b.log.AppendFollower(set)
	if err != nil || last != at-1 {
		t.Fatalf("followed to %d, want %d: %v", last, at-1, err)
	}
	for _, b := range batches {
		m.wrote(b)
	}
	if _, err := m.b.log.AppendFollower(batches[0]); !errors.Is(err, kerr.OffsetOutOfRange) {
		t.Fatalf("followed backwards: %v", err)
	}
}

func (m *model) watermark(t *rapid.T) {
	at := rapid.Int64Range(0, m.end).Draw(t, "at")
	m.b.log.SetHighWatermark(at)
	m.hw = max(m.hw, at)
}

func (m *model) setStart(t *rapid.T) {
	at := rapid.Int64Range(0, m.end).Draw(t, "at")
	err := m.b.log.SetStart(at)
	if at > m.hw {
		if !errors.Is(err, kerr.OffsetOutOfRange) {
			t.Fatal("start above the watermark", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m.start = max(m.start, at)
}

func (m *model) truncate(t *rapid.T) {
	if m.openBelowStart() {
		t.Skip("a rebuild forgets transactions that begin below the start")
	}
	m.truncateTo(t, rapid.Int64Range(0, m.end+2).Draw(t, "to"))
}

// openBelowStart says whether a producer's state rests on batches that may be gone from disk.
func (m *model) openBelowStart() bool {
	i := slices.IndexFunc(m.batches, func(b record.Batch) bool { return b.ProducerID() >= 0 && b.BaseOffset() < m.start })
	return i >= 0
}

func (m *model) truncateTo(t *rapid.T, to int64) {
	want, reached := to, m.begin
	for _, b := range m.batches {
		if b.BaseOffset() < to && b.LastOffset() >= to {
			want = b.BaseOffset()
		}
		if b.LastOffset() < to {
			reached = b.LastOffset() + 1
		}
	}
	if to < m.end && want != reached {
		t.Skip("an end in a gap does not survive a restart, in Kafka neither")
	}
	if err := m.b.log.Truncate(to); err != nil {
		t.Fatal(err)
	}
	l := m.b.log
	if to >= m.end {
		return
	}
	if to > m.start {
		if l.End() != want {
			t.Fatalf("truncated to %d: end %d, want %d", to, l.End(), want)
		}
	} else if l.End() > to || l.Start() != l.End() {
		t.Fatalf("truncated to %d, below the start %d: log is %d..%d", to, m.start, l.Start(), l.End())
	}
	if l.Start() == l.End() && len(m.batches) > 0 && l.End() < m.batches[0].LastOffset() {
		m.batches, m.begin = nil, l.End() // truncated fully
	}
	m.end, m.loaded = l.End(), l.End()
	m.batches = slices.DeleteFunc(m.batches, func(b record.Batch) bool { return b.LastOffset() >= m.end })
	m.lower()
}

func (m *model) lower() {
	m.start, m.hw = min(m.start, m.end), min(m.hw, m.end)
	m.recovery, m.promised = min(m.recovery, m.end), min(m.promised, m.end)
}

func (m *model) truncateFully(t *rapid.T) {
	at := rapid.Int64Range(0, m.end+10).Draw(t, "at")
	if err := m.b.log.TruncateFully(at); err != nil {
		t.Fatal(err)
	}
	m.batches, m.start, m.end, m.hw, m.recovery, m.promised = nil, at, at, at, min(m.recovery, at), at
	m.begin = at
}

func (m *model) retain(t *rapid.T) {
	l := m.b.log
	c := m.b.config
	c.RetentionBytes = rapid.Int64Range(-1, 4000).Draw(t, "retention.bytes")
	if rapid.Bool().Draw(t, "by age") {
		c.RetentionMs = rapid.Int64Range(0, 100).Draw(t, "retention.ms")
	}
	l.SetConfig(c)
	before := l.Bytes()
	n, err := l.Retain(m.ts)
	if err != nil {
		t.Fatal(err)
	}
	l.SetConfig(m.b.config)
	if start := l.Start(); start < m.start || start > m.hw || n == 0 && (start != m.start || l.Bytes() != before) {
		t.Fatalf("%d segments went, %d of %d bytes stay, start %d -> %d, hw %d", n, l.Bytes(), before, m.start, start, m.hw)
	}
	m.start = l.Start()
}

// preallocate changes the setting while the log runs.
func (m *model) preallocate(t *rapid.T) {
	m.b.config.Preallocate = !m.b.config.Preallocate
	m.b.config.SegmentBytes = rapid.IntRange(400, 3000).Draw(t, "segment.bytes")
	m.b.log.SetConfig(m.b.config)
}

// fileBytes is the size of all .log files.
func (m *model) fileBytes() (n int64) {
	infos, _ := m.b.mem.ReadDir("/data/t-0")
	for _, info := range infos {
		if filepath.Ext(info.Name) == ".log" {
			st, err := m.b.mem.Stat(filepath.Join("/data/t-0", info.Name))
			must(m.b.t, err)
			n += st.Size
		}
	}
	return n
}

func (m *model) sync(t *rapid.T) {
	if m.end == 0 {
		return
	}
	at := rapid.Int64Range(0, m.end-1).Draw(t, "at")
	if err := m.b.log.Sync(at); err != nil {
		t.Fatal(err)
	}
	m.promised = max(m.promised, at+1)
	if r := m.b.log.RecoveryPoint(); r <= at && m.b.log.Bytes() > 0 {
		t.Fatalf("recovery point %d after sync to %d", r, at)
	}
}

// findTime looks a timestamp up; the batches here are not made of records, so it stays with whole-batch questions.
func (m *model) findTime(t *rapid.T) {
	if _, _, _, found, err := m.b.log.OffsetForTime(m.ts+1000, m.end); found || err != nil {
		t.Fatal("found a time that no record has", err)
	}
}

func (m *model) stop(t *rapid.T) {
	if m.start == m.end && m.openBelowStart() {
		t.Skip("a snapshot at the start of an empty log is not loaded, in Kafka neither")
	}
	if err := m.b.log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.b.append(plain(1, 70, m.ts)); !errors.Is(err, kerr.NotLeaderForPartition) {
		t.Fatal("appended to a closed log", err)
	}
	m.b.background()
	if n := m.fileBytes(); n != m.b.log.Bytes() {
		t.Fatalf("%d bytes in the segments, %d in their files after a clean stop", m.b.log.Bytes(), n)
	}
	m.reopen(t, true)
	if m.b.log.End() != m.end {
		t.Fatalf("end %d after a clean stop, want %d", m.b.log.End(), m.end)
	}
}

func (m *model) reopen(t *rapid.T, clean bool) {
	r := m.b.open(func(o *storage.LogOptions) {
		o.Clean, o.RecoveryPoint, o.LogStart, o.HighWatermark = clean, m.recovery, m.start, m.hw
	})
	if clean && r.Segments > 0 {
		t.Fatalf("scanned after a clean stop: %+v", r)
	}
	if l := m.b.log; l.Start() != m.start {
		t.Fatalf("start %d, want %d", l.Start(), m.start)
	}
	m.recovery = min(m.recovery, m.b.log.RecoveryPoint())
	m.loaded = m.end
}

// crash goes on with what is on disk at this moment.
func (m *model) crash(t *rapid.T, how vfs.Crash) {
	if m.gappy && !how.Process {
		t.Skip("see gappy")
	}
	if m.openBelowStart() {
		t.Skip("producers whose batches are gone may be forgotten")
	}
	m.b.log.Abandon()
	m.b.background() // must do nothing
	m.b.mem = m.b.mem.CrashClone(how)
	m.b.fs = m.b.mem
	if ok, _ := vfs.Exists(m.b.mem, "/data"); !ok {
		must(m.b.t, m.b.mem.MkdirAll("/data"))
		must(m.b.t, m.b.mem.SyncDir("/"))
	}
	r := m.b.open(func(o *storage.LogOptions) {
		o.RecoveryPoint, o.LogStart, o.HighWatermark = m.recovery, m.start, m.hw
	})
	l := m.b.log
	end := l.End()
	if how.Process && end != m.end {
		t.Fatalf("the process died and the log ends at %d, want %d", end, m.end)
	}
	if end < m.promised {
		t.Fatalf("synced to %d, the log ends at %d after the crash, %+v", m.promised, end, r)
	}
	if end < m.end {
		// What is left must be a prefix; check compares the batches.
		m.end = end
		m.batches = slices.DeleteFunc(m.batches, func(b record.Batch) bool { return b.LastOffset() >= end })
		m.lower()
	}
	if l.End() != m.end {
		t.Fatalf("end %d, want %d", l.End(), m.end)
	}
	m.start = l.Start()
	m.hw = l.HighWatermark()
	m.recovery = l.RecoveryPoint()
	m.loaded = m.end
}
