package record

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"barnabas/protocol/record/codec"
)

// validateSet judges a message set of magic 0 or 1 and makes one batch of it.
func validateSet(records []byte, rules Rules) (Valid, error) {
	r := &rules
	source, entries, err := checkSet(records, r)
	if err != nil {
		return Valid{}, err
	}
	if source != codec.None && entries > 1 {
		return Valid{}, reject(kerr.InvalidRecord, "a compressed message is not alone")
	}
	n := newRebuilder(r, r.Target, r.Level)
	if r.KeepCodec {
		n.spec.Codec, n.spec.Level = source, 0
	}
	magic := records[offMagic]
	for rest := records; ; {
		var entry []byte
		if entry, rest, err = Next(rest); err != nil {
			return n.valid() // the part of an entry at the end is dropped
		}
		if entry[offMagic] != magic {
			return Valid{}, reject(kerr.InvalidRecord, "magic %d in a message set of magic %d", entry[offMagic], magic)
		}
		if err := n.addEntry(message(entry)); err != nil {
			return Valid{}, err
		}
	}
}

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
		if entry[offMagic] == magicV2 {
			if err := checkBatch(entry, r); err != nil {
				return source, entries, err
			}
			records, entries = rest, entries+1
			continue // its magic is not the first one's
		}
		m := message(entry)
		switch {
		case r.MaxBytes > 0 && len(m) > r.MaxBytes:
			return source, entries, reject(kerr.MessageTooLarge, "a message of %d bytes where %d are allowed", len(m), r.MaxBytes)
		case m.crc() != m.sumCRC():
			return source, entries, reject(kerr.CorruptMessage, "stored CRC %d, computed %d", m.crc(), m.sumCRC())
		case !m.codec().Valid():
			return source, entries, reject(kerr.UnknownServerError, "compression type %d", m.codec())
		}
		if m.codec() != codec.None {
			source = m.codec()
		}
		records, entries = rest, entries+1
	}
}

// addEntry judges one entry of a set and adds what it holds.
func (n rebuilder) addEntry(m message) error {
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
	buf := borrow()
	defer buf.giveBack()
	var bad error
	buf.b, bad = codec.Decompress(buf.b, packed, m.codec(), m.magic(), maxRebuilt)
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
func (n rebuilder) addAll(m message, list []inner) error {
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
				bad.add(int32(i), false, "Record "+rec.String()+"'s magic does not match outer magic "+string('0'+rune(m.magic()))+
					" in topic partition "+r.place())
				continue
			}
			if rec.crc() != rec.sumCRC() {
				return reject(kerr.CorruptMessage, "message %d: stored CRC %d, computed %d", i, rec.crc(), rec.sumCRC())
			}
		}
		key, value, ok := rec.parts()
		switch {
		case !ok:
			return malformed(rec.message)
		case r.Compacted && key == nil:
			bad.add(int32(i), false, keyless(r))
		case !r.LogAppendTime && rec.time != None:
			if r.late(rec.time) {
				bad.add(int32(i), true, untimely(r, rec.time, rec.offset))
			}
		case flagged:
			bad.add(int32(i), true, flaggedRecord(rec.String()))
		}
		if bad.count == 0 {
			if err := n.add(rec.time, key, value); err != nil {
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
