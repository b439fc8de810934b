//go:build integration

package integration

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestVolume writes with the Java producer (acks=all, idempotent) and reads with franz-go: a million records of 100 bytes and a
// hundred thousand of 10 KB come back complete, in order, with equal checksums.
func TestVolume(t *testing.T) {
	addr := target(t)
	for _, load := range []struct {
		name          string
		partitions    int32
		records, size int
		more          []string
	}{
		{"a-million-of-100-bytes", 3, 1_000_000, 100, []string{"linger.ms=5"}},
		{"100-thousand-of-10-KB", 2, 100_000, 10 << 10, []string{"batch.size=131072"}},
		{"100-thousand-of-100-bytes-lz4", 1, 100_000, 100, []string{"compression.type=lz4", "linger.ms=5"}},
	} {
		t.Run(load.name, func(t *testing.T) {
			topic := create(t, addr, "volume-"+load.name, load.partitions, "segment.bytes", "100000000")
			args := append([]string{addr, topic, fmt.Sprint(load.partitions), fmt.Sprint(load.records), fmt.Sprint(load.size)}, load.more...)
			r, err := toolsOf(t, "3.9.2").Run(3*time.Minute, "", "ChecksumProducer", args...)
			if err != nil || r.Exit != 0 {
				t.Fatalf("the producer: %v, exit code %d\n%s%s", err, r.Exit, short(r.Stdout), short(r.Stderr))
			}
			got := readSums(t, addr, topic, load.partitions, load.records)
			if want := strings.TrimSpace(r.Stdout); got != want {
				t.Errorf("read\n%s\nwritten\n%s", got, want)
			}
		})
	}
}

// readSums reads the topic and says for each partition its count and the SHA-256 of its values, as ChecksumProducer does. Offsets and
// the numbers in the values must rise without a gap.
func readSums(t *testing.T, addr, topic string, partitions int32, records int) string {
	t.Helper()
	c := client(t, addr, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxPartitionBytes(4<<20))
	sums := make([]hash.Hash, partitions)
	counts := make([]int64, partitions)
	for p := range sums {
		sums[p] = sha256.New()
	}
	ctx := soon(t)
	for n := 0; n < records; {
		fs := c.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", n, records, err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			want := counts[r.Partition]*int64(partitions) + int64(r.Partition)
			if number := int64(binary.BigEndian.Uint64(r.Value)); r.Offset != counts[r.Partition] || number != want {
				t.Fatalf("partition %d: offset %d with record %d, expected offset %d with record %d", r.Partition, r.Offset, number, counts[r.Partition], want)
			}
			counts[r.Partition]++
			sums[r.Partition].Write(r.Value)
			n++
		})
	}
	var lines []string
	for p, sum := range sums {
		lines = append(lines, fmt.Sprintf("%d %d %x", p, counts[p], sum.Sum(nil)))
	}
	return strings.Join(lines, "\n")
}
