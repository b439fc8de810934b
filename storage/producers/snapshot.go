package producers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Layout of a .snapshot file: version, CRC-32C of all that follows it, count, entries.
const (
	snapshotVersion = 1
	snapshotHeader  = 2 + 4 + 4
	snapshotCovered = 2 + 4 // where the CRC's range begins
	snapshotEntry   = 46
)

// ErrSnapshot is a snapshot that cannot be used; an older one may do.
var ErrSnapshot = errors.New("producer snapshot is corrupt")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Snapshot is the content of the .snapshot file for the table, producers in the order of their ids.
func (t *Table) Snapshot() []byte { return EncodeSnapshot(t.States()) }

// EncodeSnapshot is the content of a .snapshot file.
func EncodeSnapshot(states []State) []byte {
	b := make([]byte, 0, snapshotHeader+len(states)*snapshotEntry)
	b = binary.BigEndian.AppendUint16(b, snapshotVersion)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(states)))
	for i := range states {
		s := &states[i]
		last, _ := s.Last()
		b = binary.BigEndian.AppendUint64(b, uint64(s.ID))
		b = binary.BigEndian.AppendUint16(b, uint16(s.Epoch))
		b = binary.BigEndian.AppendUint32(b, uint32(last.LastSequence))
		b = binary.BigEndian.AppendUint64(b, uint64(last.LastOffset))
		b = binary.BigEndian.AppendUint32(b, uint32(last.OffsetDelta))
		b = binary.BigEndian.AppendUint64(b, uint64(s.Timestamp))
		b = binary.BigEndian.AppendUint32(b, uint32(s.CoordinatorEpoch))
		b = binary.BigEndian.AppendUint64(b, uint64(s.TxnFirst))
	}
	binary.BigEndian.PutUint32(b[2:], crc32.Checksum(b[snapshotCovered:], castagnoli))
	return b
}

// DecodeSnapshot reads a .snapshot file. Errors wrap ErrSnapshot.
func DecodeSnapshot(b []byte) ([]State, error) {
	if len(b) < snapshotHeader {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrSnapshot)
	}
	if v := int16(binary.BigEndian.Uint16(b)); v != snapshotVersion {
		return nil, fmt.Errorf("version %d: %w", v, ErrSnapshot)
	}
	if want, got := binary.BigEndian.Uint32(b[2:]), crc32.Checksum(b[snapshotCovered:], castagnoli); want != got {
		return nil, fmt.Errorf("CRC %08x, should be %08x: %w", got, want, ErrSnapshot)
	}
	count := int64(int32(binary.BigEndian.Uint32(b[6:])))
	if count < 0 || count*snapshotEntry > int64(len(b)-snapshotHeader) {
		return nil, fmt.Errorf("%d entries in %d bytes: %w", count, len(b), ErrSnapshot)
	}
	states := make([]State, 0, count)
	for e := b[snapshotHeader:]; int64(len(states)) < count; e = e[snapshotEntry:] {
		states = append(states, decodeState(e))
	}
	return states, nil
}

func decodeState(e []byte) State {
	s := State{
		ID:               int64(binary.BigEndian.Uint64(e)),
		Epoch:            int16(binary.BigEndian.Uint16(e[8:])),
		Timestamp:        int64(binary.BigEndian.Uint64(e[26:])),
		CoordinatorEpoch: int32(binary.BigEndian.Uint32(e[34:])),
		TxnFirst:         int64(binary.BigEndian.Uint64(e[38:])),
	}
	if s.TxnFirst < 0 {
		s.TxnFirst = None
	}
	if last := int64(binary.BigEndian.Uint64(e[14:])); last >= 0 {
		s.add(Batch{
			LastSequence: int32(binary.BigEndian.Uint32(e[10:])),
			LastOffset:   last,
			OffsetDelta:  int32(binary.BigEndian.Uint32(e[22:])),
			Timestamp:    s.Timestamp,
		})
	}
	return s
}
