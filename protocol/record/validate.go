package record

import (
	"errors"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

// Rules are a topic's settings as far as they concern what is produced into it, and the circumstances of a request.
type Rules struct {
	// Topic and Partition name the place in messages to the client.
	Topic     string
	Partition int32
	// Version is that of the Produce request.
	Version int16
	// Now is the time, in milliseconds.
	Now int64
	// LogAppendTime is message.timestamp.type: records get the time of the append.
	LogAppendTime bool
	// BeforeMax and AfterMax are message.timestamp.before.max.ms and its twin: how far a record's time may be off,
	// math.MaxInt64 for as far as it likes.
	BeforeMax, AfterMax int64
	// Compacted topics refuse records without a key.
	Compacted bool
	// KeepCodec is compression.type=producer; otherwise batches are stored compressed with Target at Level.
	KeepCodec bool
	Target    codec.Type
	Level     int
	// MaxBytes is max.message.bytes, which bounds a whole batch; 0 for no bound.
	MaxBytes int
}

// Valid is what may be appended.
type Valid struct {
	// Batch is one v2 batch with the right CRC and the base offset 0. It may be the produced bytes, patched in place. nil
	// where an old client (Produce v0 to v2) sent nothing, which Kafka answers with success.
	Batch Batch
	// MaxTimestamp is that of the batch, None where no record has a time.
	MaxTimestamp int64
	// OffsetDeltaOfMax goes with MaxTimestamp into the time index: always the last offset of the batch, or None.
	OffsetDeltaOfMax int32
	Records          int32
	// LogAppendTime is what the client is told: the time of the append, or None.
	LogAppendTime int64
}

// Validate judges the records of one partition of a Produce request as Kafka's leader does, and makes of them what goes
// into the log. It changes records in place. The error is a *Rejected.
//
// The checks come in Kafka's order, since a client sees only the first that fails: what the request's version allows;
// base offset, size, CRC and codec; the header; every record; the size again if the batch had to be rebuilt.
func Validate(records []byte, rules Rules) (Valid, error) {
	r := &rules
	first, rest, err := Next(records)
	if r.Version >= 3 {
		if err := refuseByVersion(first, rest, err, r.Version); err != nil {
			return Valid{}, err
		}
		return validateBatch(first, r)
	}
	switch {
	case errors.Is(err, ErrShort):
		return Valid{MaxTimestamp: None, OffsetDeltaOfMax: None, LogAppendTime: None}, nil
	case err != nil:
		return Valid{}, damaged(err)
	}
	source, entries, err := checkSet(records, r)
	switch {
	case err != nil:
		return Valid{}, err
	case entries > 1 && (source != codec.None || first[offMagic] == magicV2):
		return Valid{}, reject(kerr.InvalidRecord, "%d entries, where a batch or a compressed message has to be alone", entries)
	case first[offMagic] == magicV2:
		return validateBatch(first, r) // an old request with a new batch
	}
	return convertSet(records, source, rules)
}

// refuseByVersion holds Produce v3 and later to one batch of magic 2. Something that is no whole entry may follow it.
func refuseByVersion(first, rest []byte, err error, version int16) error {
	switch {
	case errors.Is(err, ErrShort):
		return refuse(kerr.InvalidRecord, "Produce v%d without a batch", version)
	case err != nil:
		return damaged(err)
	case first[offMagic] != magicV2:
		return refuse(kerr.InvalidRecord, "Produce v%d with magic %d", version, first[offMagic])
	case version < 7 && Batch(first).Codec() == int8(codec.Zstd):
		return refuse(kerr.UnsupportedCompressionType, "Produce v%d with zstd", version)
	case version < 7 && !codec.Type(Batch(first).Codec()).Valid():
		return refuse(kerr.UnknownServerError, "compression type %d", Batch(first).Codec())
	}
	if len(rest) == 0 {
		return nil
	}
	if _, _, err := Next(rest); err == nil {
		return refuse(kerr.InvalidRecord, "Produce v%d with more than one batch", version)
	} else if !errors.Is(err, ErrShort) {
		return refuse(kerr.CorruptMessage, "behind the batch: %v", err)
	}
	return nil
}

// damaged answers an entry that cannot be one. What Kafka meets while it reads the request, it tells in words.
func damaged(err error) error {
	r := refuse(kerr.CorruptMessage, "%v", err)
	var d *damage
	if errors.As(err, &d) && !d.late {
		r.Message = d.text
	}
	return r
}

// checkBatch is what Kafka's log checks before its validator does.
func checkBatch(b Batch, r *Rules) error {
	switch {
	case b.BaseOffset() != 0:
		return reject(kerr.InvalidRecord, "base offset %d", b.BaseOffset())
	case r.MaxBytes > 0 && len(b) > r.MaxBytes:
		return reject(kerr.MessageTooLarge, "a batch of %d bytes where %d are allowed", len(b), r.MaxBytes)
	case b.CRC() != b.SumCRC():
		return reject(kerr.CorruptMessage, "stored CRC %d, computed %d", b.CRC(), b.SumCRC())
	case !codec.Type(b.Codec()).Valid():
		return reject(kerr.UnknownServerError, "compression type %d", b.Codec())
	}
	return nil
}

// checkHeader is what the validator asks of a client's batch before it looks at the records.
func checkHeader(b Batch) error {
	last, count := b.LastOffsetDelta(), b.Count()
	switch {
	case last < 0:
		return reject(kerr.InvalidRecord, "last offset delta %d", last)
	case count <= 0:
		return reject(kerr.InvalidRecord, "%d records", count)
	case int64(last)+1 != int64(count):
		return reject(kerr.InvalidRecord, "last offset delta %d of %d records", last, count)
	case b.IsControl():
		return reject(kerr.InvalidRecord, "a control batch of a client")
	case b.ProducerID() > None && b.BaseSequence() < 0:
		return reject(kerr.InvalidRecord, "producer %d without a sequence", b.ProducerID())
	}
	return nil
}

func validateBatch(b Batch, r *Rules) (Valid, error) {
	if err := checkBatch(b, r); err != nil {
		return Valid{}, err
	}
	if err := checkHeader(b); err != nil {
		return Valid{}, err
	}
	source := codec.Type(b.Codec())
	if !r.KeepCodec && r.Target != source {
		return rebuild(b, *r)
	}
	in := newInspection(b, r)
	var err error
	if source == codec.None {
		err = in.whole(b.Payload(), b.Count(), true)
	} else {
		err = in.compressed(b, source)
	}
	if err != nil {
		return Valid{}, err
	}
	if rejected := in.rejected(); rejected != nil {
		return Valid{}, rejected
	}
	if in.gaps && source != codec.None {
		return Valid{}, reject(kerr.UnknownServerError, "offset deltas of a compressed batch do not count from 0")
	}
	return stamp(b, r, in.maxTimestamp), nil
}

// stamp gives a batch that is stored as it came its timestamps.
func stamp(b Batch, r *Rules, newest int64) Valid {
	v := Valid{Batch: b, MaxTimestamp: newest, OffsetDeltaOfMax: None, Records: b.Count(), LogAppendTime: None}
	attrs := b.Attributes()
	want := attrs &^ AttrLogAppendTime
	if r.LogAppendTime {
		v.MaxTimestamp, v.LogAppendTime = r.Now, r.Now
		want |= AttrLogAppendTime
	}
	if v.MaxTimestamp != None {
		v.OffsetDeltaOfMax = b.LastOffsetDelta()
	}
	if want != attrs || v.MaxTimestamp != b.MaxTimestamp() {
		b.SetAttributes(want & knownAttrs)
		b.SetMaxTimestamp(v.MaxTimestamp)
		b.Seal()
	}
	return v
}

// knownAttrs are the attributes that survive a rewriting of the timestamp.
const knownAttrs = AttrCodecMask | AttrLogAppendTime | AttrTransactional | AttrControl | AttrHasDeleteHorizon

// place is how Kafka writes a partition.
func (r *Rules) place() string { return r.Topic + "-" + strconv.Itoa(int(r.Partition)) }

// late says whether a timestamp is too far from now. The arithmetic overflows as Kafka's does.
func (r *Rules) late(ts int64) bool {
	off := r.Now - ts
	return off > r.BeforeMax || -off > r.AfterMax
}
