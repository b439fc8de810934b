package producers

import "math"

// None is the value of an id, epoch, sequence, offset or timestamp that is not there.
const None = -1

// Kept is the number of batches by which duplicates are found; clients have at most as many in flight.
const Kept = 5

// Batch is what is remembered of an appended batch.
type Batch struct {
	LastSequence int32
	LastOffset   int64
	OffsetDelta  int32 // LastOffset minus the first
	Timestamp    int64 // the batch's largest, ms since 1970
}

// FirstOffset is the offset of the first record.
func (b Batch) FirstOffset() int64 { return b.LastOffset - int64(b.OffsetDelta) }

// FirstSequence is the sequence of the first record; sequences wrap from 2^31-1 to 0.
func (b Batch) FirstSequence() int32 {
	return int32((int64(b.LastSequence) - int64(b.OffsetDelta)) & math.MaxInt32)
}

// State is one producer.
type State struct {
	ID               int64
	Epoch            int16
	CoordinatorEpoch int32 // of the last marker, None before the first
	Timestamp        int64 // of the last batch or marker, ms since 1970
	TxnFirst         int64 // offset of the open transaction's first record, None when there is none

	batches [Kept]Batch // the oldest first
	count   int8
}

// Batches are the last batches of the current epoch, the oldest first. They are a view into the state.
func (s *State) Batches() []Batch { return s.batches[:s.count] }

// Last is the last batch; false when there is none since the epoch began.
func (s *State) Last() (Batch, bool) {
	if s.count == 0 {
		return Batch{LastSequence: None, LastOffset: None, Timestamp: None}, false
	}
	return s.batches[s.count-1], true
}

// newState is a producer before its first batch.
func newState(id int64) *State {
	return &State{ID: id, Epoch: None, CoordinatorEpoch: None, Timestamp: None, TxnFirst: None}
}

func (s *State) setEpoch(epoch int16) {
	if s.Epoch != epoch {
		s.Epoch, s.count = epoch, 0
	}
}

func (s *State) add(b Batch) {
	if s.count == Kept {
		copy(s.batches[:], s.batches[1:])
		s.count--
	}
	s.batches[s.count] = b
	s.count++
}

func (s *State) expired(now, lifetime int64) bool {
	return s.TxnFirst == None && now-s.Timestamp >= lifetime
}
