package producers

// Guard names one verification of a transaction with its coordinator. The zero Guard is none.
type Guard uint64

// verification is an unfinished or unused verification. lowest holds back a later batch of the producer that would
// overtake the one that started it.
type verification struct {
	guard  Guard
	epoch  int16
	lowest int32 // lowest sequence seen
	since  int64 // ms since 1970
}

// Verify starts (or joins) the verification of a producer whose transaction is not open here: the coordinator is to be
// asked whether the partition is part of it. next must give a Guard never given before. The zero Guard says that none is
// needed, as the transaction is open.
func (t *Table) Verify(id int64, epoch int16, sequence int32, now int64, next func() Guard) Guard {
	if t.InTransaction(id) {
		return 0
	}
	v, ok := t.verifying[id]
	switch {
	case !ok:
		v = verification{guard: next(), epoch: epoch, lowest: sequence, since: now}
	case epoch > v.epoch:
		v.epoch, v.lowest = epoch, sequence
	case epoch == v.epoch && sequence < v.lowest:
		v.lowest = sequence
	}
	if t.verifying == nil {
		t.verifying = map[int64]verification{}
	}
	t.verifying[id] = v
	return v.guard
}

// Verified says whether a transactional batch of the producer may be appended: its transaction is open, or the guard of
// its verification still stands. A marker in between makes a guard void.
func (t *Table) Verified(id int64, g Guard) bool {
	if t.InTransaction(id) {
		return true
	}
	v, ok := t.verifying[id]
	return ok && g != 0 && v.guard == g
}
