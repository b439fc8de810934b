package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"barnabas/protocol/record/codec"
)

// Byte positions inside an entry of magic 0 or 1: offset i64, size i32, crc u32, magic i8, attributes i8, magic 1 has a
// timestamp i64 here, then key and value, each behind its length i32.
const (
	offMessageCRC   = LogOverhead
	offMessageAttrs = 17
	offMessageTime  = 18
	offMessageKeyV0 = 18
	offMessageKeyV1 = 26

	// messageLogAppendTime is the only attribute of messages beside the codec, in magic 1.
	messageLogAppendTime = 1 << 3
)

// message is a view over one entry of magic 0 or 1: a message, or a wrapper whose value is compressed messages. It is at
// least LogOverhead and minEntrySize long; its fields behind the attributes are there only if parts says so.
type message []byte

func (m message) offset() int64     { return int64(binary.BigEndian.Uint64(m)) }
func (m message) magic() int8       { return int8(m[offMagic]) }
func (m message) crc() uint32       { return binary.BigEndian.Uint32(m[offMessageCRC:]) }
func (m message) sumCRC() uint32    { return crc32.ChecksumIEEE(m[offMagic:]) }
func (m message) attributes() int8  { return int8(m[offMessageAttrs]) }
func (m message) codec() codec.Type { return codec.Type(m.attributes() & int8(AttrCodecMask)) }

// isLogAppendTime is about the message alone; inside a wrapper, the wrapper's counts.
func (m message) isLogAppendTime() bool {
	return m.magic() == 1 && m.attributes()&messageLogAppendTime != 0
}

// timestamp is None in magic 0. (The smallest entry has room for it.)
func (m message) timestamp() int64 {
	if m.magic() == 0 {
		return None
	}
	return int64(binary.BigEndian.Uint64(m[offMessageTime:]))
}

// parts are key and value, nil for null. What follows the value is not looked at, as it is not by Kafka.
func (m message) parts() (key, value []byte, ok bool) {
	var at int
	if key, at, ok = sized(m, m.keyAt()); !ok {
		return nil, nil, false
	}
	value, _, ok = sized(m, at)
	return key, value, ok
}

func (m message) keyAt() int {
	if m.magic() == 0 {
		return offMessageKeyV0
	}
	return offMessageKeyV1
}

// keySize is the length in front of the key, negative for null.
func (m message) keySize() (n int32, ok bool) {
	at := m.keyAt()
	if at+4 > len(m) {
		return 0, false
	}
	return int32(binary.BigEndian.Uint32(m[at:])), true
}

func sized(b []byte, at int) (field []byte, next int, ok bool) {
	if at+4 > len(b) {
		return nil, at, false
	}
	n := int(int32(binary.BigEndian.Uint32(b[at:])))
	at += 4
	if n < 0 {
		return nil, at, true
	}
	if n > len(b)-at {
		return nil, at, false
	}
	return b[at : at+n : at+n], at + n, true
}

// inner is a message as a reader sees it: out of its wrapper, if it was in one.
type inner struct {
	message
	offset int64
	time   int64
	// timeType is what Kafka calls the kind of time that this is; within a wrapper it is the wrapper's.
	timeType string
}

func plain(m message) inner {
	return inner{message: m, offset: m.offset(), time: m.timestamp(), timeType: m.timeType()}
}

func (m message) timeType() string {
	switch {
	case m.magic() == 0:
		return "NoTimestampType"
	case m.isLogAppendTime():
		return "LogAppendTime"
	}
	return "CreateTime"
}

// unwrap lists the messages of a wrapper's inflated value. Offsets become absolute: in magic 0 they are, in magic 1 they
// count from the first message, and the wrapper's is the last one's. The value may end within a message, which is
// dropped. The error is an ErrCorrupt or a *wrapperError.
func unwrap(wrapper message, value []byte) ([]inner, error) {
	var list []inner
	for len(value) >= LogOverhead {
		size := int32(binary.BigEndian.Uint32(value[offLength:]))
		if size < minEntrySize {
			return nil, corrupt("a message of %d bytes", size)
		}
		total := LogOverhead + int(size)
		if total > len(value) {
			break
		}
		m := plain(message(value[:total:total]))
		value = value[total:]
		if m.magic() == 1 {
			m.timeType = wrapper.timeType()
			if wrapper.isLogAppendTime() {
				m.time = wrapper.timestamp()
			}
		}
		list = append(list, m)
	}
	if len(list) == 0 {
		return nil, &wrapperError{"no messages in it"}
	}
	if wrapper.magic() == 0 {
		return list, nil
	}
	// Some librdkafka leave the wrapper's offset at 0.
	var base int64
	if last := list[len(list)-1].offset; wrapper.offset() != 0 {
		if base = wrapper.offset() - last; base < 0 {
			return nil, &wrapperError{fmt.Sprintf("offset %d, below that of the last message %d", wrapper.offset(), last)}
		}
	}
	for i := range list {
		list[i].offset += base
	}
	return list, nil
}

// wrapperError is a compressed message that is well made and makes no sense.
type wrapperError struct{ text string }

func (e *wrapperError) Error() string { return "record: compressed message: " + e.text }

// String is Kafka's way to write an entry of a message set.
func (m inner) String() string {
	key, value, _ := m.parts()
	when := ""
	if m.magic() > 0 {
		when = fmt.Sprintf(", %s=%d", m.timeType, m.time)
	}
	return fmt.Sprintf("LegacyRecordBatch(offset=%d, Record(magic=%d, attributes=%d, compression=%v, crc=%d%s, key=%d bytes, value=%d bytes))",
		m.offset, m.magic(), m.attributes(), m.codec(), m.crc(), when, len(key), len(value))
}

// appendMessage adds a message of magic 0 or 1 to dst.
func appendMessage(dst []byte, magic int8, offset, ts int64, attrs int8, key, value []byte) []byte {
	at := len(dst)
	dst = beginMessage(dst, magic, offset, ts, attrs, key)
	dst = appendSized(dst, value)
	sealMessage(dst[at:])
	return dst
}

// beginMessage writes a message up to its value, which the caller appends behind its length before it seals.
func beginMessage(dst []byte, magic int8, offset, ts int64, attrs int8, key []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(offset))
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, byte(magic), byte(attrs)) // size and crc are sealMessage's
	if magic > 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(ts))
	}
	return appendSized(dst, key)
}

func sealMessage(m message) {
	binary.BigEndian.PutUint32(m[offLength:], uint32(len(m)-LogOverhead))
	binary.BigEndian.PutUint32(m[offMessageCRC:], m.sumCRC())
}

func appendSized(dst, v []byte) []byte {
	if v == nil {
		return binary.BigEndian.AppendUint32(dst, 0xffffffff)
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(v))), v...)
}
