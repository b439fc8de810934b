package record

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

// rebuild makes a new batch with the topic's codec.
func rebuild(b Batch, rules Rules) (Valid, error) {
	r := &rules
	source := codec.Type(b.Codec())
	records := b.Payload()
	if source != codec.None {
		buf := borrow()
		defer buf.giveBack()
		if err := buf.inflate(records, source, magicV2, maxRebuilt); err != nil {
			return Valid{}, badInflation(b, r, buf.b, err)
		}
		records = buf.b
	}
	in := newInspection(b, r)
	if err := in.whole(records, b.Count(), true); err != nil {
		return Valid{}, err
	}
	if rejected := in.rejected(); rejected != nil {
		return Valid{}, rejected
	}
	if err := checkProducer(b); err != nil {
		return Valid{}, err
	}
	n := newRebuilder(r, r.Target, r.Level)
	n.spec.ProducerID, n.spec.ProducerEpoch, n.spec.BaseSequence = b.ProducerID(), b.ProducerEpoch(), b.BaseSequence()
	n.spec.Transactional = b.IsTransactional()
	if err := eachRecord(records, b.Count(), func(rec Record) error {
		return n.add(b.Timestamp(rec), rec.Key, rec.Value, rec.Headers...)
	}); err != nil {
		return Valid{}, asRejected(err)
	}
	return n.valid()
}

// badInflation is the verdict on a batch of which only a part could be inflated. Records that are wrong within that part
// come before the damage.
func badInflation(b Batch, r *Rules, part []byte, bad error) error {
	if errors.Is(bad, codec.ErrTooLarge) {
		return reject(kerr.MessageTooLarge, "inflates to more than %d bytes", maxRebuilt)
	}
	in := newInspection(b, r)
	if err := in.walk(part, b.Count(), true); err != nil && err != errCut {
		return reject(kerr.InvalidRecord, "%v", err)
	}
	return reject(kerr.UnknownServerError, "%v", bad)
}

// checkProducer is what Kafka's builder asks of the producer's fields, with no code of its own.
func checkProducer(b Batch) error {
	switch {
	case b.IsTransactional() && b.ProducerID() == None:
		return reject(kerr.UnknownServerError, "transactional without a producer id")
	case b.ProducerID() != None && (b.ProducerEpoch() == None || b.BaseSequence() < 0):
		return reject(kerr.UnknownServerError, "producer %d of epoch %d, sequence %d", b.ProducerID(), b.ProducerEpoch(), b.BaseSequence())
	}
	return nil
}

// rebuilder makes the batch that stands in for what a client sent.
type rebuilder struct {
	*Builder
	rules *Rules
}

func newRebuilder(r *Rules, t codec.Type, level int) rebuilder {
	return rebuilder{rules: r, Builder: NewBuilder(BatchSpec{
		LeaderEpoch: None, Codec: t, Level: level,
		ProducerID: None, ProducerEpoch: None, BaseSequence: None,
		LogAppendTime: r.LogAppendTime, MaxTimestamp: r.Now,
	})}
}

func (n rebuilder) add(ts int64, key, value []byte, headers ...Header) error {
	if ts < None {
		return reject(kerr.UnknownServerError, "timestamp %d in a batch that is rebuilt", ts)
	}
	n.Append(ts, key, value, headers...)
	return nil
}

func (n rebuilder) valid() (Valid, error) {
	b, err := n.Build()
	if err != nil {
		return Valid{}, reject(kerr.UnknownServerError, "%v", err)
	}
	if m := n.rules.MaxBytes; m > 0 && len(b) > m {
		return Valid{}, reject(kerr.MessageTooLarge, "a batch of %d bytes after it was rebuilt, where %d are allowed", len(b), m)
	}
	v := Valid{Batch: b, MaxTimestamp: b.MaxTimestamp(), OffsetDeltaOfMax: None, Records: b.Count(), LogAppendTime: None}
	if v.MaxTimestamp != None {
		v.OffsetDeltaOfMax = b.LastOffsetDelta()
	}
	if n.rules.LogAppendTime {
		v.LogAppendTime = n.rules.Now
	}
	return v, nil
}

// asRejected passes a rejection on and makes one of anything else.
func asRejected(err error) error {
	var r *Rejected
	if errors.As(err, &r) {
		return r
	}
	return reject(kerr.InvalidRecord, "%v", err)
}
