package record

import (
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

// inspection is one look at all records of a batch of magic 2: what the validator checks of each, and what it sums up.
type inspection struct {
	rules Rules // a copy, which keeps the caller's off the heap
	offences
	checkKey  bool
	checkTime bool
	// refuseType says that every record is at fault because the batch is flagged LogAppendTime.
	refuseType bool
	// flagged batches have one timestamp, base; otherwise base is what the deltas count from.
	flagged bool
	base    int64
	// partial is how Kafka names a record that it has not read whole.
	partial bool

	maxTimestamp int64 // None if there is none above it
	gaps         bool  // offset deltas do not count 0, 1, 2, ...
}

func newInspection(b Batch, r *Rules) inspection {
	in := inspection{
		rules:        *r,
		checkKey:     r.Compacted,
		checkTime:    !r.LogAppendTime && (r.BeforeMax != math.MaxInt64 || r.AfterMax != math.MaxInt64),
		base:         b.BaseTimestamp(),
		maxTimestamp: None,
	}
	if b.IsLogAppendTime() {
		in.flagged, in.base = true, b.MaxTimestamp()
		in.refuseType = r.LogAppendTime || in.base == None
	}
	return in
}

// errCut says that the bytes ended within a record: that is the client's fault, or the codec's if that gave up there.
var errCut = errors.New("record: the records end early")

// whole judges count records that fill b. A strict look reads records as consumers do; one that is not strict as Kafka's
// validator reads a compressed batch.
func (in *inspection) whole(b []byte, count int32, strict bool) error {
	if err := in.walk(b, count, strict); err != nil {
		return reject(kerr.InvalidRecord, "%v", err)
	}
	return nil
}

func (in *inspection) walk(b []byte, count int32, strict bool) error {
	newest := in.maxTimestamp
	p := 0
	for i := range count {
		var size, delta, key, value, headers int32
		var ts int64
		size, p = varint(b, p)
		start := p
		if strict && int(size) > len(b)-p {
			return errCut
		}
		p++ // attributes
		ts, p = varlong(b, p)
		delta, p = varint(b, p)
		if key, p = varint(b, p); key > 0 {
			p += int(key)
		}
		if value, p = varint(b, p); value > 0 {
			p += int(value)
		}
		if headers, p = varint(b, p); headers != 0 {
			var err error
			if p, err = skipHeaders(b, p, headers, strict); err != nil {
				return err
			}
		}
		if strict && p-start != int(size) {
			return fmt.Errorf("record %d has another length than %d", i, size)
		}
		if p > len(b) {
			return errCut
		}
		if ts += in.base; in.flagged {
			ts = in.base
		}
		if ts > newest {
			newest = ts
		}
		if delta != i {
			in.gaps = true
		}
		if key < 0 && in.checkKey || in.refuseType || in.checkTime && ts != None && in.rules.late(ts) {
			in.offend(i, ts, delta, key, value)
		}
	}
	in.maxTimestamp = newest
	if p != len(b) {
		return fmt.Errorf("%d bytes behind the last record", len(b)-p)
	}
	return nil
}

// skipHeaders fails as varint does where the bytes end.
func skipHeaders(b []byte, p int, n int32, strict bool) (int, error) {
	if n < 0 || strict && int(n) > len(b)-p {
		return p, fmt.Errorf("%d headers", n)
	}
	for ; n > 0 && p <= len(b); n-- {
		var size int32
		if size, p = varint(b, p); size < 0 {
			return p, fmt.Errorf("a header key of %d bytes", size)
		}
		if size, p = varint(b, p+int(size)); size > 0 {
			p += int(size)
		}
	}
	return p, nil
}

// compressed judges a batch that will be stored as it came. It is inflated whole if it is of a usual size, and piece by
// piece otherwise.
func (in *inspection) compressed(b Batch, t codec.Type) error {
	in.partial = true
	buf := borrow()
	defer buf.giveBack()
	var bad error
	buf.b, bad = codec.Decompress(buf.b, b.Payload(), t, magicV2, wholeInflated)
	if errors.Is(bad, codec.ErrTooLarge) {
		return in.pieces(b, t)
	}
	// Kafka meets damage of the compression only when it gets there: records that are wrong before it come first.
	err := in.walk(buf.b, b.Count(), false)
	switch {
	case bad != nil && (err == nil || err == errCut):
		return reject(kerr.UnknownServerError, "%v", bad)
	case err != nil:
		return reject(kerr.InvalidRecord, "%v", err)
	}
	return nil
}

// offend notes what is wrong with a record, in Kafka's words. A key that is missing goes before a time that is wrong.
func (in *inspection) offend(i int32, ts int64, delta, key, value int32) {
	r := &in.rules
	switch {
	case in.checkKey && key < 0:
		in.add(i, false, keyless(r))
	case in.refuseType:
		name := "DefaultRecord"
		if in.partial {
			name = "PartialDefaultRecord"
		} else {
			key, value = max(key, 0), max(value, 0)
		}
		in.add(i, true, flaggedRecord(fmt.Sprintf("%s(offset=%d, timestamp=%d, key=%d bytes, value=%d bytes)", name, delta, ts, key, value)))
	default:
		in.add(i, true, untimely(r, ts, int64(delta)))
	}
}

func keyless(r *Rules) string {
	return "Compacted topic cannot accept message without key in topic partition " + r.place()
}

func untimely(r *Rules, ts, offset int64) string {
	return fmt.Sprintf("Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]",
		ts, offset, r.Now-r.BeforeMax, r.Now+r.AfterMax)
}

func flaggedRecord(record string) string {
	return "Invalid timestamp type in message " + record + ". Producer should not set timestamp type to LogAppendTime."
}
