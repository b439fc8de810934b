package storage_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/storage"
	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// replica is what a history holds of one replica: what is written, what was promised of it, and what is under way.
type replica struct {
	topicID [16]byte
	batches []record.Batch // as they lie on disk; the last ones may be on their way. Those below the start stay listed
	acked   int            // how many of them were acknowledged
	made    bool           // something was acknowledged, so there are files
	unnamed bool           // the machine has died, and nobody has told the topic id since
	began   int64          // where it would end without batches
	epoch   int32

	promised int64          // all below is durable: synced, or below a recovery point that was seen
	cutTo    int64          // a truncation that may leave this end is under way, or has failed; -1 for none
	uncut    []record.Batch // what a truncation would have cut that a crash has interrupted: it may be back until something is synced behind uncutAt
	uncutAt  int64
	leaving  bool // a deletion is under way, or has failed

	// The largest value that a crash may find, and the smallest: after the death of the process, and of the machine.
	start, startNoted, startDurable int64
	hw, hwNoted                     int64

	forgotten int64 // the largest start that there ever was; what came back below has lost its leader epochs and its producers

	thinning
}

// raise notes that the start may be so high.
func (r *replica) raise(start int64) {
	r.start = max(r.start, start)
	r.forgotten = max(r.forgotten, r.start)
}

func (r *replica) end() int64 {
	switch {
	case r.acked == 0:
		return r.began
	case r.batches[r.acked-1].BaseOffset() < r.loose:
		return 0 // who knows what is left of what lies before the start
	}
	return r.batches[r.acked-1].LastOffset() + 1
}

// history is a random life of a manager with two log dirs, and what must be left of it at any instant.
type history struct {
	*host
	rng     *rand.Rand
	thought *rand.Rand // of the hook, whose calls depend on chance; guarded by mu
	soak    bool       // every change of the disk is a crash point
	settle  bool       // no background work lasts beyond its step
	keyed   bool       // most is about one compacted replica

	mu       sync.Mutex // guards what follows; held while a crash copies the disk
	replicas map[checkpoint.Partition]*replica
	told     []string
	points   int
	bad      *fault
	failure  error // the first broken promise
	unique   uint64

	steps, whileCleaning menu
}

// menu is steps with how often each is taken.
type menu map[string]step

type step struct {
	weight int
	do     func()
}

// fault is a disk that does not work any more.
type fault struct {
	dir   string
	what  string
	spoil func(op vfs.Op) error
}

// historyDirs are the log dirs, historyTopics the topics, of two partitions each.
var (
	historyDirs   = []string{"/d1", "/d2"}
	historyTopics = []string{"t", "u", keyedTopic}
)

// soak is how long the campaigns are: $BARNABAS_SOAK, else 0 for their short form.
func soak(t testing.TB) int {
	t.Helper()
	s := os.Getenv("BARNABAS_SOAK")
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("BARNABAS_SOAK is %q, not a number above 0", s)
	}
	return n
}

// TestHistories holds the manager to the rules of "What a crash may take" in the package comment: random histories of
// produce (plain, idempotent, sent twice, with keys), flush, roll, retention, compaction (with other things happening in the
// midst of it), DeleteRecords, truncation, deletion and creation, changed settings, checkpoints, clean stops, crashes and
// failing disks; at syncs and other changes of the disk the process or the machine dies, and what is left is opened and compared. BARNABAS_SOAK=n makes n times as many, with a crash at
// every change; BARNABAS_SEED=n begins with that history.
func TestHistories(t *testing.T) {
	first, n := uint64(1), 48
	long := soak(t)
	if long > 0 {
		first, n = uint64(time.Now().UnixNano()), n*long
	}
	if s := os.Getenv("BARNABAS_SEED"); s != "" {
		var err error
		first, err = strconv.ParseUint(s, 10, 64)
		must(t, err)
	}
	points := 0
	for i := range n {
		h := newHistory(t, first+uint64(i), long > 0)
		h.live()
		points += h.points
		if h.failure != nil {
			t.Fatalf("the history of BARNABAS_SEED=%d:\n%s\n%v", first+uint64(i), strings.Join(h.told, "\n"), h.failure)
		}
	}
	if points < 40*n {
		t.Errorf("only %d crashes in %d histories", points, n)
	}
	t.Logf("%d crashes in %d histories, the first of seed %d", points, n, first)
}

func newHistory(t *testing.T, seed uint64, soak bool) *history {
	h := &history{
		host: newHost(t, historyDirs...), rng: rand.New(rand.NewPCG(seed, 1)), thought: rand.New(rand.NewPCG(seed, 2)),
		soak: soak, replicas: map[checkpoint.Partition]*replica{},
	}
	h.settle, h.keyed = h.rng.IntN(2) == 0, h.rng.IntN(2) == 0
	h.edit = func(o *storage.Options) { o.FlushCheck = time.Second }
	h.config.ProducerExpirationMs = 1 << 50
	h.config.SegmentBytes = 500 + h.rng.IntN(1500)
	h.config.Preallocate = h.rng.IntN(3) == 0
	h.config.Compact, h.config.Delete = true, false
	h.config.DeleteRetentionMs = []int64{0, 20_000, 1 << 40}[h.rng.IntN(3)]
	h.steps = menu{
		"append":         {30, h.append},
		"again":          {4, h.again},
		"commit":         {8, h.commit},
		"delete records": {3, h.deleteRecords},
		"truncate":       {3, h.truncate},
		"empty":          {1, h.truncateFully},
		"retain":         {3, h.retain},
		"flush":          {4, h.flush},
		"advance":        {8, h.advance},
		"config":         {4, h.setConfig},
		"epoch":          {2, h.newEpoch},
		"disk":           {1, h.breakDisk},
	}
	h.whileCleaning = maps.Clone(h.steps)
	h.steps["clean"] = step{8, h.clean}
	if h.keyed {
		h.steps["clean"] = step{16, h.clean}
	}
	h.steps["delete"] = step{2, h.delete}
	h.steps["stop"] = step{2, h.restart}
	h.steps["crash"] = step{2, h.die}
	return h
}

// live is the whole history.
func (h *history) live() {
	defer func() { h.m.Kill() }()
	h.begin()
	for range 120 {
		h.oneOf(h.steps)
		if h.settle || h.rng.IntN(8) == 0 {
			h.m.Settle()
		}
		h.look()
		if h.broken() {
			return
		}
	}
	h.restart()
}

// oneOf takes a step.
func (h *history) oneOf(m menu) {
	sum := 0
	for _, s := range m {
		sum += s.weight
	}
	n := h.rng.IntN(sum)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if n -= m[name].weight; n < 0 {
			m[name].do()
			return
		}
	}
}

func (h *history) broken() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failure != nil
}

func (h *history) tell(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, fmt.Sprintf("%4d  ", len(h.told))+fmt.Sprintf(format, args...))
}

func (h *history) fail(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failLocked(fmt.Errorf(format, args...))
}

func (h *history) failLocked(err error) {
	if h.failure == nil {
		h.failure = fmt.Errorf("step %d: %w", len(h.told)-1, err)
	}
}

// note changes what is expected. What lowers a promise is noted before it is tried, what raises one when it is kept, so
// that a crash copies a disk that is bound by no more than was promised.
func (h *history) note(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// begin opens the log dirs, in front of a hook that copies them.
func (h *history) begin() {
	h.fs = vfs.WithHook(h.mem, h.hook)
	m, err := h.openDirs()
	must(h.t, err)
	h.m = m
	if err := m.Load(context.Background(), func(topic string) storage.Config { return configOf(h.config, topic) }); err != nil {
		h.fail("the log dirs do not load: %w", err)
		return
	}
	m.Start()
}

// hook is told each access before it takes place.
func (h *history) hook(op vfs.Op, name string) error {
	h.mu.Lock()
	var c *crashed
	if op.Changes() && h.failure == nil {
		chance := 30
		if op == vfs.OpSync || op == vfs.OpSyncDir {
			chance = 8
		}
		if h.soak || h.thought.IntN(chance) == 0 {
			c = h.crashLocked(fmt.Sprintf("before %s of %s", op, name), h.anyCrash(h.thought))
		}
	}
	bad := h.bad
	h.mu.Unlock()
	if c != nil {
		h.verify(c)
	}
	if bad != nil && (name == bad.dir || strings.HasPrefix(name, bad.dir+"/")) && op != vfs.OpClose {
		return bad.spoil(op)
	}
	return nil
}

func (h *history) verify(c *crashed) {
	if err := c.recovers(); err != nil {
		h.note(func() { h.failLocked(fmt.Errorf("%s dies %s: %w", c.who(), c.where, err)) })
	}
}

func (h *history) anyCrash(rng *rand.Rand) vfs.Crash {
	switch rng.IntN(4) {
	case 0:
		return vfs.Crash{Process: true}
	case 1:
		return vfs.Crash{}
	}
	return vfs.Crash{Rand: rand.New(rand.NewPCG(rng.Uint64(), 0))}
}

// log is a replica that is there, or a new one.
func (h *history) log() (p checkpoint.Partition, r *replica, l *storage.Log) {
	p = checkpoint.Partition{Topic: historyTopics[h.rng.IntN(len(historyTopics))], ID: h.rng.Int32N(2)}
	if h.keyed && h.rng.IntN(4) > 0 {
		p = checkpoint.Partition{Topic: keyedTopic}
	}
	h.note(func() {
		if r = h.replicas[p]; r == nil {
			h.unique++
			r = &replica{cutTo: -1}
			binary.BigEndian.PutUint64(r.topicID[:], h.unique)
			h.replicas[p] = r
		}
	})
	l, err := h.m.Create(p.Topic, p.ID, r.topicID, configOf(h.config, p.Topic))
	if err != nil {
		h.refused(p, err)
		return p, r, nil
	}
	if e := l.Failed(); e != nil { // since a moment ago
		h.refused(p, e)
		return p, r, nil
	}
	h.note(func() { r.unnamed = r.unnamed && l.Bytes() == 0 }) // without a file there is nowhere to write it
	return p, r, l
}

// refused accepts an error that a broken disk explains, and no other.
func (h *history) refused(p checkpoint.Partition, err error) {
	dir := h.m.DirOf(p.Topic, p.ID)
	if h.bad == nil || dir != "" && dir != h.bad.dir || !errors.Is(err, kerr.KafkaStorageError) {
		h.fail("%s in %q: %w", p, dir, err)
		return
	}
	h.tell("  refused: %v", err)
}

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

func (h *history) crash1(where string, how vfs.Crash) *crashed {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.crashLocked(where, how)
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

// found checks what was loaded, and takes it for what is there.
func (h *history) found(how vfs.Crash) {
	if h.broken() {
		return
	}
	c := h.crash1("and starts again", how)
	if err := c.holds(h.m); err != nil {
		h.fail("after the start: %w", err)
		return
	}
	found := map[checkpoint.Partition][]record.Batch{}
	for l := range h.m.Logs() {
		batches, err := readAll(l, l.Start())
		if err != nil {
			h.fail("%s: %w", l, err)
			return
		}
		found[checkpoint.Partition{Topic: l.Topic(), ID: l.Partition()}] = batches
	}
	h.note(func() {
		for p, r := range h.replicas {
			l := h.m.Log(p.Topic, p.ID)
			if l == nil {
				if r.leaving {
					delete(h.replicas, p)
				} else {
					*r = replica{topicID: r.topicID, epoch: r.epoch, cutTo: -1}
				}
				continue
			}
			if r.cutTo >= 0 {
				r.uncut, r.uncutAt = r.batches, l.End()
			}
			n := len(r.batches)
			for n > 0 && r.batches[n-1].LastOffset() >= l.End() {
				n--
			}
			r.batches = r.batches[:n:n]
			if p.Topic == keyedTopic {
				r.rebase(found[p], l.Start(), l.End())
				n = len(r.batches)
				r.cleaned, r.promised = l.CleanedTo(), min(r.promised, l.End())
			}
			r.acked, r.made, r.cutTo, r.leaving = n, r.made || n > 0, -1, false
			if n == 0 {
				r.began = l.End()
			}
			r.start, r.hw = l.Start(), l.HighWatermark()
			r.startNoted, r.startDurable, r.hwNoted = min(r.startNoted, r.start), min(r.startDurable, r.start), min(r.hwNoted, r.hw)
		}
	})
}

// look reads recovery points, which are promises.
func (h *history) look() {
	h.note(func() {
		for p, r := range h.replicas {
			if l := h.m.Log(p.Topic, p.ID); l != nil && r.made && r.cutTo < 0 && l.Failed() == nil {
				r.promise(l.RecoveryPoint())
				if r.promised > r.uncutAt {
					r.uncut = nil
				}
			}
		}
	})
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
