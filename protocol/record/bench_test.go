package record

import (
	"fmt"
	"math"
	"testing"

	"barnabas/protocol/record/codec"
)

// produced is a batch as a client sends it: n records of size bytes.
func produced(t testing.TB, c codec.Type, n, size int) []byte {
	t.Helper()
	b := NewBuilder(BatchSpec{LeaderEpoch: None, Codec: c, ProducerID: 7, BaseSequence: 0})
	value := make([]byte, size)
	for i := range n {
		copy(value, fmt.Sprintf(`{"id":%d,"name":"customer %d","amount":%d.%02d}`, i, i*7919%1000, i*31%997, i%100))
		b.Append(1700000000000+int64(i/10), fmt.Appendf(nil, "key-%d", i), value)
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func plainRules() Rules {
	return Rules{Topic: "t", Version: 9, Now: 1700000001000, BeforeMax: math.MaxInt64, AfterMax: math.MaxInt64, KeepCodec: true, MaxBytes: 1 << 20}
}

func BenchmarkValidate(b *testing.B) {
	for _, c := range []codec.Type{codec.None, codec.Gzip, codec.Snappy, codec.LZ4, codec.Zstd} {
		for _, n := range []int{1, 150} {
			b.Run(fmt.Sprintf("%v-%d", c, n), func(b *testing.B) {
				in := produced(b, c, n, 100)
				rules := plainRules()
				b.ReportAllocs()
				b.SetBytes(int64(len(in)))
				for b.Loop() {
					if _, err := Validate(in, rules); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
			})
		}
	}
}

// BenchmarkWalk is the validator's loop alone, without CRC and codec.
func BenchmarkWalk(b *testing.B) {
	const n = 1000
	in := Batch(produced(b, codec.None, n, 100))
	rules := plainRules()
	for _, strict := range []bool{true, false} {
		b.Run(fmt.Sprintf("strict=%v", strict), func(b *testing.B) {
			for b.Loop() {
				look := newInspection(in, &rules)
				if err := look.walk(in.Payload(), n, strict); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
		})
	}
}

func BenchmarkEach(b *testing.B) {
	const n = 1000
	in := Batch(produced(b, codec.None, n, 100))
	b.ReportAllocs()
	for b.Loop() {
		if err := in.Each(0, func(Record) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

func BenchmarkBuild(b *testing.B) {
	const n = 1000
	value := make([]byte, 100)
	key := []byte("key")
	var builder Builder
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset(BatchSpec{})
		for i := range n {
			builder.Append(int64(i), key, value)
		}
		if _, err := builder.Build(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

func BenchmarkDown(b *testing.B) {
	for _, c := range []codec.Type{codec.None, codec.LZ4} {
		in := produced(b, c, 150, 100)
		b.Run(c.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Down(in, 1, 0, len(in)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
