package record

import (
	"encoding/binary"
	"fmt"
)

// ControlType is what a control record says, from its key: version i16, type i16.
type ControlType int16

const (
	Abort ControlType = iota
	Commit
	LeaderChange
	SnapshotHeader
	SnapshotFooter
	KRaftVersion
	KRaftVoters
)

const (
	controlKeySize = 4
	markerSize     = 6
)

// ParseControlKey reads the key of a record of a control batch. Keys of a later version are read by the part that is
// known; types that are not known are for the caller to ignore.
func ParseControlKey(key []byte) (ControlType, error) {
	if len(key) < controlKeySize {
		return 0, corrupt("key of a control record of %d bytes", len(key))
	}
	if v := int16(binary.BigEndian.Uint16(key)); v < 0 {
		return 0, corrupt("key of a control record of version %d", v)
	}
	return ControlType(binary.BigEndian.Uint16(key[2:])), nil
}

// EndTxnMarker ends a transaction in a partition; whose, is in the header of its batch.
type EndTxnMarker struct {
	Commit           bool
	CoordinatorEpoch int32
}

// Type is Commit or Abort.
func (m EndTxnMarker) Type() ControlType {
	if m.Commit {
		return Commit
	}
	return Abort
}

// Key and Value are the marker as a record.
func (m EndTxnMarker) Key() []byte {
	return binary.BigEndian.AppendUint16(make([]byte, 2, controlKeySize), uint16(m.Type()))
}

func (m EndTxnMarker) Value() []byte {
	return binary.BigEndian.AppendUint32(make([]byte, 2, markerSize), uint32(m.CoordinatorEpoch))
}

// Batch is the marker as a leader appends it for a producer, at a time in milliseconds.
func (m EndTxnMarker) Batch(producerID int64, producerEpoch int16, now int64) Batch {
	b := NewBuilder(BatchSpec{LeaderEpoch: None, ProducerID: producerID, ProducerEpoch: producerEpoch, BaseSequence: None,
		Transactional: true, Control: true})
	b.Append(now, m.Key(), m.Value())
	batch, err := b.Build()
	if err != nil {
		panic(err) // there is a record, and no codec
	}
	return batch
}

// ParseEndTxnMarker reads a control record whose type is Commit or Abort; any other is an error, as is damage. Values of
// a later version are read by the part that is known.
func ParseEndTxnMarker(key, value []byte) (EndTxnMarker, error) {
	t, err := ParseControlKey(key)
	switch {
	case err != nil:
		return EndTxnMarker{}, err
	case t != Abort && t != Commit:
		return EndTxnMarker{}, fmt.Errorf("record: control type %d ends no transaction", t)
	case len(value) < markerSize:
		return EndTxnMarker{}, corrupt("end of a transaction of %d bytes", len(value))
	}
	if v := int16(binary.BigEndian.Uint16(value)); v < 0 {
		return EndTxnMarker{}, corrupt("end of a transaction of version %d", v)
	}
	return EndTxnMarker{Commit: t == Commit, CoordinatorEpoch: int32(binary.BigEndian.Uint32(value[2:]))}, nil
}
