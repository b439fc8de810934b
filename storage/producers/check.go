package producers

import (
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
)

// Check says whether a leader may append a batch. client tells a producer's batch, whose sequences are checked, from a
// coordinator's. dup is true for a retry of a batch that is there already: the answer is then its stored offsets, and
// nothing is to be appended.
//
// Errors wrap InvalidProducerEpoch, OutOfOrderSequenceNumber, InvalidTxnState, TransactionCoordinatorFenced, or
// CorruptMessage for a malformed marker. Batches without a producer id pass.
func (t *Table) Check(b record.Batch, client bool) (stored Batch, dup bool, err error) {
	if b.ProducerID() < 0 {
		return Batch{}, false, nil
	}
	s := t.states[b.ProducerID()]
	if client && s != nil {
		if stored, dup = s.duplicate(b); dup {
			return stored, true, nil
		}
	}
	if s != nil && b.ProducerEpoch() < s.Epoch {
		return Batch{}, false, fmt.Errorf("producer %d: epoch %d, the last seen is %d: %w",
			s.ID, b.ProducerEpoch(), s.Epoch, kerr.InvalidProducerEpoch)
	}
	if b.IsControl() {
		return Batch{}, false, checkMarker(s, b)
	}
	if client {
		if err := t.checkSequence(s, b); err != nil {
			return Batch{}, false, err
		}
	}
	if s != nil && s.TxnFirst != None && !b.IsTransactional() {
		return Batch{}, false, fmt.Errorf("producer %d: a batch outside the transaction that is open since offset %d: %w",
			s.ID, s.TxnFirst, kerr.InvalidTxnState)
	}
	return Batch{}, false, nil
}

// duplicate finds the stored batch of the same epoch and sequences.
func (s *State) duplicate(b record.Batch) (Batch, bool) {
	if b.ProducerEpoch() != s.Epoch {
		return Batch{}, false
	}
	for _, stored := range s.Batches() {
		if stored.FirstSequence() == b.BaseSequence() && stored.LastSequence == b.LastSequence() {
			return stored, true
		}
	}
	return Batch{}, false
}

func checkMarker(s *State, b record.Batch) error {
	m, found, err := ParseMarker(b)
	if err != nil || !found || s == nil {
		return err
	}
	if m.CoordinatorEpoch < s.CoordinatorEpoch {
		return fmt.Errorf("producer %d: marker of coordinator epoch %d, the last seen is %d: %w",
			s.ID, m.CoordinatorEpoch, s.CoordinatorEpoch, kerr.TransactionCoordinatorFenced)
	}
	return nil
}

// checkSequence refuses a gap. Nothing is known of a producer that is not in the table, so its first batch passes.
func (t *Table) checkSequence(s *State, b record.Batch) error {
	seq := b.BaseSequence()
	if v, ok := t.verifying[b.ProducerID()]; ok && seq > v.lowest {
		return fmt.Errorf("producer %d: sequence %d, but %d is still being verified: %w",
			b.ProducerID(), seq, v.lowest, kerr.OutOfOrderSequenceNumber)
	}
	switch {
	case s == nil || s.Epoch == None:
		return nil
	case b.ProducerEpoch() != s.Epoch:
		if seq != 0 {
			return fmt.Errorf("producer %d: sequence %d begins epoch %d (the last seen is %d): %w",
				s.ID, seq, b.ProducerEpoch(), s.Epoch, kerr.OutOfOrderSequenceNumber)
		}
		return nil
	}
	last, _ := s.Last()
	if int64(seq) == int64(last.LastSequence)+1 || seq == 0 && last.LastSequence == math.MaxInt32 {
		return nil
	}
	return fmt.Errorf("producer %d: sequence %d after %d: %w", s.ID, seq, last.LastSequence, kerr.OutOfOrderSequenceNumber)
}
