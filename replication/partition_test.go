package replication_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/replication"
	"barnabas/replication/await"
	"barnabas/replication/cluster"
	"barnabas/storage"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

const self = 1

var tp = cluster.TopicPartition{Topic: "t", Partition: 0}

// fixture is a manager over logs in memory.
type fixture struct {
	*replication.Manager
	fs       *vfs.Mem
	logs     *storage.Manager
	settings replication.Settings
}

func open(t *testing.T, fs *vfs.Mem) *fixture {
	t.Helper()
	f := &fixture{fs: fs}
	f.settings = replication.Settings{
		Log:    storage.DefaultConfig(),
		Rules:  record.Rules{KeepCodec: true, BeforeMax: math.MaxInt64, AfterMax: math.MaxInt64, MaxBytes: 1 << 20},
		MinISR: 1,
	}
	now := clock.NewManual(time.UnixMilli(1_700_000_000_000))
	logs, err := storage.OpenDirs(storage.Options{FS: fs, Clock: now, Dirs: []string{"/data"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := logs.Load(t.Context(), func(string) storage.Config { return f.settings.Log }); err != nil {
		t.Fatal(err)
	}
	f.logs = logs
	f.Manager = replication.NewManager(replication.Options{Self: self, Logs: logs, Clock: now, Settings: func(string) *replication.Settings { return &f.settings }})
	return f
}

// state is a partition's as the controller tells it.
func state(leader, epoch int32, isr ...int32) cluster.PartitionState {
	return cluster.PartitionState{Partition: cluster.Partition{Leader: leader, LeaderEpoch: epoch, ISR: isr, Replicas: []int32{1, 2}}, IsNew: true}
}

func (f *fixture) become(t *testing.T, st cluster.PartitionState) *replication.Partition {
	t.Helper()
	if err := f.Become(tp, cluster.TopicID{9}, st); err != nil {
		t.Fatal(err)
	}
	return f.Get(tp.Topic, tp.Partition)
}

func batch(values ...string) []byte {
	b := record.NewBuilder(record.BatchSpec{ProducerID: record.None, ProducerEpoch: record.None, BaseSequence: record.None})
	for _, v := range values {
		b.Append(1_700_000_000_000, nil, []byte(v))
	}
	built, err := b.Build()
	if err != nil {
		panic(err)
	}
	return built
}

func wantError(t *testing.T, got error, want *kerr.Error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got %v, want %s", got, want.Message)
	}
}

func TestAloneInTheISRAnAppendIsCommitted(t *testing.T) {
	p := open(t, vfs.NewMem()).become(t, state(self, 0, self))
	a, err := p.Append(batch("a", "b"), 9, true)
	if err != nil || a.First != 0 || a.Last != 1 || a.Records != 2 {
		t.Fatalf("%+v %v", a, err)
	}
	if done, err := p.Committed(a); !done || err != nil {
		t.Fatal(done, err)
	}
	if p.HighWatermark().Get() != 2 || p.LastStable().Get() != 2 {
		t.Fatal(p.HighWatermark().Get(), p.LastStable().Get())
	}
}

func TestOtherISRMembersHoldTheWatermark(t *testing.T) {
	f := open(t, vfs.NewMem())
	p := f.become(t, state(self, 0, 1, 2))
	a, err := p.Append(batch("a"), 9, true)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := p.Committed(a); done || err != nil {
		t.Fatal("committed without the other replica:", done, err)
	}
	bell := await.NewBell()
	p.HighWatermark().Hang(bell, a.Last+1)
	f.become(t, state(self, 0, self)) // the controller has taken 2 out of the ISR
	if !bell.Wait(context.Background(), nil) {
		t.Fatal("nobody rang")
	}
	if done, err := p.Committed(a); !done || err != nil {
		t.Fatal(done, err)
	}
	if _, err := p.Read(0, replication.Uncommitted, 1000, true); err != nil {
		t.Fatal(err)
	}
}

func TestTooFewInSyncReplicas(t *testing.T) {
	f := open(t, vfs.NewMem())
	f.settings.MinISR = 2
	p := f.become(t, state(self, 0, self))
	_, err := p.Append(batch("a"), 9, true)
	wantError(t, err, kerr.NotEnoughReplicas)
	if _, err := p.Append(batch("a"), 9, false); err != nil {
		t.Fatal("acks=1 does not ask:", err)
	}
	wantError(t, p.Writable(), kerr.NotEnoughReplicas)

	both := f.become(t, state(self, 1, 1, 2))
	a, err := both.Append(batch("b"), 9, true)
	if err != nil {
		t.Fatal(err)
	}
	f.become(t, state(self, 1, self))
	_, err = p.Committed(a)
	wantError(t, err, kerr.NotEnoughReplicasAfterAppend)
}

func TestLeaderEpochs(t *testing.T) {
	f := open(t, vfs.NewMem())
	p := f.become(t, state(self, 3, self))
	for epoch, want := range map[int32]*kerr.Error{2: kerr.FencedLeaderEpoch, 4: kerr.UnknownLeaderEpoch} {
		wantError(t, p.CheckLeader(epoch), want)
	}
	if err := p.CheckLeader(3); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.Become(tp, cluster.TopicID{9}, state(self, 2, self)), kerr.StaleControllerEpoch)
	a, err := p.Append(batch("a"), 9, true)
	if err != nil {
		t.Fatal(err)
	}
	f.become(t, state(2, 4, 2))
	wantError(t, p.CheckLeader(replication.NoEpoch), kerr.NotLeaderForPartition)
	_, err = p.Committed(a)
	wantError(t, err, kerr.NotLeaderForPartition)
	f.become(t, state(self, 5, self))
	_, err = p.Committed(a)
	wantError(t, err, kerr.NotLeaderForPartition) // the answer of another reign
	if a, err = p.Append(batch("b"), 9, true); err != nil {
		t.Fatal(err)
	}
	f.become(t, state(self, 6, self))
	if done, err := p.Committed(a); !done || err != nil {
		t.Fatal("a leader that goes on leading:", done, err)
	}
	if epoch, _ := p.Log().LatestEpoch(); epoch != 6 {
		t.Fatalf("latest epoch %d", epoch)
	}
	if epoch, end := p.Log().EpochEnd(3); epoch != 3 || end != 1 {
		t.Fatalf("epoch %d ends at %d", epoch, end)
	}
}

func TestAnotherTopicOfTheSameName(t *testing.T) {
	f := open(t, vfs.NewMem())
	f.become(t, state(self, 0, self))
	wantError(t, f.Become(tp, cluster.TopicID{8}, state(self, 1, self)), kerr.InconsistentTopicID)
}

// A broker was not told of a topic's deletion: it was cut off, or somebody edited the store. Then another one of that name
// is made.
func TestALogThatAnotherTopicHasLeftIsSetAside(t *testing.T) {
	f := open(t, vfs.NewMem())
	p := f.become(t, state(self, 0, self))
	if _, err := p.Append(batch("a"), 9, true); err != nil {
		t.Fatal(err)
	}
	if err := f.logs.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	f = open(t, f.fs)
	known := state(self, 0, self)
	known.IsNew = false
	wantError(t, f.Become(tp, cluster.TopicID{8}, known), kerr.InconsistentTopicID)
	if err := f.Become(tp, cluster.TopicID{8}, state(self, 0, self)); err != nil {
		t.Fatal(err)
	}
	if l := f.Get(tp.Topic, tp.Partition).Log(); l.End() != 0 || l.TopicID() != [16]byte{8} {
		t.Fatalf("%v ends at %d", l, l.End())
	}
}

// Partitions are found while others are added and go; for the race detector.
func TestPartitionsAreFoundWhileOthersCome(t *testing.T) {
	f := open(t, vfs.NewMem())
	var finding sync.WaitGroup
	come := make(chan int32, 300)
	for range 2 {
		finding.Go(func() {
			for id := range come {
				if p := f.Get("t", id); p == nil || p.ID != id {
					t.Errorf("partition %d: %v", id, p)
				}
			}
		})
	}
	for id := range int32(200) {
		at := cluster.TopicPartition{Topic: "t", Partition: id}
		if err := f.Become(at, cluster.TopicID{9}, state(self, 0, self)); err != nil {
			t.Fatal(err)
		}
		come <- id
	}
	close(come)
	finding.Wait()
	for id := range int32(200) {
		if err := f.Stop(cluster.TopicPartition{Topic: "t", Partition: id}, true); err != nil {
			t.Fatal(err)
		}
	}
	if f.Get("t", 0) != nil {
		t.Fatal("still there")
	}
}

func TestStoppedPartitionsWakeTheirWaiters(t *testing.T) {
	f := open(t, vfs.NewMem())
	p := f.become(t, state(self, 0, self))
	bell := await.NewBell()
	p.HighWatermark().Hang(bell, 100)
	if err := f.Stop(tp, true); err != nil {
		t.Fatal(err)
	}
	if !bell.Wait(context.Background(), nil) {
		t.Fatal("nobody rang")
	}
	wantError(t, p.CheckLeader(replication.NoEpoch), kerr.NotLeaderForPartition)
	if f.Get(tp.Topic, tp.Partition) != nil {
		t.Fatal("still there")
	}
	if err := f.Stop(tp, true); err != nil {
		t.Fatal("what is not there is stopped:", err)
	}
	again := f.become(t, state(self, 0, self))
	if again.Log().End() != 0 {
		t.Fatal("the new log has the old one's records")
	}
}

func TestDeleteRecords(t *testing.T) {
	p := open(t, vfs.NewMem()).become(t, state(self, 0, self))
	if _, err := p.Append(batch("a", "b", "c"), 9, true); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{-2, 4} {
		_, err := p.DeleteRecords(at)
		wantError(t, err, kerr.OffsetOutOfRange)
	}
	for _, step := range []struct{ at, want int64 }{{2, 2}, {1, 2}, {-1, 3}} {
		if low, err := p.DeleteRecords(step.at); err != nil || low != step.want {
			t.Fatalf("to %d: %d %v", step.at, low, err)
		}
	}
	wantError(t, p.Position(2), kerr.OffsetOutOfRange)
}

// With flush.messages=1 a record is seen by nobody before it is on disk, and what is acknowledged survives a power loss.
func TestFlushedBeforeSeen(t *testing.T) {
	fs := vfs.NewMem()
	f := open(t, fs)
	f.settings.Log.FlushMessages = 1
	p := f.become(t, state(self, 0, self))
	a, err := p.Append(batch("a"), 9, true)
	if err != nil || !a.Unsynced {
		t.Fatalf("%+v %v", a, err)
	}
	if p.HighWatermark().Get() != 0 {
		t.Fatal("seen before it is durable")
	}
	if err := p.Written(a); err != nil {
		t.Fatal(err)
	}
	if done, err := p.Committed(a); !done || err != nil {
		t.Fatal(done, err)
	}
	again := open(t, fs.CrashClone(vfs.Crash{})).become(t, state(self, 1, self))
	if again.HighWatermark().Get() != 1 {
		t.Fatalf("%d records after the crash", again.HighWatermark().Get())
	}
}

// Settings that change at any moment while a partition is made are in effect when it is there.
func TestSettingsChangeWhileAPartitionIsMade(t *testing.T) {
	for moment := range 3 {
		f := open(t, vfs.NewMem())
		asked, now := 0, f.settings
		var changing sync.WaitGroup
		f.Manager = replication.NewManager(replication.Options{Self: self, Logs: f.logs, Clock: clock.NewManual(time.UnixMilli(0)), Settings: func(string) *replication.Settings {
			s := now
			if asked++; asked == moment+1 {
				now.MinISR, now.Log.SegmentBytes = 2, 12345
				changing.Go(func() { f.SetSettings("t", &now) })
			}
			return &s
		}})
		p := f.become(t, state(self, 0, self))
		changing.Wait()
		if asked > moment && (p.Settings().MinISR != 2 || p.Log().Config().SegmentBytes != 12345) {
			t.Errorf("a change at moment %d is lost: %+v", moment, p.Settings())
		}
	}
}

// The controller repeats itself; that must not show what still owes its flush.
func TestARoleThatIsToldAgainCommitsNothing(t *testing.T) {
	f := open(t, vfs.NewMem())
	f.settings.Log.FlushMessages = 1
	p := f.become(t, state(self, 0, self))
	a, err := p.Append(batch("a"), 9, true)
	if err != nil || !a.Unsynced {
		t.Fatalf("%+v %v", a, err)
	}
	f.become(t, state(self, 0, self))
	if p.HighWatermark().Get() != 0 {
		t.Fatal("seen before it is durable")
	}
}

func TestSettingsChangeWhileRunning(t *testing.T) {
	f := open(t, vfs.NewMem())
	p := f.become(t, state(self, 0, self))
	if _, err := p.Append(batch("a"), 9, true); err != nil {
		t.Fatal(err)
	}
	s := f.settings
	s.Rules.Compacted = true
	f.SetSettings("t", &s)
	_, err := p.Append(batch("keyless"), 9, true)
	wantError(t, err, kerr.InvalidRecord)
}

func TestOldClientsMaySendNothing(t *testing.T) {
	p := open(t, vfs.NewMem()).become(t, state(self, 0, self))
	if a, err := p.Append(nil, 1, true); err != nil || a.First != -1 {
		t.Fatalf("%+v %v", a, err)
	}
}
