package storage

import (
	"math"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"barnabas/storage/clock"
	"barnabas/storage/epochs"
	"barnabas/storage/producers"
	"barnabas/storage/vfs"
)

// Stable is the first unstable offset of a log without transactions: every offset is below.
const Stable int64 = math.MaxInt64

// Log is one replica's log: one writer at a time, readers who take no lock. All methods are safe for concurrent use.
//
// Invariants: start <= hw <= end and recovery <= end; the list is never empty and its last segment is the active one;
// everything below end is in the files; everything below recovery is durable, with the indexes of the sealed segments,
// the leader epochs and the producer snapshots that go with it.
type Log struct {
	fs          vfs.FS
	clock       clock.Clock
	logger      *zap.Logger
	files       *FileCache
	async       func(func())
	onDiskError func(*DiskError)
	onLowered   func()

	dir       string
	topic     string
	partition int32

	config  atomic.Pointer[Config]
	segs    atomic.Pointer[segments]
	failure atomic.Pointer[DiskError]
	closed  atomic.Bool
	topicID atomic.Pointer[[16]byte]

	start    atomic.Int64 // first offset that may be read
	end      atomic.Int64 // next offset to be written
	hw       atomic.Int64 // high watermark
	unstable atomic.Int64 // first unstable offset, or Stable
	recovery atomic.Int64 // below it everything is durable
	flushed  atomic.Int64 // ms; when everything was last durable
	cleaned  atomic.Int64 // below it passes of the cleaner have come; 0 before the first

	// nameless says that perhaps no durable name of a file says where the log begins, so that the log dir's checkpoint must:
	// after retention, whose renames a loss of power may undo, and while an empty log that begins above 0 has no file.
	nameless atomic.Bool

	// undecided says that some transaction is decided by a marker that the high watermark has not passed.
	undecided atomic.Bool

	// flushMu serialises what makes things durable with what takes segments away. It is held over disk syncs; whoever
	// waits for it usually finds its own work done (group commit).
	flushMu sync.Mutex

	// mu guards everything below, the writer's fields of the segments, and all stores to the fields above but closed,
	// failure and flushed. flushMu comes before it.
	mu        sync.Mutex
	closing   bool
	cuts      int // truncations so far; none may come between a look at the log and what is concluded from it
	producers producers.Table
	epochs    epochs.Cache // readers may read
	// lastMarker is the offset of the newest marker that ended a transaction, -1 for none.
	lastMarker int64
	snapshots  []int64    // offsets of the .snapshot files, and of those that are pending; ascending
	pending    []snapshot // taken at a roll, not written yet
	lastSnap   int64      // offset of the newest snapshot, or what stands in for it; no other is taken at it

	epochsDirty, dirDirty, metaDirty bool // not durable yet: epochs, names in the directory, partition.metadata
	metaOnDisk                       bool // partition.metadata is there
	// doubtful: the last run was killed, perhaps over a truncation. The file may be shorter than what is on disk, although it
	// ends where the recovery point is. The next sync of the active segment clears it, a clean stop's at the latest.
	doubtful  bool
	deletions []*deletion

	cleaning    cleaning
	uncleanable atomic.Pointer[error] // why the cleaner leaves the log alone
}

// snapshot is a producer snapshot on its way to its file.
type snapshot struct {
	offset int64
	data   []byte
}

// Dir is the replica's directory.
func (l *Log) Dir() string { return l.dir }

// Topic and Partition say whose log it is.
func (l *Log) Topic() string    { return l.topic }
func (l *Log) Partition() int32 { return l.partition }

// Start is the first offset that may be read, End the one that the next record gets.
func (l *Log) Start() int64 { return l.start.Load() }
func (l *Log) End() int64   { return l.end.Load() }

// HighWatermark is the offset below which everything is committed.
func (l *Log) HighWatermark() int64 { return l.hw.Load() }

// FirstUnstable is the first offset of a transaction that is open, or whose marker is not committed; Stable when there
// is none.
func (l *Log) FirstUnstable() int64 { return l.unstable.Load() }

// LastStable is where read_committed consumers stop.
func (l *Log) LastStable() int64 {
	// The watermark first: an append stores the unstable offset before the end rises, so a watermark that covers a
	// transaction's records is never paired with an unstable offset from before them.
	hw := l.hw.Load()
	return min(l.unstable.Load(), hw)
}

// RecoveryPoint is the offset below which everything is durable; a recovery after a crash may begin there.
func (l *Log) RecoveryPoint() int64 { return l.recovery.Load() }

// Bytes is the size of all segments.
func (l *Log) Bytes() int64 { return l.list().bytes() }

// Segments is how many segments the log has.
func (l *Log) Segments() int { return len(l.list()) }

// Config is the settings in effect.
func (l *Log) Config() Config { return *l.config.Load() }

// SetConfig replaces the settings, from the next append, flush or retention on.
func (l *Log) SetConfig(c Config) { l.config.Store(&c) }

// SetHighWatermark raises the high watermark, at most to the end. It never lowers it; Truncate does.
func (l *Log) SetHighWatermark(at int64) {
	for {
		now := l.hw.Load()
		at = min(at, l.end.Load())
		if at <= now {
			break
		}
		if l.hw.CompareAndSwap(now, at) {
			break
		}
	}
	if l.undecided.Load() {
		l.mu.Lock()
		l.settle()
		l.mu.Unlock()
	}
}

// settle finds the first unstable offset anew.
func (l *Log) settle() {
	hw := l.hw.Load()
	l.producers.Replicated(hw)
	first, ok := l.producers.FirstUnstable()
	if !ok {
		first = Stable
	} else {
		first = max(first, l.start.Load())
	}
	l.unstable.Store(first)
	l.undecided.Store(l.lastMarker >= hw)
}

// Producers are the producers that the log knows of, for DescribeProducers.
func (l *Log) Producers() []producers.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.producers.States()
}

// ExpireProducers forgets the producers that have been silent for producer.id.expiration.ms and says how many.
func (l *Log) ExpireProducers(now int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.producers.Expire(now, l.config.Load().ProducerExpirationMs)
}
