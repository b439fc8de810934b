package api

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/replication"
)

// convertedAhead bounds, in bytes, what an answer holds that is converted before it is sent. The first entry of each partition is:
// its size is that of the answer, and whether it can be converted decides the error code. What would be more is converted again.
const convertedAhead = 256 << 10

// conversions are the record.Turns of one answer. Where what answers hold is bounded it lets go of all that it has converted ahead when
// it has to wait for its turn: hundreds do so together, and what each held came to 50 MB that nothing counts.
type conversions struct {
	turn
	ahead []*record.Converted
	bytes int // that they hold
}

func (c *conversions) Begin(waits func()) error {
	return c.turn.Begin(func() {
		waits()
		if c.room == nil {
			return
		}
		for _, one := range c.ahead {
			one.Forget()
		}
		c.ahead, c.bytes = c.ahead[:0], 0
	})
}

// keeps adds one that has been begun.
func (c *conversions) keeps(one *record.Converted) {
	if n := one.Holds(); n > 0 {
		c.ahead, c.bytes = append(c.ahead, one), c.bytes+n
	}
}

// converted are records for an old consumer, converted piece by piece while they are sent: what one fetch may ask for, 55 MB, would
// otherwise be in memory for as long as the client takes to read it. It is a protocol.Stream.
type converted struct {
	*record.Converted
	from  replication.Slice
	fails error // what reading failed with
}

// convert replaces the records by what an old consumer can read.
func (f *fetch) convert(a fetchedPartition, fp *fetchPartition) fetchedPartition {
	magic := int8(0)
	if f.version >= 2 {
		magic = 1
	}
	c := &converted{from: a.records}
	a.records = noRecords
	var err error
	c.Converted, err = record.NewConverted(c, c.from.Len(), magic, fp.offset, convertedAhead-f.converts.bytes, &f.converts)
	switch {
	case c.fails != nil:
		c.from.Release()
		return a.failed(kerr.KafkaStorageError)
	case err != nil:
		c.from.Release()
		return refused(fp, asKafka(err))
	}
	if c.Len() == 0 { // no whole entry
		c.Release()
		return a
	}
	f.converts.keeps(c.Converted)
	a.converted = c
	return a
}

// ReadAt reads what is to be converted.
func (c *converted) ReadAt(b []byte, at int64) (int, error) {
	n, err := c.from.ReadAt(b, at)
	if n < len(b) {
		c.fails = err
	}
	return n, err
}

// ReadInto converts all at once, of which there is little.
func (c *converted) ReadInto(dst []byte) (n int, err error) {
	for n < min(len(dst), c.Len()) {
		piece, err := c.Next()
		if err != nil {
			return n, err
		}
		n += copy(dst[n:], piece)
	}
	return n, nil
}

// Fd says that there is no file with these bytes.
func (c *converted) Fd() (fd uintptr, offset int64, ok bool) { return 0, 0, false }

// Release lets go of the log and of memory.
func (c *converted) Release() {
	c.Converted.Release()
	c.from.Release()
}
