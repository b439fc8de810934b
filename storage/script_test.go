package storage_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/storage"
	"barnabas/storage/index"
	"barnabas/storage/producers"
	"barnabas/storage/vfs"
)

// The scripts in testdata/log tell a log's stories: what is called, what it answers, what lies on disk. Times are given
// and shown as milliseconds since the start of the test clock.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/log", func(t *testing.T, path string) {
		s := &script{bench: newBench(t)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t, s.out = t, &strings.Builder{}
			s.run(d)
			return s.out.String()
		})
	})
}

type script struct {
	*bench
	out *strings.Builder
}

func (s *script) printf(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// report shows an error by its Kafka name.
func (s *script) report(err error) bool {
	if err == nil {
		return false
	}
	var ke *kerr.Error
	if !errors.As(err, &ke) {
		s.t.Fatal(err)
	}
	s.printf("%s", ke.Message)
	return true
}

// arg reads a number of the command line, which may be left out.
func arg[T int | int32 | int64](d *datadriven.TestData, name string, otherwise T) T {
	for _, a := range d.CmdArgs {
		if a.Key == name && len(a.Vals) == 1 {
			var v T
			if _, err := fmt.Sscan(a.Vals[0], &v); err != nil {
				panic(err)
			}
			return v
		}
	}
	return otherwise
}

func text(d *datadriven.TestData, name string) string {
	for _, a := range d.CmdArgs {
		if a.Key == name {
			return strings.Join(a.Vals, ",")
		}
	}
	return ""
}

func (s *script) run(d *datadriven.TestData) {
	switch d.Cmd {
	case "config":
		s.config.SegmentBytes = arg(d, "segment.bytes", s.config.SegmentBytes)
		s.config.SegmentMs = arg(d, "segment.ms", s.config.SegmentMs)
		s.config.IndexIntervalBytes = arg(d, "index.interval.bytes", s.config.IndexIntervalBytes)
		s.config.IndexBytes = arg(d, "segment.index.bytes", s.config.IndexBytes)
		s.config.RetentionBytes = arg(d, "retention.bytes", s.config.RetentionBytes)
		s.config.RetentionMs = arg(d, "retention.ms", s.config.RetentionMs)
		s.config.FileDeleteDelayMs = arg(d, "file.delete.delay.ms", s.config.FileDeleteDelayMs)
		s.config.FlushMessages = arg(d, "flush.messages", s.config.FlushMessages)
		s.config.FlushMs = arg(d, "flush.ms", s.config.FlushMs)
		if d.HasArg("preallocate") {
			s.config.Preallocate = text(d, "preallocate") == "true"
		}
		if s.log != nil {
			s.log.SetConfig(s.config)
		}
	case "open":
		r := s.open(func(o *storage.LogOptions) {
			o.Clean = d.HasArg("clean")
			o.RecoveryPoint, o.LogStart, o.HighWatermark = arg(d, "recovery", int64(0)), arg(d, "start", int64(0)), arg(d, "hw", int64(0))
		})
		if r != (storage.Recovery{}) {
			s.printf("scanned %d segments, %d bytes; cut %d bytes, removed %d segments", r.Segments, r.Bytes, r.Cut, r.Removed)
		}
		s.state()
	case "state":
		s.state()
	case "append":
		size := arg(d, "size", 100)
		for range arg(d, "times", 1) {
			spec := batchSpec{count: arg(d, "n", int32(1)), size: size, ts: s.stamp(d), producer: arg(d, "pid", int64(-1)), pepoch: int16(arg(d, "pepoch", 0)), seq: arg(d, "seq", int32(-1)), txn: d.HasArg("txn")}
			if spec.producer < 0 {
				spec.pepoch = -1
			}
			s.appended(s.append(makeBatch(spec)))
		}
	case "marker":
		how := commit
		if d.HasArg("abort") {
			how = abort
		}
		s.appended(s.append(makeBatch(batchSpec{ts: s.stamp(d), producer: arg(d, "pid", int64(-1)), pepoch: int16(arg(d, "pepoch", 0)), marker: how, coordinator: arg(d, "coordinator", int32(0))})))
	case "follow":
		s.follow(d)
	case "epoch":
		s.epoch = arg(d, "is", int32(0))
		s.report(s.log.AssignEpoch(s.epoch))
	case "epoch-end":
		epoch, end := s.log.EpochEnd(arg(d, "of", int32(0)))
		s.printf("epoch %d ends at %d", epoch, end)
	case "read":
		s.readCmd(d)
	case "size":
		s.printf("%d", s.log.Size(arg(d, "at", int64(0)), arg(d, "bound", s.log.End()), arg(d, "max", 1<<30)))
	case "aborted":
		for _, a := range s.log.Aborted(arg(d, "from", int64(0)), arg(d, "to", s.log.End())) {
			s.printf("producer %d: %d to marker %d", a.ProducerID, a.First, a.Last)
		}
	case "producers":
		s.producers(s.log.Producers())
	case "hw":
		s.log.SetHighWatermark(arg(d, "to", s.log.End()))
		s.state()
	case "start":
		s.report(s.log.SetStart(arg(d, "at", int64(0))))
		s.state()
	case "truncate":
		s.report(s.log.Truncate(arg(d, "to", int64(0))))
		s.state()
	case "truncate-fully":
		s.report(s.log.TruncateFully(arg(d, "at", int64(0))))
		s.state()
	case "retain":
		n, err := s.log.Retain(s.now())
		if !s.report(err) {
			s.printf("%d segments removed", n)
		}
		s.state()
	case "sync":
		s.report(s.log.Sync(arg(d, "to", s.log.End())))
		s.state()
	case "sync-due":
		s.report(s.log.SyncDue(s.now()))
		s.state()
	case "background":
		s.background()
		s.state()
	case "advance":
		s.clock.Advance(time.Duration(arg(d, "ms", int64(0))) * time.Millisecond)
	case "close":
		s.report(s.log.Close())
	case "kill":
		s.log.Abandon()
		s.mem = s.mem.CrashClone(vfs.Crash{Process: true})
		s.fs = s.mem
	case "sync-names":
		must(s.t, s.mem.SyncDir("/data/t-0"))
	case "power-loss":
		s.log.Abandon()
		s.mem = s.mem.CrashClone(vfs.Crash{})
		s.fs = s.mem
	case "ls":
		s.ls()
	case "cat":
		s.cat(text(d, "file"))
	case "damage":
		s.damage(d)
	default:
		s.t.Fatalf("no command %s", d.Cmd)
	}
}

func (s *script) stamp(d *datadriven.TestData) int64 {
	if d.HasArg("ts") {
		return t0 + arg(d, "ts", int64(0))
	}
	return s.now()
}

func (s *script) state() {
	l := s.log
	s.printf("%d..%d hw %d stable %d durable %d, %d segments, %d bytes", l.Start(), l.End(), l.HighWatermark(), l.LastStable(), l.RecoveryPoint(), l.Segments(), l.Bytes())
}

func (s *script) appended(a storage.Appended, err error) {
	if s.report(err) {
		return
	}
	note := ""
	if a.Duplicate {
		note += " duplicate"
	}
	if a.Unsynced {
		note += " unsynced"
	}
	s.printf("%d..%d%s", a.First, a.Last, note)
}

// follow appends batches as a leader gave them; each line of input is one: offset records size.
func (s *script) follow(d *datadriven.TestData) {
	var set []byte
	for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
		spec := batchSpec{ts: s.stamp(d), epoch: s.epoch, producer: -1, pepoch: -1, seq: -1}
		cut := 0
		n, _ := fmt.Sscan(line, &spec.base, &spec.count, &spec.size, &cut)
		b := makeBatch(spec)
		if n == 4 {
			b = b[:cut]
		}
		set = append(set, b...)
	}
	last, err := s.log.AppendFollower(set)
	if !s.report(err) {
		s.printf("to %d", last)
	}
}

func (s *script) readCmd(d *datadriven.TestData) {
	r, err := s.log.Read(arg(d, "at", int64(0)), arg(d, "max", 1<<20), arg(d, "bound", s.log.End()), !d.HasArg("not-one"))
	if s.report(err) {
		return
	}
	defer r.Release()
	buf := make([]byte, r.Len())
	_, err = r.ReadInto(buf)
	must(s.t, err)
	whole := 0
	for _, b := range splitBatches(s.t, buf) {
		s.printf("%d..%d epoch %d, %d bytes", b.BaseOffset(), b.LastOffset(), b.LeaderEpoch(), len(b))
		whole += len(b)
	}
	if rest := r.Len() - whole; rest > 0 {
		s.printf("and %d bytes of the next", rest)
	}
	if r.Len() == 0 {
		s.printf("nothing")
	}
}

func (s *script) ls() {
	infos, err := s.mem.ReadDir("/data/t-0")
	if err != nil {
		s.printf("no directory")
		return
	}
	for _, info := range infos {
		st, err := s.mem.Stat(filepath.Join("/data/t-0", info.Name))
		must(s.t, err)
		s.printf("%s %d", info.Name, st.Size)
	}
}

func (s *script) cat(name string) {
	b, err := vfs.ReadFile(s.mem, "/data/t-0/"+name, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		s.printf("no such file")
		return
	}
	must(s.t, err)
	var base int64
	_, _ = fmt.Sscanf(name, "%d.", &base)
	switch filepath.Ext(name) {
	case ".index":
		v := index.OffsetView{Base: base, Bytes: b}
		for i := range v.Len() {
			s.printf("offset %d at byte %d", v.Entry(i).Offset, v.Entry(i).Position)
		}
	case ".timeindex":
		v := index.TimeView{Base: base, Bytes: b}
		for i := range v.Len() {
			s.printf("time %d up to offset %d", v.Entry(i).Timestamp-t0, v.Entry(i).Offset)
		}
	case ".txnindex":
		v := index.TxnView{Base: base, Bytes: b}
		for i := range v.Len() {
			e := v.Entry(i)
			s.printf("producer %d: %d to marker %d, stable then %d", e.ProducerID, e.First, e.Last, e.LastStable)
		}
	case ".snapshot":
		states, err := producers.DecodeSnapshot(b)
		must(s.t, err)
		s.producers(states)
	case ".log":
		for _, batch := range splitBatches(s.t, b) {
			s.printf("%d..%d epoch %d, %d bytes", batch.BaseOffset(), batch.LastOffset(), batch.LeaderEpoch(), len(batch))
		}
	default:
		s.printf("%s", b)
	}
}

func (s *script) producers(states []producers.State) {
	for _, p := range states {
		last, _ := p.Last()
		s.printf("producer %d epoch %d, sequence %d at %d, transaction from %d, coordinator %d", p.ID, p.Epoch, last.LastSequence, last.LastOffset, p.TxnFirst, p.CoordinatorEpoch)
	}
}

// damage changes a file behind the log's back: flip a byte, cut it, append rubbish, or remove it.
func (s *script) damage(d *datadriven.TestData) {
	name := "/data/t-0/" + text(d, "file")
	if d.HasArg("remove") {
		must(s.t, s.mem.Remove(name))
		return
	}
	b, err := vfs.ReadFile(s.mem, name, 1<<20)
	must(s.t, err)
	if at := arg(d, "flip", -1); at >= 0 {
		b[at] ^= 0x10
	}
	b = b[:min(len(b), arg(d, "cut", len(b)))]
	b = append(b, make([]byte, arg(d, "zeros", 0))...)
	b = append(b, text(d, "junk")...)
	must(s.t, vfs.WriteFile(s.mem, name, b))
}
