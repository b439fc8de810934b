package api

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record"
	"barnabas/replication"
)

// convertedAhead bounds, in bytes, what an answer holds that is converted before it is sent. The first entry of each partition is:
// its size is that of the answer, and whether it can be converted decides the error code. What would be more is converted again.
const convertedAhead = 256 << 10

// converted are records for an old consumer, converted piece by piece while they are sent: what one fetch may ask for, 55 MB, would
// otherwise be in memory for as long as the client takes to read it. It is a protocol.Stream.
type converted struct {
	*record.Converted
	from  replication.Slice
	room  func() // Call.Room
	fails error  // what reading failed with
}

// convert replaces the records by what an old consumer can read.
func (f *fetch) convert(a fetchedPartition, fp *fetchPartition) fetchedPartition {
	magic := int8(0)
	if f.version >= 2 {
		magic = 1
	}
	c := &converted{from: a.records, room: f.room}
	a.records = noRecords
	c.await()
	var err error
	c.Converted, err = record.NewConverted(c, c.from.Len(), magic, fp.offset)
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
	if n := c.Holds(); f.converted+n > convertedAhead {
		c.Forget()
	} else {
		f.converted += n
	}
	a.converted = c
	return a
}

// await waits until there is room for what is converted next. Nothing is held meanwhile that others wait for.
func (c *converted) await() {
	if c.room != nil {
		c.room()
	}
}

// Next converts the next piece.
func (c *converted) Next() ([]byte, error) {
	c.await()
	return c.Converted.Next()
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
