package replication

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/replication/await"
	"barnabas/replication/cluster"
	"barnabas/storage"
)

// NoEpoch is the leader epoch of a request that does not check it.
const NoEpoch int32 = -1

// Partition is one replica on this broker with its log and its role.
type Partition struct {
	Topic string
	ID    int32

	manager  *Manager
	log      *storage.Log
	settings atomic.Pointer[Settings]
	role     atomic.Pointer[role]

	// hw is the high watermark, stable the last stable offset; stable <= hw <= log end. Both ring all when the role
	// changes, the log start moves or the log fails, so that waiters look again.
	hw, stable await.Level

	mu sync.RWMutex // held shared by appends, exclusively while the role is replaced
}

// Log is the partition's log. It outlives every role.
func (p *Partition) Log() *storage.Log { return p.log }

// Settings in effect now.
func (p *Partition) Settings() *Settings { return p.settings.Load() }

// HighWatermark and LastStable are the levels that consumers read up to (read_uncommitted, read_committed).
func (p *Partition) HighWatermark() *await.Level { return &p.hw }
func (p *Partition) LastStable() *await.Level    { return &p.stable }

// LeaderEpoch is the epoch of the current role, NoEpoch before the first.
func (p *Partition) LeaderEpoch() int32 { return p.role.Load().state.LeaderEpoch }

// Lags says that this leader does not know yet whether all that it took over from its predecessor is committed.
func (p *Partition) Lags() bool {
	r := p.role.Load()
	return r.kind == leader && r.begin > p.hw.Get()
}

// Leads says whether this broker leads the partition now.
func (p *Partition) Leads() bool { return p.role.Load().kind == leader }

// State is what the controller last told about the partition.
func (p *Partition) State() cluster.PartitionState { return p.role.Load().state }

// CheckLeader refuses a request that needs the leader of the given epoch (NoEpoch: of any): NOT_LEADER_OR_FOLLOWER,
// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH or KAFKA_STORAGE_ERROR.
func (p *Partition) CheckLeader(epoch int32) error {
	if failed := p.log.Failed(); failed != nil {
		return failed
	}
	r := p.role.Load()
	if epoch != NoEpoch {
		switch now := r.state.LeaderEpoch; {
		case epoch < now:
			return p.refuse(kerr.FencedLeaderEpoch)
		case epoch > now:
			return p.refuse(kerr.UnknownLeaderEpoch)
		}
	}
	if r.kind != leader {
		return p.refuse(kerr.NotLeaderForPartition)
	}
	return nil
}

func (p *Partition) refuse(why *kerr.Error) error { return fmt.Errorf("%s-%d: %w", p.Topic, p.ID, why) }

// become takes the role that the controller tells. It is idempotent by leader and partition epoch.
func (p *Partition) become(st cluster.PartitionState) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.role.Load()
	next := newRole(p.manager.self, st)
	next.begin = old.begin
	if old.kind == leader {
		next.since = old.since
	}
	if next.kind == leader && (old.kind != leader || st.LeaderEpoch > old.state.LeaderEpoch) {
		if err := p.log.AssignEpoch(st.LeaderEpoch); err != nil {
			return err
		}
		next.begin = p.log.End()
	}
	p.role.Store(next)
	if next.alone && !(old.kind == leader && old.alone) {
		// All that is in the log is committed: nobody else is needed for it. One that was alone before commits each append by
		// itself; some may still owe their flush.
		p.commit(p.log.End())
	}
	p.ringAll()
	return nil
}

// retire leaves the partition without a role.
func (p *Partition) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.role.Load().state
	st.Leader = cluster.NoLeader
	p.role.Store(&role{kind: offline, state: st})
	p.ringAll()
}

func (p *Partition) ringAll() {
	p.hw.RingAll()
	p.stable.RingAll()
}

// commit raises the high watermark to at and lets what depends on it follow.
func (p *Partition) commit(at int64) {
	if p.hw.Advance(at) {
		p.log.SetHighWatermark(at)
	}
	p.stable.Advance(p.log.LastStable())
}

// Appended tells where a batch went. Waiting for it is Committed's.
type Appended struct {
	storage.Appended
	// Records is how many records the batch holds.
	Records int32
	// Epoch is the leader epoch that it was appended under.
	Epoch int32
}

// Append writes what a client produced (for the oldest versions that may be nothing at all, which is at offset -1), held to the topic's rules for the given version of the Produce API. needISR
// refuses with NOT_ENOUGH_REPLICAS when too few replicas are in sync (acks=all). The caller answers when Committed says
// so; with acks 0 or 1 it calls Written.
func (p *Partition) Append(records []byte, version int16, needISR bool) (Appended, error) {
	settings := p.settings.Load()
	if err := p.writable(settings, needISR); err != nil {
		return Appended{}, err
	}
	rules := settings.Rules
	rules.Version = version
	rules.Now = p.manager.now()
	rules.Topic, rules.Partition = p.Topic, p.ID
	valid, err := record.Validate(records, rules)
	if err != nil {
		return Appended{}, err
	}
	if valid.Batch == nil {
		return Appended{Appended: storage.Appended{First: -1, Last: -1, LogAppendTime: record.None, LogStart: p.log.Start()}, Epoch: p.LeaderEpoch()}, nil
	}
	return p.append(valid, settings, rules.Now, needISR, true)
}

// AppendOwn writes a batch that this broker made (offsets, groups, markers), under acks=all rules.
func (p *Partition) AppendOwn(b record.Batch) (Appended, error) {
	valid := record.Valid{Batch: b, MaxTimestamp: b.MaxTimestamp(), OffsetDeltaOfMax: b.LastOffsetDelta(), Records: b.Count(), LogAppendTime: record.None}
	a, err := p.append(valid, p.settings.Load(), p.manager.now(), true, false)
	if err != nil {
		return a, err
	}
	return a, p.Written(a)
}

func (p *Partition) append(v record.Valid, s *Settings, now int64, needISR, client bool) (Appended, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.writable(s, needISR); err != nil {
		return Appended{}, err
	}
	r := p.role.Load()
	a, err := p.log.Append(v.Batch, storage.AppendInfo{
		LeaderEpoch:      r.state.LeaderEpoch,
		MaxTimestamp:     v.MaxTimestamp,
		OffsetDeltaOfMax: v.OffsetDeltaOfMax,
		Client:           client,
		Now:              now,
	})
	if err != nil {
		return Appended{}, err
	}
	if !a.Duplicate {
		a.LogAppendTime = v.LogAppendTime
	}
	if r.alone && !a.Unsynced {
		p.commit(a.Last + 1)
	}
	return Appended{Appended: a, Records: v.Records, Epoch: r.state.LeaderEpoch}, nil
}

// writable says why nothing may be appended now.
func (p *Partition) writable(s *Settings, needISR bool) error {
	if err := p.CheckLeader(NoEpoch); err != nil {
		return err
	}
	if r := p.role.Load(); needISR && len(r.state.ISR) < r.minISR(s.MinISR) {
		return p.refuse(kerr.NotEnoughReplicas)
	}
	return nil
}

// Writable is writable for callers that want to know before they make a batch.
func (p *Partition) Writable() error { return p.writable(p.settings.Load(), true) }

// Written makes sure that an append is on disk as far as the topic asks for that (flush.messages), which is all that
// acks=1 waits for.
func (p *Partition) Written(a Appended) error {
	if !a.Unsynced {
		return nil
	}
	if err := p.log.Sync(a.Last); err != nil {
		return err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.role.Load().alone {
		p.commit(a.Last + 1)
	}
	return nil
}

// Committed answers an acks=all append: nil when all in-sync replicas have it, false while it must be waited for (on
// HighWatermark), or why it never will be known: this broker has not led ever since, or NOT_ENOUGH_REPLICAS_AFTER_APPEND.
func (p *Partition) Committed(a Appended) (bool, error) {
	if err := p.CheckLeader(NoEpoch); err != nil {
		return false, err
	}
	r := p.role.Load()
	if a.Epoch < r.since {
		return false, p.refuse(kerr.NotLeaderForPartition)
	}
	if p.hw.Get() <= a.Last {
		return false, nil
	}
	if len(r.state.ISR) < r.minISR(p.settings.Load().MinISR) {
		return false, p.refuse(kerr.NotEnoughReplicasAfterAppend)
	}
	return true, nil
}

// DeleteRecords raises the log start to at; -1 means the high watermark. It returns the new low watermark.
func (p *Partition) DeleteRecords(at int64) (int64, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.CheckLeader(NoEpoch); err != nil {
		return -1, err
	}
	hw := p.hw.Get()
	if at == -1 {
		at = hw
	}
	if at < 0 || at > hw {
		return -1, p.refuse(kerr.OffsetOutOfRange)
	}
	if err := p.log.SetStart(at); err != nil {
		return -1, err
	}
	p.ringAll()
	return p.log.Start(), nil
}
