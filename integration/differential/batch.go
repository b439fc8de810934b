package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"barnabas/integration/peers"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const epochStart = int64(1700000000000) // timestamps of all records, ms

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A spec describes a v2 batch to build; the zero value has one record.
type spec struct {
	codec    int8
	count    int // records; 0 = 1
	noKey    bool
	size     int // bytes of a value; 0 = a short one
	attrs    int16
	ts       int64 // of the first record; 0 = epochStart
	pid      int64 // with epoch and seq when epoch >= 0 and idempotent
	epoch    int16
	seq      int32
	producer bool // pid, epoch and seq count
	mangle   func(b *kmsg.RecordBatch)
}

// batch builds it, with the right length and CRC.
func batch(o spec) []byte {
	if o.count == 0 {
		o.count = 1
	}
	if o.ts == 0 {
		o.ts = epochStart
	}
	var records []byte
	for i := range o.count {
		records = append(records, rec(i, o)...)
	}
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: int16(o.codec) | o.attrs, LastOffsetDelta: int32(o.count - 1),
		FirstTimestamp: o.ts, MaxTimestamp: o.ts + int64(o.count-1), ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: int32(o.count), Records: compress(o.codec, records),
	}
	if o.producer {
		b.ProducerID, b.ProducerEpoch, b.FirstSequence = o.pid, o.epoch, o.seq
	}
	if o.mangle != nil {
		o.mangle(&b)
	}
	return seal(b.AppendTo(nil))
}

func rec(i int, o spec) []byte {
	value := bytes.Repeat([]byte{'v'}, max(o.size, 1))
	value = append(value, byte('a'+i%26))
	r := kmsg.Record{TimestampDelta64: int64(i), TimestampDelta: int32(i), OffsetDelta: int32(i), Value: value,
		Headers: []kmsg.Header{{Key: "h", Value: []byte("x")}}}
	if !o.noKey {
		r.Key = []byte{'k', byte('0' + i%10)}
	}
	body := r.AppendTo(nil)
	n := 1 // the varint of a zero length
	r.Length = int32(len(body) - n)
	return r.AppendTo(nil)
}

// seal fills in the length and the CRC of one encoded v2 batch.
func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}

func compress(codec int8, raw []byte) []byte {
	var out bytes.Buffer
	switch codec {
	case 1:
		w := gzip.NewWriter(&out)
		_, _ = w.Write(raw)
		_ = w.Close()
	case 2:
		return snappy.Encode(nil, raw)
	case 3:
		w := lz4.NewWriter(&out)
		_ = w.Apply(lz4.BlockSizeOption(lz4.Block64Kb))
		_, _ = w.Write(raw)
		_ = w.Close()
	case 4:
		w, _ := zstd.NewWriter(&out)
		_, _ = w.Write(raw)
		_ = w.Close()
	default:
		return raw
	}
	return out.Bytes()
}

// message builds one entry of a message set of magic 0 or 1, compressed or not.
func message(magic, codec int8, offset int64, key, value []byte) []byte {
	body := []byte{byte(magic), byte(codec)}
	if magic == 1 {
		body = binary.BigEndian.AppendUint64(body, uint64(epochStart))
	}
	for _, field := range [][]byte{key, value} {
		if field == nil {
			body = binary.BigEndian.AppendUint32(body, 0xffffffff)
			continue
		}
		body = binary.BigEndian.AppendUint32(body, uint32(len(field)))
		body = append(body, field...)
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(offset))
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)+4))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(body))
	return append(b, body...)
}

// messageSet is a set of three messages, in one wrapper when a codec is given.
func messageSet(magic, codec int8) []byte {
	var set []byte
	for i := range int64(3) {
		set = append(set, message(magic, 0, i, []byte{'k', byte('0' + i)}, []byte{'v', byte('0' + i)})...)
	}
	if codec == 0 {
		return set
	}
	return message(magic, codec, 2, nil, compress(codec, set))
}

// produce is a request with one partition's records, acks=all.
func produce(topic string, partition int32, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func frameOf(req kmsg.Request) []byte {
	return peers.Frame(req.Key(), req.GetVersion(), correlation, client, req.IsFlexible(), req.AppendTo(nil))
}
