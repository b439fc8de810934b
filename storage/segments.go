package storage

import "sort"

// segments is the immutable list of a log's segments, ordered by base, never empty. A change is a new list.
type segments []*segment

func (l *Log) list() segments { return *l.segs.Load() }

func (l *Log) setList(v segments) { l.segs.Store(&v) }

func (v segments) active() *segment { return v[len(v)-1] }

// floor is the index of the segment that an offset belongs to, -1 when it lies before the first.
func (v segments) floor(offset int64) int {
	return sort.Search(len(v), func(i int) bool { return v[i].base > offset }) - 1
}

// end is the offset behind the i-th segment, of a log that ends at logEnd.
func (v segments) end(i int, logEnd int64) int64 {
	if i+1 < len(v) {
		return v[i+1].base
	}
	return logEnd
}

// with is the list with one more behind it.
func (v segments) with(s *segment) segments { return append(v[:len(v):len(v)], s) }

// bytes is the size of all segments, without what their files are padded with.
func (v segments) bytes() int64 {
	n := int64(0)
	for _, s := range v {
		n += s.size.Load()
	}
	return n
}
