package epochs

import (
	"slices"
	"sort"
	"sync/atomic"
)

// None is the epoch, and the end offset, of an answer that is not known.
const None = -1

// Entry says at which offset an epoch began.
type Entry struct {
	Epoch int32
	Start int64
}

// Cache is the list of epochs of one partition: epochs and starts both rise strictly. The zero value is empty.
type Cache struct {
	entries atomic.Pointer[[]Entry] // what is published never changes
}

// New is a cache with the entries of a checkpoint, in the order of the file; later ones push out what they contradict.
func New(entries []Entry) *Cache {
	c := &Cache{}
	for _, e := range entries {
		c.Assign(e.Epoch, e.Start)
	}
	return c
}

// Entries are the entries in order; not to be changed.
func (c *Cache) Entries() []Entry {
	if p := c.entries.Load(); p != nil {
		return *p
	}
	return nil
}

// Latest is the newest epoch; false when there is none.
func (c *Cache) Latest() (Entry, bool) {
	if es := c.Entries(); len(es) > 0 {
		return es[len(es)-1], true
	}
	return Entry{Epoch: None, Start: None}, false
}

// Earliest is the oldest epoch; false when there is none.
func (c *Cache) Earliest() (Entry, bool) {
	if es := c.Entries(); len(es) > 0 {
		return es[0], true
	}
	return Entry{Epoch: None, Start: None}, false
}

// EndOffset is the largest epoch that is not above the asked one, and where it ends: the start of the next, or the log end
// for the latest. (asked, first start) for an epoch before the first; (None, None) for one that is not known here.
func (c *Cache) EndOffset(epoch int32, logEnd int64) (int32, int64) {
	es := c.Entries()
	if epoch == None || len(es) == 0 {
		return None, None
	}
	if epoch == es[len(es)-1].Epoch {
		return epoch, logEnd
	}
	higher := sort.Search(len(es), func(i int) bool { return es[i].Epoch > epoch })
	switch higher {
	case len(es):
		return None, None
	case 0:
		return epoch, es[0].Start
	}
	return es[higher-1].Epoch, es[higher].Start
}

// EpochAt is the epoch that an offset was written in; false when it lies before the first.
func (c *Cache) EpochAt(offset int64) (int32, bool) {
	es := c.Entries()
	i := sort.Search(len(es), func(i int) bool { return es[i].Start > offset })
	if i == 0 {
		return None, false
	}
	return es[i-1].Epoch, true
}

// Assign notes that an epoch begins at an offset, pushing out what contradicts it. It reports a change; the same epoch at
// the same or a later offset is none, nor is an epoch or offset below 0.
func (c *Cache) Assign(epoch int32, start int64) bool {
	if epoch < 0 || start < 0 {
		return false
	}
	es := c.Entries()
	if n := len(es); n > 0 && es[n-1].Epoch == epoch && start >= es[n-1].Start {
		return false
	}
	keep := len(es)
	for keep > 0 && (es[keep-1].Epoch >= epoch || es[keep-1].Start >= start) {
		keep--
	}
	c.put(append(slices.Clone(es[:keep]), Entry{Epoch: epoch, Start: start}))
	return true
}

// TruncateFromEnd drops the epochs that begin at or behind the new log end. It reports a change.
func (c *Cache) TruncateFromEnd(end int64) bool {
	es := c.Entries()
	keep := sort.Search(len(es), func(i int) bool { return es[i].Start >= end })
	if end < 0 || keep == len(es) {
		return false
	}
	c.put(slices.Clone(es[:keep]))
	return true
}

// TruncateFromStart forgets what lies before the new log start; the epoch that spans it begins there from now on. It
// reports a change.
func (c *Cache) TruncateFromStart(start int64) bool {
	es := c.Entries()
	dropped := sort.Search(len(es), func(i int) bool { return es[i].Start > start })
	if dropped == 0 || dropped == 1 && es[0].Start == start {
		return false
	}
	next := slices.Clone(es[dropped-1:])
	next[0].Start = start
	c.put(next)
	return true
}

// Clear forgets everything. It reports a change.
func (c *Cache) Clear() bool {
	if len(c.Entries()) == 0 {
		return false
	}
	c.put(nil)
	return true
}

func (c *Cache) put(es []Entry) { c.entries.Store(&es) }
