package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"barnabas/protocol/record/codec"
)

// The logs in testdata were written by Apache Kafka 3.9.2. java-* were compressed by its Java producer (the same 780
// records with each codec), go-* by a client in Go, recompressed by the broker; txn has control batches, compacted was
// rewritten by the cleaner.
func golden(t testing.TB, name string) []Batch {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	var batches []Batch
	for len(b) > 0 {
		entry, rest, err := Next(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := Batch(entry).Check(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		batches = append(batches, entry)
		b = rest
	}
	return batches
}

var goldenLogs = []string{"java-gzip", "java-snappy", "java-lz4", "java-zstd", "go-none", "go-gzip", "go-snappy", "go-lz4",
	"go-zstd", "recompressed", "logappend", "txn", "compacted"}

// digest is over offset, key and value of every record that is not a control record.
func digest(t testing.TB, batches []Batch) (records int, sum string) {
	t.Helper()
	h := sha256.New()
	field := func(b []byte) {
		if b == nil {
			fmt.Fprint(h, "-1:")
			return
		}
		fmt.Fprintf(h, "%d:%s", len(b), b)
	}
	for _, b := range batches {
		if b.IsControl() {
			continue
		}
		if err := b.Each(1<<20, func(r Record) error {
			records++
			fmt.Fprintf(h, "%d|", b.BaseOffset()+int64(r.OffsetDelta))
			field(r.Key)
			field(r.Value)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return records, hex.EncodeToString(h.Sum(nil))
}

// What Kafka's consumer read out of the same logs.
func TestGoldenRecords(t *testing.T) {
	for name, want := range map[string]string{
		"go-none":      "12e4a2dba8cce83e1477393cc8a1661699e3b8b0012ef95e5060e8ffb4c91400",
		"go-gzip":      "34d2d5982ae012a1fa8632084c90d8f411e0a8796996830538797cd655ff003d",
		"go-snappy":    "b13d317b4da3b470e1276a4bd6a24edc581b4e05384a3e844877f3a26ae256dc",
		"go-lz4":       "9bc45ffa0ff7af4bf13086b9df0d59ed5b1ed86bb4c8c2bfa58aebb70e020c7d",
		"go-zstd":      "57cca55f8761165abcd28dfafdb34479dafa497238c1ed502a23a7333bfac3be",
		"logappend":    "ea73d33a16706df174911c11ceae0d600967730604947fb9c9f5baac8ae1b9c7",
		"recompressed": "ea73d33a16706df174911c11ceae0d600967730604947fb9c9f5baac8ae1b9c7",
	} {
		if _, got := digest(t, golden(t, name)); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	n, first := digest(t, golden(t, "java-gzip"))
	if n != 780 {
		t.Errorf("java-gzip: %d records", n)
	}
	for _, name := range []string{"java-snappy", "java-lz4", "java-zstd"} {
		if _, got := digest(t, golden(t, name)); got != first {
			t.Errorf("%s holds other records than java-gzip", name)
		}
	}
}

// What is walked and built anew is the same to the byte; of compressed batches, what they inflate to is.
func TestGoldenRebuilt(t *testing.T) {
	for _, name := range goldenLogs {
		for i, b := range golden(t, name) {
			if b.Count() == 0 {
				continue
			}
			again := NewBuilder(specOf(b, codec.None))
			if err := b.Each(1<<20, func(r Record) error {
				again.AppendAt(r.OffsetDelta, b.BaseTimestamp()+r.TimestampDelta, r.Key, r.Value, r.Headers...)
				return nil
			}); err != nil {
				t.Fatalf("%s %d: %v", name, i, err)
			}
			got, err := again.Build()
			if err != nil {
				t.Fatal(err)
			}
			want := b
			if c := codec.Type(b.Codec()); c != codec.None {
				inflated, err := codec.Decompress(nil, b.Payload(), c, 2, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				if want, got = inflated, got.Payload(); !bytes.Equal(got, want) {
					t.Errorf("%s %d differs", name, i)
				}
				continue
			}
			if b.LastOffsetDelta() != got.LastOffsetDelta() || b.Attributes()&AttrHasDeleteHorizon != 0 {
				continue // marks of the cleaner, which a builder has no reason to make
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s %d differs:\n%x\n%x", name, i, got, want)
			}
		}
	}
}

func specOf(b Batch, c codec.Type) BatchSpec {
	return BatchSpec{
		BaseOffset: b.BaseOffset(), LeaderEpoch: b.LeaderEpoch(), Codec: c,
		ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(),
		Transactional: b.IsTransactional(), Control: b.IsControl(),
		LogAppendTime: b.IsLogAppendTime(), MaxTimestamp: b.MaxTimestamp(),
	}
}

// What a Java producer sends is what the log holds, but for offset and leader epoch: all of it must be accepted, and
// recompressed to any codec with nothing lost.
func TestGoldenValidated(t *testing.T) {
	for _, name := range goldenLogs {
		for i, b := range golden(t, name) {
			if b.IsControl() || b.Count() == 0 || int(b.LastOffsetDelta())+1 != int(b.Count()) {
				continue
			}
			sent := bytes.Clone(b)
			Batch(sent).SetBaseOffset(0)
			Batch(sent).SetLeaderEpoch(None)
			rules := plainRules()
			rules.LogAppendTime = b.IsLogAppendTime()
			if b.IsLogAppendTime() { // the client sent it without the flag
				Batch(sent).SetAttributes(b.Attributes() &^ AttrLogAppendTime)
				Batch(sent).Seal()
				rules.Now = b.MaxTimestamp()
			}
			v, err := Validate(bytes.Clone(sent), rules)
			if err != nil {
				t.Fatalf("%s %d: %v", name, i, err)
			}
			v.Batch.SetBaseOffset(b.BaseOffset())
			v.Batch.SetLeaderEpoch(b.LeaderEpoch())
			if !bytes.Equal(v.Batch, b) {
				t.Errorf("%s %d is changed", name, i)
			}
			for _, c := range []codec.Type{codec.None, codec.Gzip, codec.Snappy, codec.LZ4, codec.Zstd} {
				rules.KeepCodec, rules.Target = false, c
				v, err := Validate(bytes.Clone(sent), rules)
				if err != nil {
					t.Fatalf("%s %d to %v: %v", name, i, c, err)
				}
				if v.Batch.Codec() != int8(c) || v.Batch.Check() != nil {
					t.Errorf("%s %d to %v: %v", name, i, c, v.Batch.Check())
				}
				v.Batch.SetBaseOffset(b.BaseOffset())
				_, want := digest(t, []Batch{b})
				if _, got := digest(t, []Batch{v.Batch}); got != want || v.MaxTimestamp != b.MaxTimestamp() {
					t.Errorf("%s %d to %v: other records", name, i, c)
				}
			}
		}
	}
}

func TestGoldenMarkers(t *testing.T) {
	var commits, aborts int
	for _, b := range golden(t, "txn") {
		if !b.IsControl() {
			continue
		}
		if err := b.Each(0, func(r Record) error {
			m, err := ParseEndTxnMarker(r.Key, r.Value)
			if err != nil {
				return err
			}
			if m.Commit {
				commits++
			} else {
				aborts++
			}
			again := m.Batch(b.ProducerID(), b.ProducerEpoch(), b.MaxTimestamp())
			again.SetBaseOffset(b.BaseOffset())
			again.SetLeaderEpoch(b.LeaderEpoch())
			if !bytes.Equal(again, b) {
				t.Errorf("marker at %d differs:\n%x\n%x", b.BaseOffset(), again, b)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	if commits == 0 || aborts == 0 {
		t.Errorf("%d commits, %d aborts", commits, aborts)
	}
}
