package record

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

// checkSet is what Kafka's log checks of each entry before its validator looks at them. The codec of the set is the last
// one that an entry is compressed with.
func checkSet(records []byte, r *Rules) (source codec.Type, entries int, err error) {
	for {
		entry, rest, err := Next(records)
		if errors.Is(err, ErrShort) {
			return source, entries, nil
		}
		if err != nil {
			return source, entries, reject(kerr.CorruptMessage, "%v", err)
		}
		c := message(entry).codec()
		if entry[offMagic] == magicV2 {
			c, err = codec.Type(Batch(entry).Codec()), checkBatch(entry, r)
		} else {
			err = checkMessage(entry, r)
		}
		if err != nil {
			return source, entries, err
		}
		if c != codec.None {
			source = c
		}
		records, entries = rest, entries+1
	}
}

func checkMessage(m message, r *Rules) error {
	switch {
	case r.MaxBytes > 0 && len(m) > r.MaxBytes:
		return reject(kerr.MessageTooLarge, "a message of %d bytes where %d are allowed", len(m), r.MaxBytes)
	case m.crc() != m.sumCRC():
		return reject(kerr.CorruptMessage, "stored CRC %d, computed %d", m.crc(), m.sumCRC())
	case !m.codec().Valid():
		return reject(kerr.UnknownServerError, "compression type %d", m.codec())
	}
	return nil
}

// convertSet judges a message set of magic 0 or 1, which checkSet has passed, and makes one batch of it.
func convertSet(records []byte, source codec.Type, rules Rules) (Valid, error) {
	n := converter{rebuilder: newRebuilder(&rules, rules.Target, rules.Level)}
	defer n.close()
	if rules.KeepCodec {
		n.spec.Codec, n.spec.Level = source, 0
	}
	// Kafka has two ways to convert. Without any compression it sums up the sizes first and then builds as it judges;
	// otherwise it judges everything before it builds. It shows only in which of several errors is told.
	if n.asItGoes = n.spec.Codec == codec.None && source == codec.None; n.asItGoes {
		for rest := records; ; {
			var entry []byte
			var err error
			if entry, rest, err = Next(rest); err != nil {
				break
			}
			if m := message(entry); m.magic() < magicV2 {
				if _, _, ok := m.parts(); !ok {
					return Valid{}, malformed(m)
				}
			}
		}
	}
	magic := records[offMagic]
	for rest := records; ; {
		var entry []byte
		var err error
		if entry, rest, err = Next(rest); err != nil {
			break // the part of an entry at the end is dropped
		}
		if entry[offMagic] != magic {
			return Valid{}, reject(kerr.InvalidRecord, "magic %d in a message set of magic %d", entry[offMagic], magic)
		}
		if err := n.addEntry(message(entry)); err != nil {
			return Valid{}, err
		}
	}
	if n.deferred != nil {
		return Valid{}, n.deferred
	}
	return n.valid()
}

// converter makes a batch of messages.
type converter struct {
	rebuilder
	inflated *buffer // of the entries that are compressed, nil without any
	asItGoes bool
	deferred error // what was wrong with building, where that is told after everything has been judged
}

// close lets go of what was inflated and built. Only then may another heavy batch begin.
func (n *converter) close() {
	n.rebuilder = rebuilder{}
	if n.inflated != nil {
		n.inflated.giveBack()
	}
}

// addMessage builds; nothing more once that has failed.
func (n *converter) addMessage(m *inner) error {
	key, value, ok := m.parts()
	err := n.deferred
	switch {
	case err != nil:
		return nil
	case ok:
		err = n.add(m.time, key, value)
	default:
		err = malformed(m.message)
	}
	if n.asItGoes {
		return err
	}
	n.deferred = err
	return nil
}

// addEntry judges one entry of a set and adds what it holds.
func (n *converter) addEntry(m message) error {
	if m.codec() == codec.None {
		return n.addAll(m, []inner{plain(m)})
	}
	_, packed, ok := m.parts()
	switch {
	case m.codec() == codec.Zstd:
		return reject(kerr.InvalidRecord, "zstd in magic %d", m.magic())
	case !ok:
		return malformed(m)
	case packed == nil:
		return reject(kerr.InvalidRecord, "a compressed message without a value")
	}
	if n.inflated == nil {
		n.inflated = borrow()
	}
	buf := n.inflated
	bad := buf.inflate(packed, m.codec(), m.magic(), maxRebuilt)
	if errors.Is(bad, codec.ErrTooLarge) {
		return reject(kerr.MessageTooLarge, "inflates to more than %d bytes", maxRebuilt)
	}
	list, err := unwrap(m, buf.b)
	switch {
	case errors.Is(err, ErrCorrupt):
		return reject(kerr.CorruptMessage, "%v", err)
	case bad != nil:
		return reject(kerr.UnknownServerError, "%v", bad)
	case err != nil:
		return reject(kerr.InvalidRecord, "%v", err)
	}
	return n.addAll(m, list)
}

// addAll judges the messages of an entry, each in Kafka's order: not compressed itself, magic, CRC (if it is out of a
// wrapper: the wrapper's has been checked), key, time.
func (n *converter) addAll(m message, list []inner) error {
	r := n.rules
	wrapped := m.codec() != codec.None
	flagged := m.isLogAppendTime()
	var bad offences
	for i := range list {
		rec := &list[i]
		if wrapped {
			if c := rec.codec(); !c.Valid() {
				return reject(kerr.UnknownServerError, "compression type %d", c)
			} else if c != codec.None {
				return reject(kerr.InvalidRecord, "a compressed message inside a compressed message")
			}
			if rec.magic() != m.magic() {
				if _, _, ok := rec.parts(); !ok {
					return malformed(rec.message) // Kafka cannot even name it
				}
				bad.add(int32(i), false, fmt.Sprintf("Record %v's magic does not match outer magic %d in topic partition %s", rec, m.magic(), r.place()))
				continue
			}
			if rec.crc() != rec.sumCRC() {
				return reject(kerr.CorruptMessage, "message %d: stored CRC %d, computed %d", i, rec.crc(), rec.sumCRC())
			}
		}
		if r.Compacted {
			if n, ok := rec.keySize(); !ok {
				return malformed(rec.message)
			} else if n < 0 {
				bad.add(int32(i), false, keyless(r))
				continue
			}
		}
		switch {
		case !r.LogAppendTime && rec.time != None:
			if r.late(rec.time) {
				bad.add(int32(i), true, untimely(r, rec.time, rec.offset))
			}
		case flagged:
			bad.add(int32(i), true, flaggedRecord(rec.String()))
		}
		if bad.count == 0 {
			if err := n.addMessage(rec); err != nil {
				return err
			}
		}
	}
	if rejected := bad.rejected(); rejected != nil {
		return rejected
	}
	return nil
}

// malformed is a message whose lengths do not fit into it, under a CRC that is right.
func malformed(m message) error {
	return reject(kerr.UnknownServerError, "lengths of key and value in a message of %d bytes", len(m))
}
