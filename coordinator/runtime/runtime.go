package runtime

import (
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"

	"barnabas/protocol/record/codec"
	"barnabas/replication/await"
	"barnabas/storage/clock"
)

// Options are what a Runtime needs. New, Clock and Logger must be set.
type Options struct {
	// Topic is the internal topic, for the log lines.
	Topic  string
	Clock  clock.Clock
	Logger *zap.Logger
	// New makes an empty machine. The machine keeps the scope and writes, waits and answers through it.
	New func(*Scope) Machine
	// CommitTimeout is how long a reply waits for the high watermark before it fails with REQUEST_TIMED_OUT
	// (offsets.commit.timeout.ms); 0 is 5 s.
	CommitTimeout time.Duration
	// LoadBytes is how much of a log is read at once (offsets.load.buffer.size); 0 is 5 MiB.
	LoadBytes int
	// Loads is how many partitions are loaded at the same time; 0 is 4.
	Loads int
	// Codec compresses what is written (offsets.topic.compression.codec).
	Codec codec.Type
}

// Runtime holds the shards of one internal topic that this broker leads.
type Runtime struct {
	o       Options
	loads   chan struct{}
	running sync.WaitGroup // shards at work and loads

	mu     sync.RWMutex // guards what follows
	shards map[int32]*shard
	epochs map[int32]int32 // the highest leader epoch heard of, also of partitions that are led no more
	closed bool
}

// New makes a runtime that leads nothing yet.
func New(o Options) *Runtime {
	if o.CommitTimeout == 0 {
		o.CommitTimeout = 5 * time.Second
	}
	if o.LoadBytes == 0 {
		o.LoadBytes = 5 << 20
	}
	if o.Loads == 0 {
		o.Loads = 4
	}
	return &Runtime{o: o, loads: make(chan struct{}, o.Loads), shards: map[int32]*shard{}, epochs: map[int32]int32{}}
}

// Lead begins to serve a partition, whose log is loaded in the background. An epoch older than one heard of before is
// ignored. The same log (the same value; a pointer) under a newer epoch goes on as it is, since the broker never ceased to
// lead; another log is loaded anew. An empty log is served when Lead returns.
func (r *Runtime) Lead(partition, epoch int32, log Log) {
	empty := log.Start() == log.End()
	s := r.place(partition, epoch, log)
	if s == nil {
		return
	}
	if !empty {
		s.startLoad()
		return
	}
	scope := newScope(s, log)
	scope.machine = r.o.New(scope)
	scope.machine.Loaded()
	s.serve(scope)
}

// place makes the shard, which is loading. nil says that nothing has changed.
func (r *Runtime) place(partition, epoch int32, log Log) *shard {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.epochs[partition]; r.closed || ok && epoch < known {
		return nil
	}
	r.epochs[partition] = epoch
	if s := r.shards[partition]; s != nil {
		if s.log == log {
			return nil
		}
		s.retire()
	}
	s := &shard{rt: r, partition: partition, log: log, wake: await.NewBell()}
	r.shards[partition] = s
	return s
}

// Resign ends the service of a partition, unless its epoch is newer. Epoch -1 ends it in any case. Whoever waits gets
// NOT_COORDINATOR.
func (r *Runtime) Resign(partition, epoch int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.epochs[partition]; ok && epoch >= 0 && epoch < known {
		return
	}
	if epoch >= 0 {
		r.epochs[partition] = epoch
	}
	if s := r.shards[partition]; s != nil {
		delete(r.shards, partition)
		s.retire()
	}
}

// Close resigns from everything and waits until the shards have ended.
func (r *Runtime) Close() {
	r.mu.Lock()
	r.closed = true
	for p, s := range r.shards {
		delete(r.shards, p)
		s.retire()
	}
	r.mu.Unlock()
	r.running.Wait()
}

// Partitions are the led partitions in ascending order.
func (r *Runtime) Partitions() []int32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]int32, 0, len(r.shards))
	for p := range r.shards {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// Serves says whether an operation on the partition would be taken: nil, COORDINATOR_LOAD_IN_PROGRESS or NOT_COORDINATOR.
func (r *Runtime) Serves(partition int32) error {
	s := r.shard(partition)
	if s == nil {
		return kerr.NotCoordinator
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case active:
		return nil
	case loading:
		return kerr.CoordinatorLoadInProgress
	}
	return kerr.NotCoordinator
}

func (r *Runtime) shard(partition int32) *shard {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.shards[partition]
}

// Read runs an operation that never writes. It is run even while the partition has too few in-sync replicas.
func Read[M Machine, R any](r *Runtime, partition int32, f func(M, *Promise[R])) *Promise[R] {
	return do(r, partition, false, f)
}

// Do runs an operation on the machine of a partition. f runs within the shard; it resolves the promise, or leaves it with
// the machine, which resolves it later.
func Do[M Machine, R any](r *Runtime, partition int32, f func(M, *Promise[R])) *Promise[R] {
	return do(r, partition, true, f)
}

func do[M Machine, R any](r *Runtime, partition int32, writes bool, f func(M, *Promise[R])) *Promise[R] {
	s := r.shard(partition)
	if s == nil {
		return Refused[R](kerr.NotCoordinator)
	}
	c := &call[M, R]{writes: writes, f: f}
	c.done = make(chan struct{})
	if err := s.enter(c); err != nil {
		return Refused[R](err)
	}
	return &c.Promise
}
