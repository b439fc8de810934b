package storage_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"
	"barnabas/storage"
	"barnabas/storage/producers"
	"barnabas/storage/vfs"
)

// keyed is a record as the compaction tests compare them; Key and Value are "<nil>" for null.
type keyed struct {
	Offset, Time int64
	Key, Value   string
	Header       string
}

// kept is an entry of a log with its records.
type kept struct {
	Magic       int8
	First, Last int64
	Producer    int64
	PEpoch      int16
	Seq         int32
	Leader      int32
	Codec       int8
	Txn         bool
	Control     int // 0, abort or commit, -1 for a control batch without its record
	Horizon     int64
	Records     []keyed
}

const undecided = -1

func nullable(b []byte) string {
	if b == nil {
		return "<nil>"
	}
	return string(b)
}

func unnull(s string) []byte {
	if s == "<nil>" {
		return nil
	}
	return []byte(s)
}

// decode takes an entry of any format apart.
func decode(t failer, entry []byte) kept {
	t.Helper()
	b := record.Batch(entry)
	k := kept{Magic: b.Magic(), First: b.BaseOffset(), Last: b.BaseOffset(), Producer: -1, PEpoch: -1, Seq: -1, Leader: -1, Horizon: undecided}
	if k.Magic < 2 {
		k.Codec = int8(entry[17] & 7)
		var f record.Filter
		must(t, f.Each(entry, func(offset int64, r record.Record) error {
			k.Records = append(k.Records, keyed{Offset: offset, Key: nullable(r.Key), Value: nullable(r.Value)})
			return nil
		}))
		k.First = k.Records[0].Offset
		return k
	}
	k.Last, k.Producer, k.PEpoch, k.Seq, k.Leader, k.Codec, k.Txn = b.LastOffset(), b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.LeaderEpoch(), b.Codec(), b.IsTransactional()
	if at, ok := b.DeleteHorizon(); ok {
		k.Horizon = at
	}
	if b.IsControl() {
		k.Control = -1
	}
	must(t, b.Each(1<<24, func(r record.Record) error {
		rec := keyed{Offset: b.BaseOffset() + int64(r.OffsetDelta), Time: b.Timestamp(r), Key: nullable(r.Key), Value: nullable(r.Value)}
		for _, h := range r.Headers {
			rec.Header += h.Key + "=" + nullable(h.Value)
		}
		if b.IsControl() {
			k.Control = commit
			if kind, err := record.ParseControlKey(r.Key); err != nil || kind == record.Abort {
				k.Control = abort
			}
		}
		k.Records = append(k.Records, rec)
		return nil
	}))
	return k
}

// entries are those of a log from an offset on, read as fetches do.
func entries(t failer, l *storage.Log, from int64) (all []kept) {
	t.Helper()
	for end := l.End(); from < end; {
		s, err := l.Read(from, 1000, end, true)
		must(t, err)
		if s.Len() == 0 {
			return all
		}
		b := make([]byte, s.Len())
		_, err = s.ReadInto(b)
		must(t, err)
		s.Release()
		for {
			entry, rest, err := record.Next(b)
			if errors.Is(err, record.ErrShort) {
				break
			}
			must(t, err)
			if entry[16] == 2 {
				must(t, record.Batch(entry).Check())
			}
			k := decode(t, entry)
			all = append(all, k)
			from, b = k.Last+1, rest
		}
	}
	return all
}

// compaction is a log whose records have keys, and what must be in it.
type compaction struct {
	*rapid.T
	b     *bench
	log   []kept
	ts    int64
	seq   map[int64]int32
	open  map[int64]bool
	value int

	recovery int64 // what the log dir's checkpoints say
	cleaned  int64
}

func TestCleanAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(rt)
		b.config.Compact, b.config.Delete = true, false
		b.config.ProducerExpirationMs = 1 << 50
		b.config.SegmentBytes = rapid.IntRange(300, 2500).Draw(rt, "segment.bytes")
		b.config.IndexIntervalBytes = rapid.IntRange(1, 600).Draw(rt, "index.interval.bytes")
		b.config.IndexBytes = rapid.SampledFrom([]int{60, 120, 1 << 20}).Draw(rt, "segment.index.bytes")
		b.config.DeleteRetentionMs = rapid.Int64Range(0, 200).Draw(rt, "delete.retention.ms")
		b.config.FileDeleteDelayMs = rapid.SampledFrom([]int64{0, 50, 60_000}).Draw(rt, "file.delete.delay.ms")
		m := &compaction{T: rt, b: b, ts: t0, seq: map[int64]int32{}, open: map[int64]bool{}}
		b.open(nil)
		defer func() { b.log.Abandon() }()
		rt.Repeat(map[string]func(*rapid.T){
			"":             m.check,
			"append":       m.append,
			"append again": m.append,
			"and again":    m.append,
			"marker":       m.marker,
			"old message":  m.old,
			"wait": func(t *rapid.T) {
				b.clock.Advance(time.Duration(rapid.IntRange(1, 150).Draw(t, "ms")) * time.Millisecond)
			},
			"background":   func(*rapid.T) { b.background() },
			"clean":        m.clean,
			"clean again":  m.clean,
			"watermark":    func(*rapid.T) { b.log.SetHighWatermark(b.log.End()) },
			"checkpoint":   func(*rapid.T) { m.recovery = b.log.RecoveryPoint() },
			"truncate":     m.truncate,
			"stop cleanly": m.stop,
			"process dies": func(t *rapid.T) { m.crash(t, vfs.Crash{Process: true}) },
			"machine tears": func(t *rapid.T) {
				m.crash(t, vfs.Crash{Rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))})
			},
		})
	})
}

func (m *compaction) check(t *rapid.T) {
	if diff := cmp.Diff(m.log, entries(t, m.b.log, 0), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the log (-) is not what it should be (+ is what it is):\n%s", diff)
	}
	if len(m.b.disk) > 0 {
		t.Fatal(m.b.disk[0])
	}
}

func (m *compaction) stamp(t *rapid.T) int64 {
	m.ts += int64(rapid.IntRange(-3, 10).Draw(t, "ms"))
	return m.ts
}

// draw is a record of few keys; values differ.
func (m *compaction) draw(t *rapid.T) (key, value []byte) {
	m.value++
	key = unnull(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "", "<nil>"}).Draw(t, "key"))
	if rapid.IntRange(0, 3).Draw(t, "tombstone") > 0 {
		value = fmt.Appendf(nil, "value %d", m.value)
	}
	return key, value
}

func (m *compaction) append(t *rapid.T) {
	spec := record.BatchSpec{
		Codec:      rapid.SampledFrom([]codec.Type{codec.None, codec.None, codec.Gzip, codec.Snappy, codec.LZ4, codec.Zstd}).Draw(t, "codec"),
		ProducerID: rapid.SampledFrom([]int64{-1, 1, 2, 3}).Draw(t, "producer"), ProducerEpoch: -1, BaseSequence: -1,
		LogAppendTime: rapid.IntRange(0, 5).Draw(t, "log append time") == 0, MaxTimestamp: m.ts,
	}
	if spec.ProducerID >= 0 {
		spec.ProducerEpoch, spec.BaseSequence = 0, m.seq[spec.ProducerID]
		spec.Transactional = m.open[spec.ProducerID] || spec.ProducerID > 1
		m.open[spec.ProducerID] = spec.Transactional
	}
	b := record.NewBuilder(spec)
	n := rapid.IntRange(1, 4).Draw(t, "records")
	for range n {
		key, value := m.draw(t)
		var headers []record.Header
		if rapid.IntRange(0, 4).Draw(t, "header") == 0 {
			headers = []record.Header{{Key: "h", Value: key}}
		}
		b.Append(m.stamp(t), key, value, headers...)
	}
	if spec.ProducerID >= 0 {
		m.seq[spec.ProducerID] += int32(n)
	}
	batch, err := b.Build()
	must(t, err)
	_, err = m.b.append(batch)
	must(t, err)
	m.log = append(m.log, decode(t, batch))
}

func (m *compaction) marker(t *rapid.T) {
	id := rapid.SampledFrom([]int64{2, 3}).Draw(t, "producer")
	m.open[id] = false
	b := record.EndTxnMarker{Commit: rapid.Bool().Draw(t, "commit")}.Batch(id, 0, m.stamp(t))
	_, err := m.b.append(b)
	must(t, err)
	m.log = append(m.log, decode(t, b))
}

// old follows a message of the formats before there were batches, alone or wrapped.
func (m *compaction) old(t *rapid.T) {
	magic := int8(rapid.IntRange(0, 1).Draw(t, "magic"))
	c := rapid.SampledFrom([]codec.Type{codec.None, codec.Gzip, codec.Snappy}).Draw(t, "codec")
	spec := record.BatchSpec{BaseOffset: m.b.log.End(), Codec: c, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1}
	b := record.NewBuilder(spec)
	n := 1
	if c != codec.None {
		n = rapid.IntRange(1, 4).Draw(t, "records")
	}
	for range n {
		key, value := m.draw(t)
		b.Append(m.stamp(t), key, value)
	}
	batch, err := b.Build()
	must(t, err)
	entry, err := record.Down(batch, magic, 0, 1<<20)
	must(t, err)
	entry, _, err = record.Next(entry)
	must(t, err)
	_, err = m.b.log.AppendFollower(entry)
	must(t, err)
	m.log = append(m.log, decode(t, entry))
}

// file is what a pass goes by of a segment.
type file struct {
	base    int64
	written time.Time
}

func (m *compaction) files() (files []file) {
	infos, err := m.b.mem.ReadDir("/data/t-0")
	if err != nil {
		return nil
	}
	for _, i := range infos {
		var base int64
		if filepath.Ext(i.Name) == ".log" {
			_, err := fmt.Sscanf(i.Name, "%d.log", &base)
			must(m, err)
			stat, err := m.b.mem.Stat("/data/t-0/" + i.Name)
			must(m, err)
			files = append(files, file{base, stat.ModTime})
		}
	}
	return files
}

func (m *compaction) clean(t *rapid.T) {
	l := m.b.log
	files, before := m.files(), l.Producers()
	now := m.b.now()
	did, err := l.Clean(storage.CleanOptions{DedupeBytes: rapid.SampledFrom([]int64{1 << 20, 24 * 6, 24 * 3}).Draw(t, "dedupe bytes"), LoadFactor: 0.9})
	must(t, err)
	if did.From == did.To {
		return
	}
	if did.To > l.LastStable() || did.To > files[len(files)-1].base || l.CleanedTo() != did.To {
		t.Fatalf("cleaned to %d, last stable %d, active segment from %d, noted %d", did.To, l.LastStable(), files[len(files)-1].base, l.CleanedTo())
	}
	m.cleaned = did.To
	last := map[int64]int64{}
	for _, s := range before {
		if b, ok := s.Last(); ok {
			last[s.ID] = b.LastOffset
		} else {
			last[s.ID] = -1
		}
	}
	m.pass(did.From, did.To-1, now, files, last)
	infos, err := m.b.mem.ReadDir("/data/t-0")
	must(t, err)
	for _, i := range infos {
		if ext := filepath.Ext(i.Name); ext == ".cleaned" || ext == ".swap" {
			t.Fatalf("%s is left", i.Name)
		}
	}
	after := m.files()
	for _, f := range after {
		if !slices.ContainsFunc(files, func(old file) bool { return old.written.Equal(f.written) && old.base >= f.base }) {
			t.Fatalf("segment %d was written at %v, there were %v", f.base, f.written, files)
		}
	}
	for _, i := range infos {
		var at int64
		if filepath.Ext(i.Name) == ".snapshot" {
			_, err := fmt.Sscanf(i.Name, "%d.snapshot", &at)
			must(t, err)
			based := func(f file) bool { return f.base == at }
			if slices.ContainsFunc(files, based) && !slices.ContainsFunc(after, based) {
				t.Fatalf("a snapshot at %d, segments %v", at, after)
			}
		}
	}
	if diff := cmp.Diff(lastBatches(before), lastBatches(l.Producers())); diff != "" {
		t.Fatal(diff)
	}
}

// pass is what a pass over the log does by the plain rules.
func (m *compaction) pass(from, latest, now int64, files []file, last map[int64]int64) {
	retention := time.Duration(m.b.config.DeleteRetentionMs) * time.Millisecond
	end := int64(math.MaxInt64) // of the segments that are gone over
	var keepNewer time.Time
	for _, f := range files {
		if f.base > latest {
			end = min(end, f.base)
		}
		if f.base < from {
			keepNewer = f.written.Add(-retention)
		}
	}
	// Which transactions were aborted is known by their markers; which batches belong to one, by what is there.
	aborted := make([]bool, len(m.log))
	useless := make([]bool, len(m.log))
	for id := int64(1); id <= 3; id++ {
		var open []int
		for i, b := range m.log {
			switch {
			case b.Producer != id:
			case b.Control != 0:
				useless[i] = len(open) == 0
				for _, j := range open {
					aborted[j] = b.Control == abort
				}
				open = nil
			case b.Txn:
				open = append(open, i)
			}
		}
	}
	newest := map[string]int64{}
	for i, b := range m.log {
		for _, r := range b.Records {
			if !aborted[i] && b.Control == 0 && r.Offset >= from && r.Offset <= latest {
				newest[r.Key] = max(newest[r.Key], r.Offset)
			}
		}
	}
	var next []kept
	for i, b := range m.log {
		if b.First >= end {
			next = append(next, b)
			continue
		}
		due := b.Horizon != undecided && b.Horizon <= now
		if b.Magic < 2 {
			for _, f := range files {
				if f.base <= b.First {
					due = !f.written.After(keepNewer)
				}
			}
		}
		var stay []keyed
		tombstone := false
		for _, r := range b.Records {
			keep := true
			switch at, mapped := newest[r.Key]; {
			case b.Control != 0:
				keep = !useless[i] || !due
			case aborted[i]:
				keep = false
			case r.Offset > latest:
			case r.Key == "<nil>", mapped && at > r.Offset, r.Value == "<nil>" && due:
				keep = false
			}
			if keep {
				stay = append(stay, r)
				tombstone = tombstone || r.Value == "<nil>"
			}
		}
		at, known := last[b.Producer]
		state := known && (at == b.Last || at < 0 && b.Control != 0)
		switch {
		case len(stay) == 0 && b.Producer >= 0 && state:
			b.Codec, b.Horizon = 0, undecided
			if b.Control != 0 {
				b.Control = -1
			}
		case len(stay) == 0:
			continue
		case b.Magic == 2 && b.Horizon == undecided && (tombstone || b.Control != 0 && useless[i]):
			b.Horizon = now + m.b.config.DeleteRetentionMs
		case b.Magic < 2:
			b.First, b.Last = stay[0].Offset, stay[len(stay)-1].Offset
		}
		b.Records = stay
		next = append(next, b)
	}
	m.log = next
}

// lastBatches is what of the producers must survive: their epochs and last batches.
func lastBatches(states []producers.State) (lines []string) {
	for _, s := range states {
		b, _ := s.Last()
		lines = append(lines, fmt.Sprintf("%d epoch %d: sequence %d at %d, transaction %d", s.ID, s.Epoch, b.LastSequence, b.LastOffset, s.TxnFirst))
	}
	slices.Sort(lines)
	return lines
}

// watermark commits what there is, or a part.
func (m *compaction) watermark(t *rapid.T) {
	m.b.log.SetHighWatermark(rapid.Int64Range(m.b.log.HighWatermark(), m.b.log.End()).Draw(t, "watermark"))
	if rapid.Bool().Draw(t, "all") {
		m.b.log.SetHighWatermark(m.b.log.End())
	}
}

func (m *compaction) truncate(t *rapid.T) {
	l := m.b.log
	// Where a batch begins: what a truncation into a gap, or into an old compressed message, leaves is its own story. And not
	// below the watermark: what was compacted there cannot be undone.
	i := slices.IndexFunc(m.log, func(b kept) bool { return b.First >= l.HighWatermark() })
	if i < 0 {
		return
	}
	to := m.log[rapid.IntRange(i, len(m.log)-1).Draw(t, "batch")].First
	was := l.End()
	must(t, l.Truncate(to))
	if l.End() > to || l.CleanedTo() > l.End() {
		t.Fatalf("truncated to %d of %d, ends at %d, clean to %d", to, was, l.End(), l.CleanedTo())
	}
	m.cleaned, m.recovery = min(m.cleaned, l.End()), min(m.recovery, l.End())
	for len(m.log) > 0 && m.log[len(m.log)-1].Last >= l.End() {
		m.log = m.log[:len(m.log)-1]
	}
	m.resume()
}

// resume takes the producers for what the log says of them.
func (m *compaction) resume() {
	clear(m.open)
	clear(m.seq)
	for _, s := range m.b.log.Producers() {
		m.open[s.ID] = s.TxnFirst != -1
		if b, ok := s.Last(); ok {
			m.seq[s.ID] = b.LastSequence + 1
		}
	}
}

func (m *compaction) reopen(clean bool) {
	hw := m.b.log.HighWatermark()
	m.b.open(func(o *storage.LogOptions) {
		o.Clean, o.RecoveryPoint, o.HighWatermark, o.Cleaned = clean, m.recovery, hw, m.cleaned
	})
	l := m.b.log
	// A log that ends with records that went is as long as its batches say, as in Kafka; so what is clean may end before.
	m.cleaned = l.CleanedTo()
	m.resume()
}

func (m *compaction) stop(t *rapid.T) {
	l := m.b.log
	before := lastBatches(l.Producers())
	must(t, l.Close())
	m.recovery = l.RecoveryPoint()
	m.reopen(true)
	if diff := cmp.Diff(before, lastBatches(m.b.log.Producers())); diff != "" {
		t.Fatal(diff)
	}
}

func (m *compaction) crash(t *rapid.T, c vfs.Crash) {
	l := m.b.log
	before := lastBatches(l.Producers())
	if c.Process {
		m.recovery = rapid.SampledFrom([]int64{m.recovery, l.RecoveryPoint()}).Draw(t, "checkpoint")
	} else {
		// Everything that was appended is synced; what compaction does is what may be torn.
		must(t, l.Flush())
	}
	m.b.mem = m.b.mem.CrashClone(c)
	m.b.mem.Now = m.b.clock.Now
	m.b.fs = m.b.mem
	l.Abandon()
	m.b.work = nil
	m.reopen(false)
	if diff := cmp.Diff(before, lastBatches(m.b.log.Producers())); diff != "" {
		t.Fatalf("producers after recovery from %d: %s", m.recovery, diff)
	}
}
