package producers

import (
	"maps"
	"slices"

	"barnabas/protocol/record"
)

// Table is the producers of one partition. The zero value is an empty table. Not safe for concurrent use.
type Table struct {
	states map[int64]*State // nil until there is a producer: most partitions never have one

	// open and decided are ordered by first offset. decided are the transactions whose marker is written but not yet below
	// the high watermark.
	open    []txn
	decided []txn

	verifying map[int64]verification // see verify.go
}

type txn struct {
	producer    int64
	first, last int64 // last is the marker's offset, of decided ones only
}

// Completed is a transaction that an update has ended.
type Completed struct {
	ProducerID int64
	First      int64 // offset of its first record
	Last       int64 // offset of the marker
	Aborted    bool
	// LastStable is the last stable offset once the marker is replicated, as the transaction index wants it: the first
	// offset of the oldest transaction still open, or the offset behind the marker.
	LastStable int64
}

// Len is the number of producers.
func (t *Table) Len() int { return len(t.states) }

// Get is a producer's state; nil when it is not known. It is the table's own and not to be kept.
func (t *Table) Get(id int64) *State { return t.states[id] }

// States are copies of all producers in the order of their ids.
func (t *Table) States() []State {
	all := make([]State, 0, len(t.states))
	for _, id := range slices.Sorted(maps.Keys(t.states)) {
		all = append(all, *t.states[id])
	}
	return all
}

// InTransaction says whether the producer has an open transaction here.
func (t *Table) InTransaction(id int64) bool {
	s := t.states[id]
	return s != nil && s.TxnFirst != None
}

// Update applies an appended batch, whose offset is final: a data batch is remembered and may open a transaction, a marker
// may end one (then ended is true). Batches without a producer id change nothing. The error is a malformed marker, which
// Check would have refused; nothing has changed then.
func (t *Table) Update(b record.Batch) (c Completed, ended bool, err error) {
	id := b.ProducerID()
	if id < 0 {
		return Completed{}, false, nil
	}
	if b.IsControl() {
		m, found, err := ParseMarker(b)
		if err != nil || !found {
			return Completed{}, false, err
		}
		c, ended = t.end(t.state(id), b, m)
		return c, ended, nil
	}
	s := t.state(id)
	s.setEpoch(b.ProducerEpoch())
	s.add(Batch{
		LastSequence: b.LastSequence(),
		LastOffset:   b.LastOffset(),
		OffsetDelta:  b.LastOffsetDelta(),
		Timestamp:    b.MaxTimestamp(),
	})
	s.Timestamp = b.MaxTimestamp()
	if b.IsTransactional() {
		delete(t.verifying, id)
		if s.TxnFirst == None {
			s.TxnFirst = b.BaseOffset()
			t.open = insert(t.open, txn{producer: id, first: s.TxnFirst})
		}
	}
	return Completed{}, false, nil
}

func (t *Table) state(id int64) *State {
	s := t.states[id]
	if s == nil {
		if t.states == nil {
			t.states = map[int64]*State{}
		}
		s = newState(id)
		t.states[id] = s
	}
	return s
}

// end applies a marker. One without a transaction here only moves the epochs: the coordinator writes to every partition
// that it was told of, also where no record arrived.
func (t *Table) end(s *State, b record.Batch, m Marker) (c Completed, ended bool) {
	delete(t.verifying, s.ID)
	if first := s.TxnFirst; first != None {
		c = Completed{ProducerID: s.ID, First: first, Last: b.BaseOffset(), Aborted: !m.Commit}
		c.LastStable = c.Last + 1
		t.open = slices.DeleteFunc(t.open, func(o txn) bool { return o.producer == s.ID })
		if len(t.open) > 0 {
			c.LastStable = t.open[0].first
		}
		t.decided = insert(t.decided, txn{producer: s.ID, first: first, last: c.Last})
		ended = true
	}
	s.setEpoch(b.ProducerEpoch())
	s.CoordinatorEpoch = m.CoordinatorEpoch
	s.Timestamp = m.Timestamp
	s.TxnFirst = None
	return c, ended
}

// insert keeps the order by first offset; nearly always x goes to the end.
func insert(txns []txn, x txn) []txn {
	i := len(txns)
	for i > 0 && txns[i-1].first > x.first {
		i--
	}
	return slices.Insert(txns, i, x)
}

// FirstUnstable is the lowest offset of a transaction that is open, or decided by a marker that Replicated has not passed;
// false when there is none.
func (t *Table) FirstUnstable() (int64, bool) {
	first, ok := t.FirstOpen()
	if len(t.decided) > 0 && (!ok || t.decided[0].first < first) {
		return t.decided[0].first, true
	}
	return first, ok
}

// FirstOpen is the lowest first offset of an open transaction; false when there is none. Compaction stops there.
func (t *Table) FirstOpen() (int64, bool) {
	if len(t.open) == 0 {
		return 0, false
	}
	return t.open[0].first, true
}

// Replicated says that the high watermark, or the log start, has reached an offset: transactions with a marker below are
// stable. It reports whether FirstUnstable may have changed.
func (t *Table) Replicated(offset int64) bool {
	n := len(t.decided)
	if n == 0 {
		return false
	}
	t.decided = slices.DeleteFunc(t.decided, func(d txn) bool { return d.last < offset })
	return len(t.decided) < n
}

// Expire drops the producers without an open transaction whose last write is at least lifetime ms ago
// (producer.id.expiration.ms). It returns how many.
func (t *Table) Expire(now, lifetime int64) int {
	n := len(t.states)
	maps.DeleteFunc(t.states, func(_ int64, s *State) bool { return s.expired(now, lifetime) })
	maps.DeleteFunc(t.verifying, func(_ int64, v verification) bool { return now-v.since >= lifetime })
	return n - len(t.states)
}

// Clear forgets everything, as a log that begins anew does.
func (t *Table) Clear() { *t = Table{} }

// Load replaces the table by the states of a snapshot, without those that have expired by now.
func (t *Table) Load(states []State, now, lifetime int64) {
	t.Clear()
	for _, s := range states {
		if s.expired(now, lifetime) {
			continue
		}
		*t.state(s.ID) = s
		if s.TxnFirst != None {
			t.open = insert(t.open, txn{producer: s.ID, first: s.TxnFirst})
		}
	}
}
