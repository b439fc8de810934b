package clean

import (
	"container/heap"
	"fmt"

	"barnabas/protocol/record"
	"barnabas/storage/index"
)

// Txns follows the transactions of a log, batch by batch.
type Txns struct {
	// Index gets the aborted transactions of whose batches some have been met, with their markers; nil: nobody does.
	Index *index.Txn

	coming    txnHeap            // aborted ones that begin further on
	aborted   map[int64]*aborted // by producer, open at this place
	committed map[int64]struct{} // producers with batches of a transaction that is not aborted
}

type aborted struct {
	txn index.AbortedTxn
	met bool // a batch of it
}

// NewTxns knows of no transaction.
func NewTxns() *Txns {
	return &Txns{aborted: map[int64]*aborted{}, committed: map[int64]struct{}{}}
}

// Expect tells of the aborted transactions that touch what comes next. One may be told again.
func (t *Txns) Expect(txns []index.AbortedTxn) {
	for _, a := range txns {
		heap.Push(&t.coming, a)
	}
}

func (t *Txns) reach(offset int64) {
	for len(t.coming) > 0 && t.coming[0].First <= offset {
		a := heap.Pop(&t.coming).(index.AbortedTxn)
		if t.aborted[a.ProducerID] == nil {
			t.aborted[a.ProducerID] = &aborted{txn: a}
		}
	}
}

// Data is told of a batch of records, and says whether its transaction was aborted.
func (t *Txns) Data(b record.Batch) bool {
	t.reach(b.LastOffset())
	if !b.IsTransactional() {
		return false
	}
	if a := t.aborted[b.ProducerID()]; a != nil {
		a.met = true
		return true
	}
	t.committed[b.ProducerID()] = struct{}{}
	return false
}

// Control is told of a control batch, and says whether it is of no use any more: nothing of its transaction was met. An
// error wraps kerr.CorruptMessage.
func (t *Txns) Control(f *record.Filter, b record.Batch) (useless bool, err error) {
	t.reach(b.LastOffset())
	kind, found := record.ControlType(0), false
	if err := f.Each(b, func(_ int64, r record.Record) (err error) {
		if !found {
			kind, err = record.ParseControlKey(r.Key)
			found = true
		}
		return err
	}); err != nil {
		return false, err
	}
	if !found {
		return true, nil // emptied before
	}
	switch kind {
	case record.Abort:
		a := t.aborted[b.ProducerID()]
		delete(t.aborted, b.ProducerID())
		if a == nil || !a.met {
			return true, nil
		}
		if t.Index != nil {
			if err := t.Index.Append(a.txn); err != nil {
				return false, fmt.Errorf("marker at offset %d: %w", b.BaseOffset(), err)
			}
		}
		return false, nil
	case record.Commit:
		_, met := t.committed[b.ProducerID()]
		delete(t.committed, b.ProducerID())
		return !met, nil
	}
	return false, nil
}

// txnHeap has the transaction that begins first on top.
type txnHeap []index.AbortedTxn

func (h txnHeap) Len() int           { return len(h) }
func (h txnHeap) Less(i, j int) bool { return h[i].First < h[j].First }
func (h txnHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *txnHeap) Push(x any)        { *h = append(*h, x.(index.AbortedTxn)) }
func (h *txnHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
