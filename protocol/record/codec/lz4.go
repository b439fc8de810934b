package codec

import (
	"encoding/binary"
	"math"
	"sync"

	"github.com/pierrec/lz4/v4"
)

// The LZ4 frame format 1.6: magic, FLG, BD, [content size 8], HC, blocks (length 4, data, [checksum 4]), end mark 0,
// [content checksum 4]. Little-endian.
const (
	lz4Magic = 0x184d2204

	lz4Version       = 1 << 6
	lz4VersionMask   = 3 << 6
	lz4Independent   = 1 << 5
	lz4BlockChecksum = 1 << 4
	lz4ContentSize   = 1 << 3
	lz4ContentSum    = 1 << 2
	lz4Reserved      = 3 // a reserved bit, and the dictionary's, which Java knows as reserved

	lz4Block64K = 4 // size code in bits 4 to 6 of BD; each further one is four times as much
	lz4Stored   = 1 << 31

	lz4WriteBlock = 64 << 10
	// lz4MaxRatio bounds what a block can inflate to: a length goes on by 255 a byte.
	lz4MaxRatio = 255

	lz4DefaultLevel = 9
)

// lz4HeaderSum is the byte HC of the descriptor (FLG to content size). Magic 0 gets it wrong: there the frame's magic
// is hashed with it. frame begins at the magic.
func lz4HeaderSum(frame []byte, magic int8) byte {
	if magic > 0 {
		frame = frame[4:]
	}
	return byte(xxh32(frame) >> 8)
}

type lz4Encoder struct {
	fast lz4.Compressor
	high lz4.CompressorHC
}

var lz4Encoders = sync.Pool{New: func() any { return new(lz4Encoder) }}

// block compresses into dst; 0 says that it does not get smaller. Levels are lz4-java's: 9 the fast compressor, any
// other the high one, which has nine levels here and seventeen there.
func (e *lz4Encoder) block(dst, src []byte, level int) (int, error) {
	if level == 0 || level == lz4DefaultLevel {
		return e.fast.CompressBlock(src, dst)
	}
	e.high.Level = 1 << (8 + min(max(level, 1), 9))
	return e.high.CompressBlock(src, dst)
}

func lz4Compress(dst, src []byte, level int, magic int8) ([]byte, error) {
	e := lz4Encoders.Get().(*lz4Encoder)
	defer lz4Encoders.Put(e)
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, lz4Magic)
	dst = append(dst, lz4Version|lz4Independent, lz4Block64K<<4)
	dst = append(dst, lz4HeaderSum(dst[at:], magic))
	for len(src) > 0 {
		block := src[:min(len(src), lz4WriteBlock)]
		src = src[len(block):]
		at := len(dst) + 4
		dst = room(dst, 4+len(block), math.MaxInt)
		n, err := e.block(dst[at:at+len(block)], block, level)
		if err != nil && n == 0 {
			n = 0 // does not fit, so it is stored
		}
		length := uint32(n)
		if n == 0 || n >= len(block) {
			n = copy(dst[at:at+len(block)], block)
			length = uint32(n) | lz4Stored
		}
		dst = binary.LittleEndian.AppendUint32(dst, length)
		dst = dst[:at+n]
	}
	return binary.LittleEndian.AppendUint32(dst, 0), nil
}

// lz4Blocks walks the blocks of one frame. What comes behind the frame is not looked at.
type lz4Blocks struct {
	in        []byte
	blockMax  int
	checksums bool
}

func newLZ4Blocks(src []byte, magic int8) (lz4Blocks, error) {
	if len(src) < 7 {
		return lz4Blocks{}, corruptf(LZ4, "frame header of %d bytes", len(src))
	}
	if binary.LittleEndian.Uint32(src) != lz4Magic {
		return lz4Blocks{}, corruptf(LZ4, "no frame magic")
	}
	flg, bd := src[4], src[5]
	if flg&lz4VersionMask != lz4Version || flg&lz4Reserved != 0 || flg&lz4Independent == 0 {
		return lz4Blocks{}, corruptf(LZ4, "frame flags %#x", flg)
	}
	code := int(bd >> 4)
	if bd&0x0f != 0 || code < lz4Block64K || code > 7 {
		return lz4Blocks{}, corruptf(LZ4, "block descriptor %#x", bd)
	}
	n := 6
	if flg&lz4ContentSize != 0 {
		n += 8
	}
	if len(src) <= n {
		return lz4Blocks{}, corruptf(LZ4, "frame header cut short")
	}
	if magic > 0 && src[n] != lz4HeaderSum(src[:n], magic) {
		return lz4Blocks{}, corruptf(LZ4, "frame header checksum")
	}
	return lz4Blocks{in: src[n+1:], blockMax: 1 << (8 + 2*code), checksums: flg&lz4BlockChecksum != 0}, nil
}

// next is the next block, nil at the end mark. A stored block is its own content.
func (l *lz4Blocks) next() (block []byte, stored bool, err error) {
	if len(l.in) < 4 {
		return nil, false, corruptf(LZ4, "frame without end")
	}
	length := binary.LittleEndian.Uint32(l.in)
	stored = length&lz4Stored != 0
	length &^= lz4Stored
	l.in = l.in[4:]
	if length == 0 {
		return nil, false, nil
	}
	n := int(length)
	sum := 0
	if l.checksums {
		sum = 4
	}
	if n > l.blockMax || n+sum > len(l.in) {
		return nil, false, corruptf(LZ4, "block of %d bytes where %d are left", n, len(l.in))
	}
	block = l.in[:n]
	if l.checksums && xxh32(block) != binary.LittleEndian.Uint32(l.in[n:]) {
		return nil, false, corruptf(LZ4, "block checksum")
	}
	l.in = l.in[n+sum:]
	return block, stored, nil
}

// inflatedMax is the most that a block can inflate to.
func (l *lz4Blocks) inflatedMax(block []byte) int { return min(l.blockMax, lz4MaxRatio*len(block)) }

func lz4Decompress(dst, src []byte, magic int8, limit int) ([]byte, error) {
	blocks, err := newLZ4Blocks(src, magic)
	if err != nil {
		return dst, err
	}
	end := len(dst) + limit
	for {
		block, stored, err := blocks.next()
		if err != nil || block == nil {
			return dst, err
		}
		if stored {
			if len(block) > end-len(dst) {
				return dst, ErrTooLarge
			}
			dst = append(room(dst, len(block), end), block...)
			continue
		}
		at, most := len(dst), blocks.inflatedMax(block)
		dst = room(dst, most, end)
		n, err := lz4.UncompressBlock(block, dst[at:min(at+most, end)])
		if err != nil {
			if at+most > end {
				return dst, ErrTooLarge // or broken: it cannot be told without the room
			}
			return dst, corrupt(LZ4, err)
		}
		dst = dst[:at+n]
	}
}
