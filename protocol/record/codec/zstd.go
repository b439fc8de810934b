package codec

import (
	"errors"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// zstdMaxWindow is the largest window that zstd's own reader takes without being told to, 2^27.
const zstdMaxWindow = 128 << 20

// zstdDefaultLevel is level 3 of the reference implementation.
const zstdDefaultLevel = 3

var zstdDecoders = sync.Pool{New: func() any {
	return newZstdDecoder(zstd.WithDecodeAllCapLimit(true))
}}

// newZstdDecoder is a decoder without goroutines, so that it may be dropped without being closed.
func newZstdDecoder(o ...zstd.DOption) *zstd.Decoder {
	d, err := zstd.NewReader(nil, append(o, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(zstdMaxWindow))...)
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}

// zstdBlock is the room that makes sure that a block fits: the largest, and what the library copies beyond it.
const zstdBlock = 128<<10 + 64

// zstdDecompress decodes into the space that dst has and starts over with more where that was too little: a frame need
// not tell its size, and what it tells need not be true. The library does not tell a block that overruns the space from
// a block that is broken, so an error counts as damage only where a whole block would still have fitted.
func zstdDecompress(dst, src []byte, limit int) ([]byte, error) {
	d := zstdDecoders.Get().(*zstd.Decoder)
	defer zstdDecoders.Put(d)
	at := len(dst)
	end := at + limit + zstdBlock
	for want := max(firstGuess(src), cap(dst)-at); ; want = 4*want + zstdBlock {
		dst = room(dst, want, end)
		to := min(cap(dst), end)
		out, err := d.DecodeAll(src, dst[at:at:to])
		switch {
		case len(out) > limit:
			return dst, ErrTooLarge
		case err == nil && len(out) <= to-at:
			return dst[:at+len(out)], nil
		case to < end && (err == nil || errors.Is(err, zstd.ErrDecoderSizeExceeded) || to-at-len(out) < zstdBlock):
			continue
		case err == nil || errors.Is(err, zstd.ErrDecoderSizeExceeded):
			return dst, ErrTooLarge
		}
		return dst[:at+len(out)], corrupt(Zstd, noEOF(err))
	}
}

// zstdEncoders has a pool for each speed of the library, to which the reference implementation's levels are mapped.
var zstdEncoders [zstd.SpeedBestCompression + 1]sync.Pool

func zstdCompress(dst, src []byte, level int) ([]byte, error) {
	if level == 0 {
		level = zstdDefaultLevel
	}
	speed := zstd.EncoderLevelFromZstd(level)
	e, ok := zstdEncoders[speed].Get().(*zstd.Encoder)
	if !ok {
		var err error
		e, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false), zstd.WithZeroFrames(true))
		if err != nil {
			return dst, err
		}
	}
	dst = e.EncodeAll(src, dst)
	zstdEncoders[speed].Put(e)
	return dst, nil
}
