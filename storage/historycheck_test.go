package storage_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"barnabas/protocol/record"
	"barnabas/storage"
	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
	"barnabas/storage/vfs"
)

// crashed is the disk after a crash, with what it must hold.
type crashed struct {
	where    string
	how      vfs.Crash
	mem      *vfs.Mem
	config   storage.Config
	now      time.Time
	replicas map[checkpoint.Partition]replica
	goesOn   bool // it is written to again, and the power goes once more
}

func (c *crashed) who() string {
	switch {
	case c.how.Process:
		return "the process"
	case c.how.Rand == nil:
		return "the machine"
	}
	return "the machine, tearing,"
}

func (h *history) crashLocked(where string, how vfs.Crash) *crashed {
	h.points++
	c := &crashed{
		where: where, how: how, mem: h.mem.CrashClone(how), config: h.config, now: h.clock.Now(),
		replicas: map[checkpoint.Partition]replica{}, goesOn: h.thought.IntN(4) == 0,
	}
	for p, r := range h.replicas {
		c.replicas[p] = *r
	}
	return c
}

// open loads the log dirs.
func (c *crashed) open() (*storage.Manager, error) {
	m, err := storage.OpenDirs(storage.Options{FS: c.mem, Clock: clock.NewManual(c.now), Dirs: historyDirs})
	if err != nil {
		return nil, err
	}
	if err := m.Load(context.Background(), func(topic string) storage.Config { return configOf(c.config, topic) }); err != nil {
		m.Kill()
		return nil, err
	}
	for _, d := range m.Dirs() {
		if d.Err != nil {
			m.Kill()
			return nil, d.Err
		}
	}
	return m, nil
}

// recovers opens what is left, and says which rule it breaks.
func (c *crashed) recovers() error {
	m, err := c.open()
	if err != nil {
		return err
	}
	defer m.Kill()
	if err := c.holds(m); err != nil {
		return err
	}
	if !c.goesOn {
		return nil
	}
	for l := range m.Logs() {
		p := checkpoint.Partition{Topic: l.Topic(), ID: l.Partition()}
		r := c.replicas[p]
		if r.batches, err = readAll(l, 0); err != nil {
			return err
		}
		next := makeBatch(batchSpec{count: 2, size: 100, ts: c.now.UnixMilli(), producer: -1, pepoch: -1, seq: -1})
		if p.Topic == keyedTopic {
			next = keyedBatch(record.BatchSpec{}, c.now.UnixMilli(), "a=again", "b")
		}
		a, err := l.Append(next, storage.AppendInfo{LeaderEpoch: r.epoch, MaxTimestamp: next.MaxTimestamp(), Client: true, Now: c.now.UnixMilli()})
		if err == nil {
			err = l.Sync(a.Last)
		}
		if err != nil {
			return fmt.Errorf("%s does not go on: %w", p, err)
		}
		r.batches = append(r.batches, next)
		r.acked, r.made, r.promised, r.cutTo, r.leaving = len(r.batches), true, l.End(), -1, false
		r.startNoted, r.startDurable = min(r.startNoted, l.Start()), min(r.startDurable, l.Start())
		r.hwNoted = min(r.hwNoted, l.HighWatermark())
		r.passTo, r.cleaned, r.loose, r.top = 0, l.CleanedTo(), max(r.loose, l.Start()), l.End()
		c.replicas[p] = r
	}
	m.Kill()
	again := *c
	again.how, again.goesOn, again.mem = vfs.Crash{}, false, c.mem.CrashClone(vfs.Crash{})
	if err := again.recovers(); err != nil {
		return fmt.Errorf("and again, after it went on: %w", err)
	}
	return nil
}

// holds compares what was loaded with what was promised.
func (c *crashed) holds(m *storage.Manager) error {
	for l := range m.Logs() {
		if _, ok := c.replicas[checkpoint.Partition{Topic: l.Topic(), ID: l.Partition()}]; !ok {
			return fmt.Errorf("%s is back, which was deleted", l)
		}
	}
	for p, r := range c.replicas {
		l := m.Log(p.Topic, p.ID)
		switch {
		case l != nil:
			if err := c.right(l, &r); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		case r.leaving:
		case c.how.Process && r.made:
			return fmt.Errorf("%s is gone, which had %d records", p, r.end())
		case r.promised > 0:
			return fmt.Errorf("%s is gone, which was durable up to %d", p, r.promised)
		}
	}
	return nil
}

// right checks one log.
func (c *crashed) right(l *storage.Log, r *replica) error {
	least, startLeast := r.promised, r.startDurable
	if c.how.Process {
		least, startLeast = r.end(), r.startNoted
	}
	if r.cutTo >= 0 {
		least = min(least, r.cutTo)
	}
	if l.End() < least {
		return fmt.Errorf("it ends at %d, promised are %d", l.End(), least)
	}
	if id := l.TopicID(); id != r.topicID && (c.how.Process && r.made && !r.unnamed || id != [16]byte{}) {
		return fmt.Errorf("it has topic id %v instead of %v", id, r.topicID)
	}
	if l.Start() > max(r.start, 0) || l.Start() < min(startLeast, l.End()) {
		return fmt.Errorf("it starts at %d, allowed are %d to %d", l.Start(), startLeast, r.start)
	}
	if l.HighWatermark() > max(r.hw, l.Start()) || l.HighWatermark() < min(r.hwNoted, l.End()) {
		return fmt.Errorf("its high watermark is %d, allowed are %d to %d", l.HighWatermark(), r.hwNoted, r.hw)
	}
	if l.RecoveryPoint() > l.End() {
		return fmt.Errorf("its recovery point is %d, its end %d", l.RecoveryPoint(), l.End())
	}
	got, err := readAll(l, l.Start())
	if err != nil {
		return err
	}
	if l.Topic() == keyedTopic {
		if err := c.rightAfterCleaning(l, r, got); err != nil {
			return err
		}
	} else if err := prefix(got, r.batches, l.Start()); err != nil && (r.uncut == nil || prefix(got, r.uncut, l.Start()) != nil) {
		return err
	}
	for _, b := range got {
		at := max(b.BaseOffset(), l.Start())
		if e := l.EpochAt(at); e != b.LeaderEpoch() && (e != -1 || at >= r.forgotten) {
			return fmt.Errorf("offset %d has epoch %d, the cache says %d", at, b.LeaderEpoch(), e)
		}
	}
	last := l.Start()
	if len(got) > 0 {
		last = got[len(got)-1].LastOffset() + 1
	}
	if last != l.End() && (l.Topic() != keyedTopic || last > l.End()) {
		return fmt.Errorf("it ends at %d, its batches at %d", l.End(), last)
	}
	return remembers(l, from(got, r.forgotten))
}

// from is the batches that begin at an offset or behind.
func from(batches []record.Batch, offset int64) []record.Batch {
	for len(batches) > 0 && batches[0].BaseOffset() < offset {
		batches = batches[1:]
	}
	return batches
}

// rightAfterCleaning is right for a log that the cleaner may have been over, or may have been about to.
func (c *crashed) rightAfterCleaning(l *storage.Log, r *replica, got []record.Batch) error {
	if most := max(r.cleaned, r.passTo); l.CleanedTo() > most {
		return fmt.Errorf("it is clean to %d, cleaned was to %d", l.CleanedTo(), most)
	}
	top := max(r.top, r.began, r.start)
	for _, written := range [][]record.Batch{r.batches, r.uncut} {
		if n := len(written); n > 0 {
			top = max(top, written[n-1].LastOffset()+1)
		}
	}
	if l.End() > top {
		return fmt.Errorf("it ends at %d, nothing was written above %d", l.End(), top)
	}
	err := r.thinned(got, r.batches, l.Start(), l.End())
	if err != nil && r.uncut != nil && r.thinned(got, r.uncut, l.Start(), l.End()) == nil {
		return nil
	}
	return err
}

// prefix says what is not the beginning of what was written, from an offset on.
func prefix(got, written []record.Batch, from int64) error {
	for len(written) > 0 && written[0].LastOffset() < from {
		written = written[1:]
	}
	for i, b := range got {
		if i >= len(written) || !bytes.Equal(b, written[i]) {
			return fmt.Errorf("the batch at offset %d (%d bytes) is not what was written there", b.BaseOffset(), len(b))
		}
	}
	return nil
}

// remembers sends the last batch of each producer again, which must be found there. Of a log that was compacted and then lost
// its end, a snapshot may know later ones that compaction had taken by then.
func remembers(l *storage.Log, batches []record.Batch) error {
	newest := map[int64]record.Batch{}
	for _, b := range batches {
		if b.ProducerID() >= 0 {
			newest[b.ProducerID()] = b
		}
	}
	if l.Topic() == keyedTopic {
		for _, state := range l.Producers() {
			if last, ok := state.Last(); ok && newest[state.ID] != nil && last.LastOffset > newest[state.ID].LastOffset() {
				delete(newest, state.ID)
			}
		}
	}
	for id, b := range newest {
		a, err := l.Append(bytes.Clone(b), storage.AppendInfo{LeaderEpoch: b.LeaderEpoch(), MaxTimestamp: b.MaxTimestamp(), Client: true, Now: b.MaxTimestamp()})
		if err != nil || !a.Duplicate || a.First != b.BaseOffset() || a.Last != b.LastOffset() {
			return fmt.Errorf("producer %d's batch at %d, sent again: %+v %w", id, b.BaseOffset(), a, err)
		}
	}
	return nil
}

// readAll is the batches from an offset on; from 0 stands for the log's start.
func readAll(l *storage.Log, from int64) (batches []record.Batch, err error) {
	from = max(from, l.Start())
	for from < l.End() {
		s, err := l.Read(from, 1<<20, l.End(), true)
		if err != nil {
			return nil, err
		}
		buf := make([]byte, s.Len())
		_, err = s.ReadInto(buf)
		s.Release()
		if err != nil || len(buf) == 0 {
			return batches, err // compaction may have taken all up to the end
		}
		before := from
		for len(buf) > 0 {
			n := record.LogOverhead + int(binary.BigEndian.Uint32(buf[8:]))
			if n > len(buf) {
				break
			}
			b := record.Batch(buf[:n:n])
			batches, from, buf = append(batches, b), b.LastOffset()+1, buf[n:]
		}
		if from <= before {
			return nil, fmt.Errorf("a read at offset %d of %d to %d gives %d bytes, and nothing of it", before, l.Start(), l.End(), s.Len())
		}
	}
	return batches, nil
}
