package clean

import (
	"errors"
	"math"
	"testing"
)

// Ten segments of 100 bytes at 0, 10, ... 90, the last active; segment i has timestamps from 1000*i on.
func shape(edit func(*Shape)) *Shape {
	s := &Shape{End: 95, Stable: 95}
	for i := range int64(10) {
		s.Segments = append(s.Segments, Segment{Base: i * 10, Bytes: 100})
	}
	s.Newest = func(i int) (int64, error) { return int64(i)*1000 + 900, nil }
	s.Oldest = func(i int) (int64, error) { return int64(i) * 1000, nil }
	if edit != nil {
		edit(s)
	}
	return s
}

func TestExtent(t *testing.T) {
	never := Lags{Max: math.MaxInt64}
	for name, c := range map[string]struct {
		edit func(*Shape)
		lags Lags
		want Extent
	}{
		"all but the active":            {nil, never, Extent{0, 90, 0, 900, 0}},
		"up to the last stable offset":  {func(s *Shape) { s.Stable = 45 }, never, Extent{0, 40, 0, 400, 0}},
		"nothing is stable":             {func(s *Shape) { s.Stable = 5 }, never, Extent{0, 0, 0, 0, 0}},
		"behind what is clean":          {func(s *Shape) { s.Cleaned = 30 }, never, Extent{30, 90, 300, 600, 0}},
		"clean into the middle":         {func(s *Shape) { s.Cleaned = 35 }, never, Extent{35, 90, 400, 600, 0}},
		"clean up to the active":        {func(s *Shape) { s.Cleaned = 90 }, never, Extent{90, 90, 900, 0, 0}},
		"clean into the active":         {func(s *Shape) { s.Cleaned = 93 }, never, Extent{93, 90, 1000, 0, 0}},
		"clean beyond the stable":       {func(s *Shape) { s.Cleaned, s.Stable = 50, 20 }, never, Extent{50, 50, 500, 0, 0}},
		"clean beyond the end":          {func(s *Shape) { s.Cleaned = 96 }, never, Extent{0, 90, 0, 900, 0}},
		"clean before the start":        {func(s *Shape) { s.Cleaned, s.Start = 5, 20 }, never, Extent{20, 90, 200, 700, 0}},
		"the start within a segment":    {func(s *Shape) { s.Start = 25 }, never, Extent{25, 90, 300, 700, 0}},
		"young ones are left":           {nil, Lags{Min: 5000, Max: math.MaxInt64}, Extent{0, 50, 0, 500, 0}},
		"all are young":                 {nil, Lags{Min: 10_000, Max: math.MaxInt64}, Extent{0, 0, 0, 0, 0}},
		"one as old as the lag is left": {nil, Lags{Min: 10_000 - 5900, Max: math.MaxInt64}, Extent{0, 60, 0, 600, 0}},
		"overdue":                       {nil, Lags{Max: 8000}, Extent{0, 90, 0, 900, 1000}},
		"overdue by the oldest dirty":   {func(s *Shape) { s.Cleaned = 15 }, Lags{Max: 8000}, Extent{15, 90, 200, 800, 1000}},
		"not overdue":                   {func(s *Shape) { s.Cleaned = 20 }, Lags{Max: 8000}, Extent{20, 90, 200, 700, 0}},
		"overdue, and not stable":       {func(s *Shape) { s.Stable = 5 }, Lags{Max: 8000}, Extent{0, 0, 0, 0, 1000}},
	} {
		got, err := shape(c.edit).Extent(10_000, c.lags)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	bad := errors.New("bad")
	s := shape(func(s *Shape) { s.Newest = func(int) (int64, error) { return 0, bad }; s.Oldest = s.Newest })
	for _, l := range []Lags{{Min: 1, Max: math.MaxInt64}, {Max: 1}} {
		if _, err := s.Extent(1, l); err != bad {
			t.Error(err)
		}
	}
	if _, err := s.Extent(1, never); err != nil {
		t.Error("looks into segments without need")
	}
}

func TestDue(t *testing.T) {
	for _, c := range []struct {
		e    Extent
		min  float64
		want bool
	}{
		{Extent{CleanBytes: 100, DirtyBytes: 100}, 0.5, false}, // must be above
		{Extent{CleanBytes: 100, DirtyBytes: 101}, 0.5, true},
		{Extent{CleanBytes: 100, DirtyBytes: 1}, 0, true},
		{Extent{DirtyBytes: 1}, 1, false},
		{Extent{CleanBytes: 100, DirtyBytes: 1, OverdueMs: 1}, 0.5, true},
		{Extent{CleanBytes: 100, OverdueMs: 1}, 0, false},
		{Extent{}, 0, false},
	} {
		if got := c.e.Due(c.min); got != c.want {
			t.Errorf("%+v with %v: %v", c.e, c.min, got)
		}
	}
}

func TestGroup(t *testing.T) {
	seg := func(base, bytes, index, times int64) Segment { return Segment{base, bytes, index, times} }
	for name, c := range map[string]struct {
		segs []Segment
		next int64
		want int
	}{
		"alone":               {[]Segment{seg(0, 5000, 0, 0)}, 10, 1},
		"by bytes":            {[]Segment{seg(0, 400, 0, 0), seg(10, 400, 0, 0), seg(20, 200, 0, 0), seg(30, 1, 0, 0)}, 40, 3},
		"by the offset index": {[]Segment{seg(0, 1, 60, 0), seg(10, 1, 40, 0), seg(20, 1, 1, 0)}, 40, 2},
		"by the time index":   {[]Segment{seg(0, 1, 0, 60), seg(10, 1, 0, 41)}, 40, 1},
		"by offsets":          {[]Segment{seg(0, 1, 0, 0), seg(10, 1, 0, 0), seg(20, 1, 0, 0)}, 1<<31 + 1, 2},
		"offsets that fit":    {[]Segment{seg(0, 1, 0, 0), seg(10, 1, 0, 0), seg(20, 1, 0, 0)}, 1 << 31, 3},
		"next within":         {[]Segment{seg(0, 1, 0, 0), seg(10, 1, 0, 0), seg(1<<31+10, 1, 0, 0)}, 1<<31 + 20, 1},
		"empty ones":          {[]Segment{seg(0, 1, 0, 0), seg(1<<31, 0, 0, 0), seg(1<<32, 0, 0, 0)}, 1 << 33, 3},
	} {
		if got := Group(c.segs, 1000, 100, c.next); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
