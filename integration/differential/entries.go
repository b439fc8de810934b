package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// entries describes fetched records so that two compressors' bytes, two producer ids and two clocks compare equal.
func entries(b []byte) string {
	if b == nil {
		return "null"
	}
	var out strings.Builder
	for len(b) > 0 {
		if len(b) < 17 {
			fmt.Fprintf(&out, "partial;")
			break
		}
		size := int(binary.BigEndian.Uint32(b[8:])) + 12
		magic := b[16]
		if size < 17 || size > len(b) {
			fmt.Fprintf(&out, "partial magic %d;", magic)
			break
		}
		if magic == 2 {
			describe(&out, b[:size])
		} else {
			describeOld(&out, b[:size], true)
		}
		b = b[size:]
	}
	return out.String()
}

func describe(out *strings.Builder, b []byte) {
	var v kmsg.RecordBatch
	if err := v.ReadFrom(b); err != nil {
		fmt.Fprintf(out, "unreadable batch: %v;", err)
		return
	}
	pid := "-1"
	if v.ProducerID >= 0 {
		pid = "pid"
	}
	ts := fmt.Sprintf("%d..%d", v.FirstTimestamp, v.MaxTimestamp)
	if v.MaxTimestamp > epochStart+1e9 {
		ts = "clock"
	}
	raw, err := decompress(int8(v.Attributes&7), v.Records)
	if err != nil {
		raw = []byte(err.Error())
	}
	fmt.Fprintf(out, "batch@%d epoch %d attrs %#x delta %d ts %s producer %s/%d/%d n %d %x;", v.FirstOffset, v.PartitionLeaderEpoch, v.Attributes,
		v.LastOffsetDelta, ts, pid, v.ProducerEpoch, v.FirstSequence, v.NumRecords, sum(raw))
}

func describeOld(out *strings.Builder, b []byte, wrapper bool) {
	magic, attrs, at := b[16], b[17], 18
	ts := ""
	if magic == 1 {
		t := int64(binary.BigEndian.Uint64(b[18:]))
		ts = fmt.Sprint(" ts ", t)
		if t > epochStart+1e9 {
			ts = " ts clock"
		}
		at = 26
	}
	fmt.Fprintf(out, "message@%d magic %d attrs %#x%s ", binary.BigEndian.Uint64(b), magic, attrs, ts)
	if attrs&7 == 0 || !wrapper {
		fmt.Fprintf(out, "%x;", sum(b[at:]))
		return
	}
	value := b[at+8:] // a wrapper's key is null
	inner, err := decompress(int8(attrs&7), value)
	if err != nil {
		fmt.Fprintf(out, "%v;", err)
		return
	}
	out.WriteString("{")
	for len(inner) >= 18 {
		size := int(binary.BigEndian.Uint32(inner[8:])) + 12
		if size > len(inner) {
			break
		}
		describeOld(out, inner[:size], false)
		inner = inner[size:]
	}
	out.WriteString("};")
}

func sum(b []byte) []byte { h := sha256.Sum256(b); return h[:6] }

func decompress(codec int8, b []byte) ([]byte, error) {
	switch codec {
	case 1:
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case 2:
		return unsnappy(b)
	case 3:
		if raw, err := io.ReadAll(lz4.NewReader(bytes.NewReader(b))); err == nil {
			return raw, nil
		}
		return oldLZ4(b)
	case 4:
		r, err := zstd.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return b, nil
}

// unsnappy reads a plain block and xerial's framing (8 bytes of magic, two versions, blocks with their size before them).
func unsnappy(b []byte) ([]byte, error) {
	if !bytes.HasPrefix(b, []byte("\x82SNAPPY\x00")) {
		return snappy.Decode(nil, b)
	}
	var out []byte
	for b = b[16:]; len(b) >= 4; {
		n := int(binary.BigEndian.Uint32(b))
		if n > len(b)-4 {
			return nil, io.ErrUnexpectedEOF
		}
		raw, err := snappy.Decode(nil, b[4:4+n])
		if err != nil {
			return nil, err
		}
		out, b = append(out, raw...), b[4+n:]
	}
	return out, nil
}

// oldLZ4 reads frames whose header checksum covers the frame's magic too, as Kafka wrote them for magic 0. It takes the blocks
// apart by hand: flags and descriptor, an optional content size, the checksum's byte, blocks.
func oldLZ4(b []byte) ([]byte, error) {
	if len(b) < 7 {
		return nil, io.ErrUnexpectedEOF
	}
	flags, at := b[4], 7
	if flags&8 != 0 {
		at += 8
	}
	var out []byte
	for at+4 <= len(b) {
		n := binary.LittleEndian.Uint32(b[at:])
		at += 4
		if n == 0 {
			return out, nil
		}
		stored := n&0x80000000 != 0
		n &= 0x7fffffff
		if at+int(n) > len(b) {
			return nil, io.ErrUnexpectedEOF
		}
		block := b[at : at+int(n)]
		at += int(n)
		if flags&16 != 0 {
			at += 4
		}
		if stored {
			out = append(out, block...)
			continue
		}
		raw := make([]byte, 4<<20)
		m, err := lz4.UncompressBlock(block, raw)
		if err != nil {
			return nil, err
		}
		out = append(out, raw[:m]...)
	}
	return nil, io.ErrUnexpectedEOF
}
