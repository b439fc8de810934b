package clean

import "math"

// Segment is what has to be known of a segment to choose it, sizes in bytes.
type Segment struct {
	Base                   int64
	Bytes                  int64
	IndexBytes, TimesBytes int64 // of its index files; Group only
}

// Shape is a log as the choice sees it.
type Shape struct {
	Segments           []Segment // in order; the last is the active one
	Start, End, Stable int64     // log start, end, last stable offset
	Cleaned            int64     // up to where passes have come, 0 for none; one outside the log counts as none
	// Newest and Oldest are the largest timestamp of the i-th segment, and that of its first batch (0 or less: it has none);
	// they are asked for only where a lag is set.
	Newest, Oldest func(i int) (int64, error)
}

// Lags are settings of the topic, in ms.
type Lags struct {
	Min int64 // min.compaction.lag.ms: younger segments are left alone; 0 for none
	Max int64 // max.compaction.lag.ms: older ones are cleaned whatever the ratio; 2^63-1 for never
}

// Extent is what could be cleaned of a log.
type Extent struct {
	FirstDirty       int64 // not cleaned yet from here on
	FirstUncleanable int64 // up to here; where a segment begins
	CleanBytes       int64 // before FirstDirty
	DirtyBytes       int64 // between the two
	OverdueMs        int64 // since max.compaction.lag.ms is over for the oldest dirty segment; 0 when it is not
}

// Ratio is how dirty the log is: 0 is clean.
func (e Extent) Ratio() float64 {
	if e.DirtyBytes == 0 {
		return 0
	}
	return float64(e.DirtyBytes) / float64(e.CleanBytes+e.DirtyBytes)
}

// Due says whether the log is to be cleaned, with min.cleanable.dirty.ratio.
func (e Extent) Due(minRatio float64) bool {
	return e.DirtyBytes > 0 && (e.OverdueMs > 0 || e.Ratio() > minRatio)
}

// FirstDirty is where the dirty part begins.
func (s *Shape) FirstDirty() int64 {
	if s.Cleaned < s.Start || s.Cleaned > s.End {
		return s.Start
	}
	return s.Cleaned
}

// floor is the index of the segment that holds an offset, 0 for one before the first.
func (s *Shape) floor(offset int64) int {
	i := len(s.Segments) - 1
	for i > 0 && s.Segments[i].Base > offset {
		i--
	}
	return i
}

// Extent measures the log at a time in ms.
func (s *Shape) Extent(now int64, lags Lags) (Extent, error) {
	e := Extent{FirstDirty: s.FirstDirty()}
	active := len(s.Segments) - 1
	first := s.floor(e.FirstDirty) // of the dirty segments
	limit := min(s.Stable, s.Segments[active].Base)
	if lags.Min > 0 {
		for i := first; i < active; i++ {
			ts, err := s.Newest(i)
			if err != nil {
				return Extent{}, err
			}
			if ts > now-lags.Min {
				limit = min(limit, s.Segments[i].Base)
				break
			}
		}
	}
	last := s.floor(max(limit, e.FirstDirty)) // the first that stays untouched
	e.FirstUncleanable = s.Segments[last].Base
	for i, seg := range s.Segments[:last+1] {
		if seg.Base < e.FirstDirty {
			e.CleanBytes += seg.Bytes
		}
		if i >= first && i < last {
			e.DirtyBytes += seg.Bytes
		}
	}
	if lags.Max == math.MaxInt64 {
		return e, nil
	}
	for i := first; i < active; i++ {
		ts, err := s.Oldest(i)
		if err != nil {
			return Extent{}, err
		}
		if ts > 0 {
			e.OverdueMs = max(e.OverdueMs, now-max(lags.Max, 0)-ts)
		}
	}
	return e, nil
}

// Group says how many of the segments, from the first on, become one: as many as stay within segment.bytes and
// segment.index.bytes together and whose offsets an index can hold. next is the offset behind the last segment.
func Group(segs []Segment, maxBytes, maxIndexBytes, next int64) int {
	n := 1
	sum := segs[0]
	for ; n < len(segs); n++ {
		s := segs[n]
		last := next - 1
		if n+1 < len(segs) {
			last = segs[n+1].Base - 1
		}
		sum.Bytes += s.Bytes
		sum.IndexBytes += s.IndexBytes
		sum.TimesBytes += s.TimesBytes
		if sum.Bytes > maxBytes || sum.IndexBytes > maxIndexBytes || sum.TimesBytes > maxIndexBytes ||
			s.Bytes > 0 && last-sum.Base > math.MaxInt32 {
			break
		}
	}
	return n
}
