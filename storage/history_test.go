package storage_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/storage"
	"barnabas/storage/checkpoint"
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

func (h *history) crash1(where string, how vfs.Crash) *crashed {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.crashLocked(where, how)
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
