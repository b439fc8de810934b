package api

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"barnabas/protocol"
	"barnabas/replication"
)

// fetchedPartition is the answer for one partition.
type fetchedPartition struct {
	source                              *fetchPartition
	code                                int16
	highWatermark, lastStable, logStart int64
	leaderID, leaderEpoch               int32
	divergingEpoch                      int32
	divergingEnd                        int64
	// aborted is nil when the answer has no such list.
	aborted []replication.AbortedTxn
	records replication.Slice
	// null says that the records are null, not merely empty.
	null bool
	// converted stands in for records, for old consumers; nil where there is nothing to convert.
	converted protocol.Region
}

// noRecords is an empty slice.
var noRecords replication.Slice

func (a *fetchedPartition) size() int {
	if a.converted != nil {
		return a.converted.Len()
	}
	return a.records.Len()
}

// failed is the answer with an error in place of everything.
func (a fetchedPartition) failed(why *kerr.Error) fetchedPartition {
	a.code = why.Code
	a.highWatermark, a.lastStable, a.logStart = -1, -1, -1
	return a
}

// refused is the answer that Kafka makes from nothing but a partition and an error: without records, but with an empty
// list of aborted transactions.
func refused(fp *fetchPartition, why *kerr.Error) fetchedPartition {
	return fetchedPartition{source: fp, code: why.Code, highWatermark: -1, lastStable: -1, logStart: -1, leaderID: -1, leaderEpoch: -1,
		divergingEpoch: -1, divergingEnd: -1, aborted: []replication.AbortedTxn{}, null: true}
}

// fetchResponse is the response of Fetch at all versions, written by hand: the records go from file to socket without
// passing through here, and kmsg's encoding of many partitions is among the dearest things that a broker does.
type fetchResponse struct {
	version int16
	code    int16
	session int32
	parts   []fetchedPartition
	brokers []kmsg.ProduceResponseBroker
}

// AppendTo writes the body into bytes, records included.
func (r *fetchResponse) AppendTo(dst []byte) []byte {
	m := protocol.Message{Buf: dst}
	if err := r.append(&m, appendCopy); err != nil {
		return dst
	}
	return m.Buf
}

// AppendMessage writes the body with its records by reference.
func (r *fetchResponse) AppendMessage(m *protocol.Message) error {
	return r.append(m, (*protocol.Message).AppendRegion)
}

func appendCopy(m *protocol.Message, r protocol.Region) error {
	defer r.Release()
	at := len(m.Buf)
	m.Buf = append(m.Buf, make([]byte, r.Len())...)
	_, err := r.ReadInto(m.Buf[at:])
	return err
}

func (r *fetchResponse) append(m *protocol.Message, region func(*protocol.Message, protocol.Region) error) error {
	flexible := r.version >= 12
	b := m.Buf
	if r.version >= 1 {
		b = binary.BigEndian.AppendUint32(b, 0) // throttle time
	}
	if r.version >= 7 {
		b = binary.BigEndian.AppendUint16(b, uint16(r.code))
		b = binary.BigEndian.AppendUint32(b, uint32(r.session))
	}
	topics := 0
	for i := 0; i < len(r.parts); i = r.topicEnd(i) {
		topics++
	}
	b = appendCount(b, topics, flexible)
	for from := 0; from < len(r.parts); from = r.topicEnd(from) {
		g := r.parts[from:r.topicEnd(from)]
		if r.version >= 13 {
			b = append(b, g[0].source.id[:]...)
		} else {
			b = appendString(b, g[0].source.topic, flexible)
		}
		b = appendCount(b, len(g), flexible)
		for i := range g {
			m.Buf = r.appendPartition(b, &g[i])
			if err := g[i].appendRecords(m, flexible, region); err != nil {
				releaseAll(r.parts)
				return err
			}
			b = m.Buf
			if flexible {
				b = r.appendPartitionTags(b, &g[i])
			}
		}
		if flexible {
			b = append(b, 0)
		}
	}
	if flexible {
		b = r.appendBrokers(b)
	}
	m.Buf = b
	return nil
}

// topicEnd is where the run of parts of the same topic ends that begins at a place. A topic whose partitions are not next to
// each other appears more than once, as Kafka sends it.
func (r *fetchResponse) topicEnd(from int) int {
	to := from + 1
	for to < len(r.parts) && r.parts[to].source.sameTopic(r.parts[from].source) {
		to++
	}
	return to
}

func (r *fetchResponse) appendPartition(b []byte, a *fetchedPartition) []byte {
	flexible := r.version >= 12
	b = binary.BigEndian.AppendUint32(b, uint32(a.source.partition))
	b = binary.BigEndian.AppendUint16(b, uint16(a.code))
	b = binary.BigEndian.AppendUint64(b, uint64(a.highWatermark))
	if r.version >= 4 {
		b = binary.BigEndian.AppendUint64(b, uint64(a.lastStable))
	}
	if r.version >= 5 {
		b = binary.BigEndian.AppendUint64(b, uint64(a.logStart))
	}
	if r.version >= 4 {
		b = appendAborted(b, a.aborted, flexible)
	}
	if r.version >= 11 {
		b = binary.BigEndian.AppendUint32(b, 0xffffffff) // no preferred read replica
	}
	return b
}

func appendAborted(b []byte, aborted []replication.AbortedTxn, flexible bool) []byte {
	if aborted == nil {
		return appendCount(b, -1, flexible)
	}
	b = appendCount(b, len(aborted), flexible)
	for _, t := range aborted {
		b = binary.BigEndian.AppendUint64(b, uint64(t.ProducerID))
		b = binary.BigEndian.AppendUint64(b, uint64(t.First))
		if flexible {
			b = append(b, 0)
		}
	}
	return b
}

func (a *fetchedPartition) appendRecords(m *protocol.Message, flexible bool, region func(*protocol.Message, protocol.Region) error) error {
	n := a.size()
	if a.null {
		m.Buf = appendCount(m.Buf, -1, flexible)
		return nil
	}
	if flexible {
		m.Buf = binary.AppendUvarint(m.Buf, uint64(n)+1)
	} else {
		m.Buf = binary.BigEndian.AppendUint32(m.Buf, uint32(n))
	}
	if c := a.converted; c != nil {
		a.converted = nil
		return region(m, c)
	}
	if n == 0 {
		a.records.Release()
		return nil
	}
	slice := a.records
	a.records = noRecords
	return region(m, slice)
}

func releaseAll(parts []fetchedPartition) {
	for i := range parts {
		parts[i].records.Release()
		parts[i].records = noRecords
		if c := parts[i].converted; c != nil {
			parts[i].converted = nil
			c.Release()
		}
	}
}

// Release lets the records go of a response that is not written.
func (r *fetchResponse) Release() { releaseAll(r.parts) }

func (r *fetchResponse) appendPartitionTags(b []byte, a *fetchedPartition) []byte {
	diverging, leader := a.divergingEpoch >= 0 || a.divergingEnd >= 0, a.leaderID >= 0
	n := 0
	if diverging {
		n++
	}
	if leader {
		n++
	}
	b = append(b, byte(n))
	if diverging {
		b = append(b, 0, 4+8+1)
		b = binary.BigEndian.AppendUint32(b, uint32(a.divergingEpoch))
		b = binary.BigEndian.AppendUint64(b, uint64(a.divergingEnd))
		b = append(b, 0)
	}
	if leader {
		b = append(b, 1, 4+4+1)
		b = binary.BigEndian.AppendUint32(b, uint32(a.leaderID))
		b = binary.BigEndian.AppendUint32(b, uint32(a.leaderEpoch))
		b = append(b, 0)
	}
	return b
}

// appendBrokers writes the response's tags.
func (r *fetchResponse) appendBrokers(b []byte) []byte {
	if r.version < 16 {
		return append(b, 0)
	}
	return appendLeaders(b, r.brokers)
}

// appendCount writes the length of an array; -1 is null.
func appendCount(b []byte, n int, flexible bool) []byte {
	if flexible {
		return binary.AppendUvarint(b, uint64(n+1))
	}
	return binary.BigEndian.AppendUint32(b, uint32(int32(n)))
}

func appendString(b []byte, s string, flexible bool) []byte {
	if flexible {
		b = binary.AppendUvarint(b, uint64(len(s))+1)
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	}
	return append(b, s...)
}
