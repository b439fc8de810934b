package storage

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// Options of OpenDirs. Fields with a default may be left zero.
type Options struct {
	FS     vfs.FS      // vfs.OS
	Clock  clock.Clock // clock.Real
	Logger *zap.Logger // says nothing

	Dirs            []string // log.dirs, at least one
	RecoveryThreads int      // num.recovery.threads.per.data.dir; 1. There are as many at least as processors; they also close the logs

	// OpenFiles and Mappings bound the handles of all logs together. 10000 and 10000: well below the limits that a
	// Linux system gives a service; half of the files that the process may open, if that is less.
	OpenFiles, Mappings int

	FirstDelay     time.Duration // before the first retention, flush and recovery point; 30 s
	RetentionCheck time.Duration // log.retention.check.interval.ms; 5 min
	HighWatermarks time.Duration // replica.high.watermark.checkpoint.interval.ms; 5 s
	RecoveryPoints time.Duration // log.flush.offset.checkpoint.interval.ms; 60 s
	LogStarts      time.Duration // log.flush.start.offset.checkpoint.interval.ms; 60 s
	ProducerExpiry time.Duration // producer.id.expiration.check.interval.ms; 10 min
	FlushCheck     time.Duration // log.flush.scheduler.interval.ms; 0 is never

	Cleaner CleanerConfig // the zero value compacts nothing

	// OnDirFailed is called once for each log dir that fails while the broker runs, in a goroutine of its own; its logs
	// answer KAFKA_STORAGE_ERROR by then. OnAllFailed follows the last one: there is nothing left to serve.
	OnDirFailed func(dir string, err error)
	OnAllFailed func()
}

func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = vfs.OS
	}
	if o.Clock == nil {
		o.Clock = clock.Real
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.RecoveryThreads = max(o.RecoveryThreads, 1)
	o.OpenFiles = cmp.Or(o.OpenFiles, min(10_000, vfs.FileLimit()/2))
	o.Mappings = cmp.Or(o.Mappings, 10_000)
	o.FirstDelay = cmp.Or(o.FirstDelay, 30*time.Second)
	o.RetentionCheck = cmp.Or(o.RetentionCheck, 5*time.Minute)
	o.HighWatermarks = cmp.Or(o.HighWatermarks, 5*time.Second)
	o.RecoveryPoints = cmp.Or(o.RecoveryPoints, time.Minute)
	o.LogStarts = cmp.Or(o.LogStarts, time.Minute)
	o.ProducerExpiry = cmp.Or(o.ProducerExpiry, 10*time.Minute)
}

// Manager holds the log dirs of a broker and the logs in them. The life of one: OpenDirs, Meta and WriteMeta, Load, Start,
// Close. All methods are safe for concurrent use.
//
// Crash points, besides those of a log (see the package's): the mark of a clean stop is gone, durably, before anything is
// written, and comes back after everything; in between a start scans each log from its checkpointed recovery point on. A
// checkpoint is the old or the new one. A deletion that was not durable brings the replica back, one that was leaves a
// directory that the next start removes; and before a name is used again, no checkpoint speaks of its former owner.
//
// Locks: changes, or a janitor's run, or cleaner.mu -> Log.flushMu -> Log.mu -> logDir.mu -> mu. A log reports a failed disk, and has
// checkpoints written, while it holds its own locks; so under the last two no method of a log is called that takes one.
type Manager struct {
	o       Options
	files   *FileCache
	dirs    []*logDir // in the order of log.dirs; failed ones stay
	threads atomic.Int32
	cleaner *cleaner
	dead    sync.Once // OnAllFailed

	changes sync.Mutex // serialises Create, Delete and Close; held over disk work

	mu     sync.RWMutex // guards what follows, and logDir.count
	logs   map[string]map[int32]hosted
	closed bool
}

// hosted is a log and where it lies.
type hosted struct {
	log *Log
	dir *logDir
}

// errManagerClosed is the answer to changes after Close.
var errManagerClosed = fmt.Errorf("the log manager is closed: %w", kerr.KafkaStorageError)

// SetRecoveryThreads changes how many threads a log dir gets to close its logs (and had to load them).
func (m *Manager) SetRecoveryThreads(n int) { m.threads.Store(int32(max(n, 1))) }

// Log finds a log; nil when this broker has none for the partition. That of a failed log dir is found, and refuses.
func (m *Manager) Log(topic string, partition int32) *Log {
	h, _ := m.find(topic, partition)
	return h.log
}

func (m *Manager) find(topic string, partition int32) (hosted, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	h, ok := m.logs[topic][partition]
	return h, ok
}

// Logs are all logs of this moment, in no order.
func (m *Manager) Logs() iter.Seq[*Log] {
	all := m.hosted(func(hosted) bool { return true })
	return func(yield func(*Log) bool) {
		for _, h := range all {
			if !yield(h.log) {
				return
			}
		}
	}
}

// hosted is a copy, so that nobody acts on logs under mu.
func (m *Manager) hosted(want func(hosted) bool) (hs []hosted) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, ps := range m.logs {
		for _, h := range ps {
			if want(h) {
				hs = append(hs, h)
			}
		}
	}
	return hs
}

// in are the logs of one log dir.
func (m *Manager) in(d *logDir) []hosted {
	return m.hosted(func(h hosted) bool { return h.dir == d })
}

// put makes a log known; false when there is one already, which is returned.
func (m *Manager) put(h hosted) (other hosted, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	topic, id := h.log.Topic(), h.log.Partition()
	if other, taken := m.logs[topic][id]; taken {
		return other, false
	}
	if m.logs[topic] == nil {
		m.logs[topic] = map[int32]hosted{}
	}
	m.logs[topic][id] = h
	h.dir.count++
	return h, true
}

func (m *Manager) forget(topic string, partition int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h, ok := m.logs[topic][partition]; ok {
		h.dir.count--
	}
	delete(m.logs[topic], partition)
	if len(m.logs[topic]) == 0 {
		delete(m.logs, topic)
	}
}

// Create gives the log of a partition, a new one in the live log dir that has the fewest, if there is none. Its directory
// appears at the first append. id is the topic's, zero if it is not known.
//
// Errors: INCONSISTENT_TOPIC_ID when the log there is that of another topic of this name, KAFKA_STORAGE_ERROR when no log
// dir is left, INVALID_TOPIC_EXCEPTION for a name that no topic can have. When the partition is not known to be new, ask
// MissingIsLost before: its log may lie in a log dir that has failed.
func (m *Manager) Create(topic string, partition int32, id [16]byte, c Config) (*Log, error) {
	if err := checkName(topic, partition); err != nil {
		return nil, err
	}
	m.changes.Lock()
	defer m.changes.Unlock()
	if m.isClosed() {
		return nil, errManagerClosed
	}
	if h, ok := m.find(topic, partition); ok {
		if e := h.log.Failed(); e != nil {
			return nil, e
		}
		if err := adopt(h.log, id); err != nil {
			return nil, err
		}
		return h.log, nil
	}
	for _, d := range m.emptiest() {
		l, err := d.create(checkpoint.Partition{Topic: topic, ID: partition}, id, c)
		if err == nil {
			return l, nil
		}
		var disk *DiskError
		if !errors.As(err, &disk) || disk.Passing() {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no log dir is left for %s-%d: %w", topic, partition, kerr.KafkaStorageError)
}

// adopt ties an existing log to a topic id, or refuses that of another topic.
func adopt(l *Log, id [16]byte) error {
	none := [16]byte{}
	switch have := l.TopicID(); {
	case id == none || id == have:
		return nil
	case have == none:
		return l.SetTopicID(id)
	}
	return fmt.Errorf("%s: the log on disk belongs to another topic of that name: %w", l, kerr.InconsistentTopicID)
}

// emptiest are the live log dirs, that with the fewest logs first.
func (m *Manager) emptiest() []*logDir {
	live := m.live()
	m.mu.RLock()
	defer m.mu.RUnlock()
	slices.SortStableFunc(live, func(a, b *logDir) int { return cmp.Compare(a.count, b.count) })
	return live
}

// SetConfig replaces the settings of a topic's logs, effective at once.
func (m *Manager) SetConfig(topic string, c Config) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, h := range m.logs[topic] {
		h.log.SetConfig(c) // an atomic store
	}
}

func (m *Manager) isClosed() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.closed
}
