package storage_test

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"barnabas/protocol/record"
	"barnabas/protocol/record/codec"
	"barnabas/storage"
	"barnabas/storage/checkpoint"
	"barnabas/storage/clock"
)

// keyedTopic is the topic of a history whose records have keys, and that is compacted, deleted from, or both by turns.
const keyedTopic = "k"

// configOf is the settings of a topic: what Compact and Delete say is about the keyed one.
func configOf(c storage.Config, topic string) storage.Config {
	if topic != keyedTopic {
		c.Compact, c.Delete = false, true
	}
	return c
}

// thinning is what a pass of the cleaner may do to a replica, while it is under way or a crash has cut it short; and what
// passes have done.
type thinning struct {
	passTo  int64 // only below may anything go; 0 when no pass is under way
	horizon int64 // that the pass gives to tombstones
	now     int64 // of the pass

	cleaned int64 // the most that the cleaner's checkpoint may say
	loose   int64 // below, a start that falls back may bring back what passes have left of it
	top     int64 // where the log ended when it was looked at; its last batches may have gone, and it ends there all the same
}

// keyedBatch is a batch of a few keys, some without a value and now and then without a key.
func (h *history) keyedBatch(spec batchSpec) record.Batch {
	b := record.NewBuilder(record.BatchSpec{
		BaseOffset: spec.base, LeaderEpoch: spec.epoch, ProducerID: spec.producer, ProducerEpoch: spec.pepoch, BaseSequence: spec.seq,
		Codec: []codec.Type{codec.None, codec.None, codec.Gzip, codec.LZ4}[h.rng.IntN(4)],
	})
	for range spec.count {
		h.unique++
		key := []byte{byte('a' + h.rng.IntN(7))}
		value := make([]byte, 8+h.rng.IntN(max(spec.size/int(spec.count), 1)))
		binary.BigEndian.PutUint64(value, h.unique)
		switch h.rng.IntN(20) {
		case 0:
			key = nil
		case 1, 2, 3, 4:
			value = nil
		}
		b.Append(spec.ts, key, value)
	}
	batch, err := b.Build()
	must(h.t, err)
	return batch
}

// clean has the cleaner go over a log of the keyed topic, in the midst of which other things happen to it and to others.
func (h *history) clean() {
	p := checkpoint.Partition{Topic: keyedTopic}
	if !h.keyed {
		p.ID = h.rng.Int32N(2)
	}
	var r *replica
	h.note(func() { r = h.replicas[p] })
	l := h.m.Log(p.Topic, p.ID)
	if r == nil || l == nil || !l.Config().Compact || l.Failed() != nil {
		return
	}
	if h.rng.IntN(2) == 0 {
		h.note(func() { r.hw = l.End() })
		l.SetHighWatermark(l.End())
	}
	now := clock.Millis(h.clock)
	h.tell("clean %s: %d to %d, high watermark %d, clean to %d", p, l.Start(), l.End(), l.HighWatermark(), l.CleanedTo())
	h.note(func() {
		r.passTo, r.now, r.horizon = l.LastStable(), now, now+l.Config().DeleteRetentionMs
	})
	err := h.m.CleanLog(p.Topic, p.ID, storage.CleanOptions{
		DedupeBytes: []int64{24 * 4, 24 * 8, 1 << 20}[h.rng.IntN(3)], LoadFactor: 0.9, BufferBytes: 1,
		Throttle: func(int64, ...<-chan struct{}) { h.meanwhile() },
	})
	if err != nil {
		h.refused(p, err)
		return
	}
	if h.take(p, r, l) {
		h.note(func() { r.cleaned = l.CleanedTo() })
		h.tell("  cleaned to %d", l.CleanedTo())
	}
}

// meanwhile lets something happen while a pass is under way.
func (h *history) meanwhile() {
	if h.rng.IntN(6) > 0 || h.broken() {
		return
	}
	h.tell("  meanwhile:")
	h.oneOf(h.whileCleaning)
	h.look()
}

// take checks what compaction has left of a log, and takes it for what was written. It is false when the log cannot be read.
func (h *history) take(p checkpoint.Partition, r *replica, l *storage.Log) bool {
	got, err := readAll(l, l.Start())
	if err != nil {
		h.refused(p, err)
		return false
	}
	if err := r.thinned(got, r.batches, l.Start(), l.End()); err != nil {
		h.fail("%s: %w", p, err)
		return false
	}
	h.note(func() { r.rebase(got, l.Start(), l.End()) })
	return true
}

// rebase takes what is in the log for what was written. What lies below the start stays as it was known.
func (r *replica) rebase(got []record.Batch, start, end int64) {
	first := start
	if len(got) > 0 {
		first = min(first, got[0].BaseOffset())
	}
	n := 0
	for n < len(r.batches) && r.batches[n].LastOffset() < first {
		n++
	}
	r.batches = append(r.batches[:n:n], got...)
	r.acked, r.passTo, r.loose, r.top = len(r.batches), 0, max(r.loose, start), end
}

// promise notes that all below an offset is durable. Where there is a gap before it a log may end there.
func (r *replica) promise(to int64) {
	end := int64(0)
	if r.loose == 0 || r.acked == 0 {
		end = min(to, r.began)
	}
	for _, b := range r.batches[:r.acked] {
		if b.LastOffset() < to && b.BaseOffset() >= r.loose {
			end = b.LastOffset() + 1
		}
	}
	r.promised = max(r.promised, end)
}

// thinned says what was written in [from, end) and is not there although compaction had no right to take it, and what is
// there and was not written.
func (r *replica) thinned(got, written []record.Batch, from, end int64) error {
	newest := map[string]int64{}
	for _, w := range written {
		records, err := recordsOf(w)
		if err != nil {
			return err
		}
		for _, rec := range records {
			if rec.Offset < min(r.passTo, end) {
				newest[rec.Key] = rec.Offset
			}
		}
	}
	for _, w := range written {
		if w.LastOffset() < from || w.LastOffset() >= end {
			continue // a log that was emptied may begin, and end, in the middle of what was there
		}
		var g record.Batch
		if len(got) > 0 && got[0].BaseOffset() == w.BaseOffset() {
			g, got = got[0], got[1:]
		}
		if bytes.Equal(g, w) {
			continue
		}
		if w.BaseOffset() >= max(r.passTo, r.loose) {
			return fmt.Errorf("the batch at offset %d is not what was written there (%d bytes of %d)", w.BaseOffset(), len(g), len(w))
		}
		if err := r.became(w, g, newest); err != nil {
			return fmt.Errorf("the batch at offset %d: %w", w.BaseOffset(), err)
		}
	}
	if len(got) > 0 {
		return fmt.Errorf("the batch at offset %d was not written there, or is there twice", got[0].BaseOffset())
	}
	return nil
}

// became says why a batch cannot have become another, nil for none, by compaction.
func (r *replica) became(w, g record.Batch, newest map[string]int64) error {
	was, err := recordsOf(w)
	if err != nil {
		return err
	}
	due := false
	if at, decided := w.DeleteHorizon(); decided {
		due = at <= r.now
	}
	var is []keyed
	if g != nil {
		if is, err = recordsOf(g); err != nil {
			return err
		}
		if g.LastOffset() != w.LastOffset() || g.LeaderEpoch() != w.LeaderEpoch() || g.ProducerID() != w.ProducerID() || g.ProducerEpoch() != w.ProducerEpoch() ||
			g.BaseSequence() != w.BaseSequence() || len(is) == 0 && g.ProducerID() < 0 {
			return fmt.Errorf("its header has become %x from %x", g[:record.BatchOverhead], w[:record.BatchOverhead])
		}
		old, had := w.DeleteHorizon()
		at, has := g.DeleteHorizon()
		if g.BaseOffset() >= r.loose && len(is) > 0 && (had && (!has || at != old) || !had && has && at != r.horizon) {
			return fmt.Errorf("its delete horizon is %d (%v) from %d (%v), the pass gives %d", at, has, old, had, r.horizon)
		}
	}
	for _, rec := range was {
		if len(is) > 0 && is[0] == rec {
			is = is[1:]
			continue
		}
		superseded := newest[rec.Key] > rec.Offset
		if rec.Offset >= r.loose && !superseded && rec.Key != "<nil>" && (rec.Value != "<nil>" || !due) {
			return fmt.Errorf("the record at offset %d is lost, the newest of its key %q (due: %v)", rec.Offset, rec.Key, due)
		}
	}
	if len(is) > 0 {
		return fmt.Errorf("there is a record at offset %d that was not written", is[0].Offset)
	}
	return nil
}

// recordsOf are the records of a batch.
func recordsOf(b record.Batch) (records []keyed, err error) {
	err = b.Each(1<<24, func(r record.Record) error {
		records = append(records, keyed{
			Offset: b.BaseOffset() + int64(r.OffsetDelta), Time: b.Timestamp(r), Key: nullable(r.Key), Value: nullable(r.Value),
		})
		return nil
	})
	return records, err
}
