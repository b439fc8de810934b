package index

import (
	"encoding/binary"
	"fmt"
)

// txnVersion is the only version of an entry.
const txnVersion = 0

// AbortedTxn is one aborted transaction on a partition.
type AbortedTxn struct {
	ProducerID int64
	First      int64 // offset of the transaction's first record
	Last       int64 // offset of the ABORT marker
	LastStable int64 // last stable offset once this marker was there
}

// TxnView looks up in the bytes of a .txnindex file. A part entry at the end is not seen.
type TxnView struct {
	Base  int64
	Bytes []byte
}

// Len is the number of entries.
func (v TxnView) Len() int { return len(v.Bytes) / TxnEntrySize }

// Entry is the i-th, 0 <= i < Len.
func (v TxnView) Entry(i int) AbortedTxn {
	b := v.Bytes[i*TxnEntrySize:]
	return AbortedTxn{
		ProducerID: int64(binary.BigEndian.Uint64(b[2:])),
		First:      int64(binary.BigEndian.Uint64(b[10:])),
		Last:       int64(binary.BigEndian.Uint64(b[18:])),
		LastStable: int64(binary.BigEndian.Uint64(b[26:])),
	}
}

// Version is the format of the i-th entry.
func (v TxnView) Version(i int) int16 {
	return int16(binary.BigEndian.Uint16(v.Bytes[i*TxnEntrySize:]))
}

// Collect appends to dst the aborted transactions that touch [from, upper). done says that no later segment can have
// more: a marker was met behind which everything below upper is decided.
func (v TxnView) Collect(dst []AbortedTxn, from, upper int64) (_ []AbortedTxn, done bool) {
	for i := range v.Len() {
		a := v.Entry(i)
		if a.Last >= from && a.First < upper {
			dst = append(dst, a)
		}
		if a.LastStable >= upper {
			return dst, true
		}
	}
	return dst, false
}

// Check is the sanity check at load. It reads every entry: the file has one for each abort only.
func (v TxnView) Check() error {
	if err := checkLength("transaction index", len(v.Bytes), TxnEntrySize); err != nil {
		return err
	}
	for i := range v.Len() {
		if version := v.Version(i); version != txnVersion {
			return fmt.Errorf("transaction index entry of version %d: %w", version, ErrCorrupt)
		}
		if last := v.Entry(i).Last; last < v.Base {
			return fmt.Errorf("transaction index has a marker at %d, below its base %d: %w", last, v.Base, ErrCorrupt)
		}
	}
	return nil
}

// Txn is the transaction index of the active segment. One writer; View at any time. Unlike the others it has no limit,
// and its file exists only once there is an entry.
type Txn struct {
	base    int64
	entries entries
}

// NewTxn is an index for a segment at base.
func NewTxn(base int64) *Txn { return &Txn{base: base} }

// LoadTxn goes on with what a .txnindex file holds. The bytes become the index's own. ErrCorrupt as Check.
func LoadTxn(base int64, b []byte) (*Txn, error) {
	x := NewTxn(base)
	if err := (TxnView{Base: base, Bytes: b}).Check(); err != nil {
		return nil, err
	}
	b = b[:len(b):len(b)]
	x.entries.p.Store(&b)
	return x, nil
}

// View is what the index holds now; it does not change.
func (x *Txn) View() TxnView { return TxnView{Base: x.base, Bytes: x.entries.bytes()} }

// Bytes is the content of the .txnindex file; not to be changed.
func (x *Txn) Bytes() []byte { return x.entries.bytes() }

// Append adds an entry. Markers come in the order of the log (ErrOrder).
func (x *Txn) Append(a AbortedTxn) error {
	v := x.View()
	if n := v.Len(); n > 0 && a.Last <= v.Entry(n-1).Last {
		return fmt.Errorf("transaction index ends at %d, got %d: %w", v.Entry(n-1).Last, a.Last, ErrOrder)
	}
	var e [TxnEntrySize]byte
	binary.BigEndian.PutUint16(e[:], txnVersion)
	binary.BigEndian.PutUint64(e[2:], uint64(a.ProducerID))
	binary.BigEndian.PutUint64(e[10:], uint64(a.First))
	binary.BigEndian.PutUint64(e[18:], uint64(a.Last))
	binary.BigEndian.PutUint64(e[26:], uint64(a.LastStable))
	x.entries.append(e[:])
	return nil
}

// Truncate drops the entries whose marker is at or above to.
func (x *Txn) Truncate(to int64) {
	v := x.View()
	x.entries.cut((floor(v.Len(), func(i int) bool { return v.Entry(i).Last >= to }) + 1) * TxnEntrySize)
}

// Reset drops all entries.
func (x *Txn) Reset() { x.entries.cut(0) }
