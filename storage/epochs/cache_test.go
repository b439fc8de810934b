package epochs

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEndOffset(t *testing.T) {
	c := New([]Entry{{2, 10}, {5, 30}, {7, 40}})
	type answer struct {
		epoch int32
		end   int64
	}
	for epoch, want := range map[int32]answer{
		None: {None, None},
		1:    {1, 10}, // before the first: it ends where the first begins
		2:    {2, 30},
		3:    {2, 30}, // between two: the lower one's end
		5:    {5, 40},
		6:    {5, 40},
		7:    {7, 55}, // the latest ends at the log end
		8:    {None, None},
	} {
		gotEpoch, end := c.EndOffset(epoch, 55)
		if got := (answer{gotEpoch, end}); got != want {
			t.Errorf("EndOffset(%d) = %v, want %v", epoch, got, want)
		}
	}
	if epoch, end := New(nil).EndOffset(0, 9); epoch != None || end != None {
		t.Errorf("of an empty cache: %d %d", epoch, end)
	}
}

func TestAssign(t *testing.T) {
	c := &Cache{}
	steps := []struct {
		entry   Entry
		changed bool
		want    []Entry
	}{
		{Entry{None, 0}, false, nil},
		{Entry{0, -1}, false, nil},
		{Entry{0, 0}, true, []Entry{{0, 0}}},
		{Entry{0, 9}, false, []Entry{{0, 0}}},
		{Entry{3, 10}, true, []Entry{{0, 0}, {3, 10}}},
		{Entry{4, 10}, true, []Entry{{0, 0}, {4, 10}}}, // epoch 3 had no record
		{Entry{6, 20}, true, []Entry{{0, 0}, {4, 10}, {6, 20}}},
		{Entry{6, 15}, true, []Entry{{0, 0}, {4, 10}, {6, 15}}}, // the same epoch may begin earlier
		{Entry{5, 30}, true, []Entry{{0, 0}, {4, 10}, {5, 30}}}, // a follower that truncated: 6 never was
		{Entry{1, 0}, true, []Entry{{1, 0}}},
	}
	for _, s := range steps {
		if got := c.Assign(s.entry.Epoch, s.entry.Start); got != s.changed {
			t.Errorf("Assign(%v) changed: %v", s.entry, got)
		}
		if diff := cmp.Diff(s.want, c.Entries()); diff != "" {
			t.Fatalf("after %v: %s", s.entry, diff)
		}
	}
}

func TestTruncate(t *testing.T) {
	c := New([]Entry{{0, 0}, {1, 10}, {2, 20}})
	if c.TruncateFromEnd(21) || !c.TruncateFromEnd(20) || c.TruncateFromEnd(20) {
		t.Error("an epoch that begins at the log end goes, others stay")
	}
	if c.TruncateFromStart(0) {
		t.Error("the start has not moved")
	}
	if !c.TruncateFromStart(15) {
		t.Error("no change")
	}
	// Everything expired: the epoch of the log end is kept there.
	if diff := cmp.Diff([]Entry{{1, 15}}, c.Entries()); diff != "" {
		t.Fatal(diff)
	}
	if e, ok := c.EpochAt(15); e != 1 || !ok {
		t.Errorf("EpochAt(15) = %d %v", e, ok)
	}
	if _, ok := c.EpochAt(14); ok {
		t.Error("an offset before the log start has an epoch")
	}
	if !c.Clear() || c.Clear() {
		t.Error("Clear")
	}
	if _, ok := c.Latest(); ok {
		t.Error("a latest epoch of nothing")
	}
}

// The model is the epoch of every single offset, which says what each operation must keep.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Cache{}
		var log []int32 // epoch of each offset from 0; those below start are forgotten
		start, epoch := 0, int32(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			default: // append
				for range rapid.IntRange(1, 4).Draw(t, "records") {
					c.Assign(epoch, int64(len(log)))
					log = append(log, epoch)
				}
			case 0: // an election, with or without records to follow
				epoch += rapid.Int32Range(1, 3).Draw(t, "by")
				c.Assign(epoch, int64(len(log)))
			case 1:
				end := rapid.IntRange(start, len(log)).Draw(t, "end")
				log = log[:end]
				c.TruncateFromEnd(int64(end))
			case 2:
				start = rapid.IntRange(start, len(log)).Draw(t, "start")
				c.TruncateFromStart(int64(start))
			}
			es := c.Entries()
			if !slices.IsSortedFunc(es, func(a, b Entry) int { return int(a.Epoch - b.Epoch) }) ||
				!slices.IsSortedFunc(es, func(a, b Entry) int { return int(a.Start - b.Start) }) {
				t.Fatalf("not in order: %v", es)
			}
			for offset := start; offset < len(log); offset++ {
				if got, ok := c.EpochAt(int64(offset)); !ok || got != log[offset] {
					t.Fatalf("offset %d is of epoch %d (%v), want %d; %v", offset, got, ok, log[offset], es)
				}
			}
			// Where an epoch that has records ends, as its first larger neighbour says.
			for _, e := range log[start:] {
				want := int64(len(log))
				for offset := len(log) - 1; offset >= start && log[offset] > e; offset-- {
					want = int64(offset)
				}
				if gotEpoch, end := c.EndOffset(e, int64(len(log))); gotEpoch != e || end != want {
					t.Fatalf("epoch %d ends at (%d, %d), want %d; %v", e, gotEpoch, end, want, es)
				}
			}
			if again := New(es).Entries(); !slices.Equal(es, again) {
				t.Fatalf("a restart changes %v to %v", es, again)
			}
		}
	})
}
