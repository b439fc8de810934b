package codec

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/pierrec/lz4/v4"
)

// levels has the default, both ends of the range and what lies beyond.
var levels = map[Type][]int{None: {0}, Gzip: {0, -1, 1, 10}, Snappy: {0}, LZ4: {0, -1, 1, 9, 17}, Zstd: {0, -131072, 9, 22}}

var all = []Type{None, Gzip, Snappy, LZ4, Zstd}

func samples() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	return map[string][]byte{
		"nothing": {},
		"a byte":  {7},
		"text":    []byte(strings.Repeat("someone must have slandered Josef K., ", 40)),
		"zeros":   make([]byte, 300_000),
		"noise":   noise,
		"mixed":   append(bytes.Repeat([]byte("abcdefgh"), 20_000), noise[:70_000]...),
	}
}

// Decompress and NewReader must agree on everything; this is how the tests call either.
func inflate(t testing.TB, src []byte, typ Type, magic int8, limit int) ([]byte, error) {
	t.Helper()
	out, err := Decompress([]byte("before"), src, typ, magic, limit)
	if !bytes.HasPrefix(out, []byte("before")) {
		t.Fatalf("%v: what was in dst is gone", typ)
	}
	out = out[len("before"):]
	if len(out) > limit {
		t.Fatalf("%v: %d bytes past the limit %d", typ, len(out), limit)
	}
	if errors.Is(err, ErrTooLarge) {
		return out, err
	}
	r, rerr := NewReader(src, typ, magic)
	var streamed []byte
	if rerr == nil {
		streamed, rerr = io.ReadAll(r)
		r.Close()
	}
	if (rerr == nil) != (err == nil) {
		t.Fatalf("%v: whole %v, as a stream %v", typ, err, rerr)
	}
	if err == nil && !bytes.Equal(out, streamed) {
		t.Fatalf("%v: whole and stream differ", typ)
	}
	return out, err
}

func TestRoundTrip(t *testing.T) {
	for name, in := range samples() {
		for _, typ := range all {
			for _, magic := range []int8{0, 2} {
				if typ == Zstd && magic < 2 {
					continue
				}
				for _, level := range levels[typ] {
					packed, err := Compress([]byte("x"), in, typ, level, magic)
					if err != nil || packed[0] != 'x' {
						t.Fatalf("%s %v level %d: %v", name, typ, level, err)
					}
					out, err := inflate(t, packed[1:], typ, magic, len(in))
					if err != nil || !bytes.Equal(out, in) {
						t.Fatalf("%s %v magic %d level %d: %d bytes of %d, %v", name, typ, magic, level, len(out), len(in), err)
					}
					if len(in) > 0 {
						if _, err := Decompress(nil, packed[1:], typ, magic, len(in)-1); !errors.Is(err, ErrTooLarge) {
							t.Fatalf("%s %v level %d, a byte too many: %v", name, typ, level, err)
						}
					}
				}
			}
		}
	}
}

// A megabyte that claims to be or is a gigabyte must not take a gigabyte.
func TestLimitBoundsMemory(t *testing.T) {
	big := make([]byte, 16<<20)
	for _, typ := range all[1:] {
		packed, err := Compress(nil, big, typ, 0, 2)
		if err != nil {
			t.Fatal(err)
		}
		out, err := Decompress(nil, packed, typ, 2, 1<<20)
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: %v", typ, err)
		}
		if cap(out) > 8<<20 {
			t.Errorf("%v: %d bytes taken for a limit of 1 MiB", typ, cap(out))
		}
	}
	// A snappy block whose preamble says 4 GiB, a zstd frame whose header does.
	for typ, claim := range map[Type]string{Snappy: "ffffffff0f00", Zstd: "28b52ffde0ffffffff000000000100 00"} {
		src, _ := hex.DecodeString(strings.ReplaceAll(claim, " ", ""))
		out, err := Decompress(nil, src, typ, 2, 1<<40)
		if err == nil || cap(out) > 1<<20 {
			t.Errorf("%v: a lie cost %d bytes, %v", typ, cap(out), err)
		}
	}
}

// The zstd library reports a block that overruns the space like a broken one; whatever the space, that must not show.
func TestZstdIntoAnySpace(t *testing.T) {
	in := samples()["mixed"]
	for _, in := range [][]byte{in, in[:10_000], in[150_000:]} {
		packed := mustCompress(t, in, Zstd)
		for space := 0; space < len(in)+200_000; space += 9_973 {
			out, err := Decompress(make([]byte, 0, space), packed, Zstd, 2, len(in))
			if err != nil || !bytes.Equal(out, in) {
				t.Fatalf("%d bytes into %d: %v", len(in), space, err)
			}
			if _, err := Decompress(make([]byte, 0, space), packed, Zstd, 2, len(in)-1); !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%d bytes into %d, one too many: %v", len(in), space, err)
			}
			if _, err := Decompress(make([]byte, 0, space), packed[:len(packed)-2], Zstd, 2, len(in)); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%d bytes into %d, cut: %v", len(in), space, err)
			}
		}
	}
}

func TestHeadersAsJavaWritesThem(t *testing.T) {
	in := []byte(strings.Repeat("abc", 50))
	for _, c := range []struct {
		typ   Type
		magic int8
		want  string
	}{
		{Gzip, 2, "1f8b08"},
		{Snappy, 2, "82534e41505059000000000100000001"},
		{LZ4, 2, "04224d18604082"},
		{LZ4, 1, "04224d18604082"},
		{LZ4, 0, "04224d1860401a"}, // the wrong checksum of KIP-57
		{Zstd, 2, "28b52ffd"},
	} {
		out, err := Compress(nil, in, c.typ, 0, c.magic)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(out); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v magic %d begins with %s, want %s", c.typ, c.magic, got[:min(len(got), 32)], c.want)
		}
	}
}

func TestLZ4HeaderChecksumByMagic(t *testing.T) {
	right, _ := Compress(nil, []byte("hello"), LZ4, 0, 1)
	wrong, _ := Compress(nil, []byte("hello"), LZ4, 0, 0)
	if right[6] == wrong[6] {
		t.Fatal("the two checksums are equal: nothing is tested")
	}
	for _, src := range [][]byte{right, wrong} {
		if out, err := inflate(t, src, LZ4, 0, 100); err != nil || string(out) != "hello" {
			t.Errorf("magic 0 looks at the checksum: %v", err)
		}
	}
	if _, err := inflate(t, wrong, LZ4, 2, 100); !errors.Is(err, ErrCorrupt) {
		t.Errorf("magic 2 takes the wrong checksum: %v", err)
	}
}

// Frames of another writer: larger blocks, content size and both kinds of checksums.
func TestLZ4OfOtherWriters(t *testing.T) {
	in := samples()["mixed"]
	for _, size := range []lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb} {
		var b bytes.Buffer
		w := lz4.NewWriter(&b)
		if err := w.Apply(lz4.BlockSizeOption(size), lz4.BlockChecksumOption(true), lz4.ChecksumOption(true), lz4.SizeOption(uint64(len(in)))); err != nil {
			t.Fatal(err)
		}
		w.Write(in)
		w.Close()
		out, err := inflate(t, b.Bytes(), LZ4, 2, len(in))
		if err != nil || !bytes.Equal(out, in) {
			t.Errorf("block size %d: %v", size, err)
		}
		r := lz4.NewReader(bytes.NewReader(mustCompress(t, in, LZ4)))
		if back, err := io.ReadAll(r); err != nil || !bytes.Equal(back, in) {
			t.Errorf("another reader cannot read ours: %v", err)
		}
	}
}

func TestLZ4Refused(t *testing.T) {
	good := mustCompress(t, []byte(strings.Repeat("hello ", 100)), LZ4)
	edit := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		b[6] = lz4HeaderSum(b[:6], 2)
		return b
	}
	for name, src := range map[string][]byte{
		"nothing":        {},
		"header only":    good[:7],
		"no end mark":    good[:len(good)-4],
		"cut block":      good[:len(good)-8],
		"linked blocks":  edit(4, 0x40),
		"a dictionary":   edit(4, 0x61),
		"version 2":      edit(4, 0xa0),
		"block size 3":   edit(5, 0x30),
		"not the magic":  append([]byte{1}, good[1:]...),
		"block too long": edit(7, 0xff),
	} {
		if _, err := inflate(t, src, LZ4, 2, 1<<20); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := inflate(t, append(bytes.Clone(good), "junk"...), LZ4, 2, 1<<20); err != nil {
		t.Errorf("junk behind the frame: %v", err)
	}
}

func TestSnappyFramings(t *testing.T) {
	in := samples()["mixed"]
	framed := mustCompress(t, in, Snappy)
	for name, src := range map[string][]byte{
		"bare":             snappy.Encode(nil, append(bytes.Clone(in), in...)),
		"two streams":      append(bytes.Clone(framed), framed...),
		"any version":      append(append([]byte(xerialMagic), make([]byte, 8)...), append(bytes.Clone(framed), framed...)...),
		"cut length ahead": append(append(bytes.Clone(framed), framed...), 1, 2, 3),
	} {
		out, err := inflate(t, src, Snappy, 2, 1<<20)
		if err != nil || !bytes.Equal(out, append(bytes.Clone(in), in...)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, src := range map[string][]byte{
		"nothing":    {},
		"cut block":  framed[:len(framed)-1],
		"not snappy": []byte("this is no snappy at all"),
	} {
		if _, err := inflate(t, src, Snappy, 2, 1<<20); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSeveralFramesAndJunk(t *testing.T) {
	a, b := []byte("first part "), []byte("second part")
	for _, typ := range []Type{Gzip, Zstd} {
		joined := append(mustCompress(t, a, typ), mustCompress(t, b, typ)...)
		out, err := inflate(t, joined, typ, 2, 100)
		if err != nil || string(out) != string(a)+string(b) {
			t.Errorf("%v: %q %v", typ, out, err)
		}
		_, err = inflate(t, append(joined, "junk, as it may happen, of some length"...), typ, 2, 100)
		if (err != nil) != (typ == Zstd) {
			t.Errorf("%v with junk behind: %v", typ, err)
		}
		if _, err = inflate(t, joined[:len(joined)-3], typ, 2, 100); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v cut short: %v", typ, err)
		}
	}
	if _, err := inflate(t, nil, Gzip, 2, 100); !errors.Is(err, ErrCorrupt) {
		t.Errorf("empty gzip: %v", err)
	}
	if _, err := inflate(t, nil, Zstd, 2, 100); err != nil {
		t.Errorf("empty zstd: %v", err)
	}
}

// What could be inflated before the damage is handed out: the validator judges it before it judges the damage.
func TestPrefixBeforeDamage(t *testing.T) {
	in := samples()["mixed"]
	for _, typ := range all[1:] {
		packed := mustCompress(t, in, typ)
		out, err := Decompress(nil, packed[:len(packed)-10], typ, 2, 1<<20)
		if !errors.Is(err, ErrCorrupt) || !bytes.HasPrefix(in, out) {
			t.Errorf("%v: %d bytes, %v", typ, len(out), err)
		}
		if len(out) == 0 {
			t.Errorf("%v: no prefix", typ)
		}
	}
}

func TestUnknown(t *testing.T) {
	for _, typ := range []Type{-1, 5, 6, 7} {
		if _, err := Compress(nil, nil, typ, 0, 2); !errors.Is(err, ErrUnknown) {
			t.Errorf("%v: %v", typ, err)
		}
		if _, err := inflate(t, nil, typ, 2, 10); !errors.Is(err, ErrUnknown) {
			t.Errorf("%v: %v", typ, err)
		}
	}
	if _, err := Compress(nil, nil, Zstd, 0, 1); !errors.Is(err, ErrUnknown) {
		t.Errorf("zstd in magic 1: %v", err)
	}
	if _, err := inflate(t, nil, Zstd, 1, 10); !errors.Is(err, ErrUnknown) {
		t.Errorf("zstd in magic 1: %v", err)
	}
}

func TestNames(t *testing.T) {
	for _, typ := range all {
		if got, ok := Parse(typ.String()); !ok || got != typ {
			t.Errorf("%v parses as %v", typ, got)
		}
	}
	for _, name := range []string{"", "producer", "uncompressed", "GZIP"} {
		if _, ok := Parse(name); ok {
			t.Errorf("%q parses", name)
		}
	}
}

// The vectors of the reference implementation, seed 0.
func TestXXH32(t *testing.T) {
	for in, want := range map[string]uint32{
		"": 0x02cc5d05, "a": 0x550d7456, "abc": 0x32d153ff, "Nobody inspects the spammish repetition": 0xe2293b2f,
	} {
		if got := xxh32([]byte(in)); got != want {
			t.Errorf("xxh32(%q) = %#x, want %#x", in, got, want)
		}
	}
}

func mustCompress(t testing.TB, in []byte, typ Type) []byte {
	t.Helper()
	out, err := Compress(nil, in, typ, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func FuzzDecompress(f *testing.F) {
	for _, in := range [][]byte{[]byte("hello hello hello hello hello"), bytes.Repeat([]byte{1, 2, 3}, 30_000)} {
		for _, typ := range all {
			f.Add(mustCompress(f, in, typ), int8(typ), int8(2), uint32(1<<20))
		}
		f.Add(snappy.Encode(nil, in), int8(Snappy), int8(1), uint32(100))
	}
	f.Add(binary.LittleEndian.AppendUint32(nil, lz4Magic), int8(LZ4), int8(0), uint32(0))
	f.Fuzz(func(t *testing.T, src []byte, typ, magic int8, limit uint32) {
		limit %= 4 << 20
		out, err := inflate(t, src, Type(typ), magic, int(limit))
		if err == nil && Type(typ).Valid() && magic >= 0 {
			again, err := Compress(nil, out, Type(typ), 1, magic)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := inflate(t, again, Type(typ), magic, int(limit)); err != nil || !bytes.Equal(back, out) {
				t.Fatalf("does not come back: %v", err)
			}
		}
	})
}

func BenchmarkCompress(b *testing.B)   { benchmark(b, true) }
func BenchmarkDecompress(b *testing.B) { benchmark(b, false) }

func benchmark(b *testing.B, compress bool) {
	var in []byte
	for i := 0; len(in) < 64<<10; i++ {
		in = fmt.Appendf(in, `{"id":%d,"name":"customer %d","amount":%d.%02d}`, i, i*7919%1000, i*31%997, i%100)
	}
	for _, typ := range all[1:] {
		b.Run(typ.String(), func(b *testing.B) {
			packed := mustCompress(b, in, typ)
			out := make([]byte, 0, 1<<20)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if compress {
					out, err = Compress(out[:0], in, typ, 0, 2)
				} else {
					out, err = Decompress(out[:0], packed, typ, 2, 1<<20)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
