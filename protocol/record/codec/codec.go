package codec

import (
	"errors"
	"fmt"
)

// Type is a codec as the low three bits of a batch's attributes number it. 5 to 7 are not assigned.
type Type int8

const (
	None Type = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

var names = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// Valid says whether t is a codec that Kafka knows.
func (t Type) Valid() bool { return t >= None && t <= Zstd }

// String is the name in Kafka's settings and messages.
func (t Type) String() string {
	if !t.Valid() {
		return fmt.Sprintf("codec %d", int8(t))
	}
	return names[t]
}

// Parse finds a codec by the name that String gives. "uncompressed" and "producer", which compression.type knows
// beside these, are not codecs.
func Parse(name string) (Type, bool) {
	for i, n := range names {
		if n == name {
			return Type(i), true
		}
	}
	return None, false
}

var (
	// ErrTooLarge says that the input inflates past the limit.
	ErrTooLarge = errors.New("codec: inflates past the limit")
	// ErrCorrupt says that the input is not what its codec writes.
	ErrCorrupt = errors.New("codec: corrupt input")
	// ErrUnknown says that there is no such codec, or that the message format cannot carry it.
	ErrUnknown = errors.New("codec: unknown compression type")
)

// Compress appends src, compressed, to dst. Level 0 is Kafka's default of the codec; levels out of the codec's range
// mean the nearest one. Magic is that of the message or batch that will carry the result.
func Compress(dst, src []byte, t Type, level int, magic int8) ([]byte, error) {
	switch t {
	case None:
		return append(dst, src...), nil
	case Gzip:
		return gzipCompress(dst, src, level)
	case Snappy:
		return snappyCompress(dst, src), nil
	case LZ4:
		return lz4Compress(dst, src, level, magic)
	case Zstd:
		if magic >= 2 {
			return zstdCompress(dst, src, level)
		}
	}
	return dst, fmt.Errorf("%w: %v in magic %d", ErrUnknown, t, magic)
}

// Decompress appends what src inflates to to dst, at most limit bytes of it: ErrTooLarge past that. Memory is taken as
// the output grows, never more than limit and a block. With an error comes what could be inflated before it (less for
// ErrTooLarge), behind dst.
func Decompress(dst, src []byte, t Type, magic int8, limit int) ([]byte, error) {
	limit = max(limit, 0)
	switch t {
	case None:
		if len(src) > limit {
			return append(dst, src[:limit]...), ErrTooLarge
		}
		return append(dst, src...), nil
	case Gzip:
		return gzipDecompress(dst, src, limit)
	case Snappy:
		return snappyDecompress(dst, src, limit)
	case LZ4:
		return lz4Decompress(dst, src, magic, limit)
	case Zstd:
		if magic >= 2 {
			return zstdDecompress(dst, src, limit)
		}
	}
	return dst, fmt.Errorf("%w: %v in magic %d", ErrUnknown, t, magic)
}

// firstGuess is how much room to take for the output of src before anything is known about it.
func firstGuess(src []byte) int { return max(4*len(src), 512) }

// room returns b with space for n more bytes, or for as many as keep it within end bytes in all.
func room(b []byte, n, end int) []byte {
	need := min(len(b)+n, end)
	if cap(b) >= need {
		return b
	}
	bigger := make([]byte, len(b), min(max(need, 2*cap(b)), max(need, end)))
	copy(bigger, b)
	return bigger
}

func corrupt(t Type, err error) error { return fmt.Errorf("%w: %v: %w", ErrCorrupt, t, err) }

func corruptf(t Type, format string, args ...any) error {
	return fmt.Errorf("%w: %v: %s", ErrCorrupt, t, fmt.Sprintf(format, args...))
}
